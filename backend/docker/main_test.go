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
// from standard input on the target that the variable describes, and waits to be
// killed.
const starterEnv = "AZML_TEST_STARTER"

// starter says by which of the two a starter starts.
type starter struct {
	Options *docker.Options
	Machine *place
}

func (s starter) open() (backend.Compute, error) {
	if s.Machine != nil {
		return docker.NewMachine(s.Machine.options())
	}
	return docker.New(s.Options)
}

func TestMain(m *testing.M) {
	given := os.Getenv(starterEnv)
	if given == "" {
		goleak.VerifyTestMain(m)
		return
	}
	var from starter
	var job backend.Job
	err := json.Unmarshal([]byte(given), &from)
	if err == nil {
		err = json.NewDecoder(os.Stdin).Decode(&job)
	}
	if err == nil {
		var d backend.Compute
		if d, err = from.open(); err == nil {
			err = d.Start(context.Background(), job)
		}
	}
	fmt.Println(err)
	select {}
}
