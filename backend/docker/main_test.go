package docker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
)

// starterEnv makes the test program a starter: it starts the job that it reads
// from standard input with a driver of the options that the variable holds, and
// waits to be killed.
const starterEnv = "AZML_TEST_STARTER"

func TestMain(m *testing.M) {
	given := os.Getenv(starterEnv)
	if given == "" {
		goleak.VerifyTestMain(m)
		return
	}
	var opts docker.Options
	var job backend.Job
	err := json.Unmarshal([]byte(given), &opts)
	if err == nil {
		err = json.NewDecoder(os.Stdin).Decode(&job)
	}
	if err == nil {
		var d *docker.Driver
		if d, err = docker.New(&opts); err == nil {
			err = d.Start(context.Background(), job)
		}
	}
	fmt.Println(err)
	select {}
}
