//go:build linux

package process_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
)

// starterEnv makes the test program a starter: it starts the job that it reads
// from standard input in the folder that the variable names, and waits to be
// killed.
const starterEnv = "AZML_TEST_STARTER"

func TestMain(m *testing.M) {
	dir := os.Getenv(starterEnv)
	if dir == "" {
		goleak.VerifyTestMain(m)
		return
	}
	var job backend.Job
	d, err := process.New(dir, nil)
	if err == nil {
		err = json.NewDecoder(os.Stdin).Decode(&job)
	}
	if err == nil {
		err = d.Start(context.Background(), job)
	}
	fmt.Println(err)
	select {}
}
