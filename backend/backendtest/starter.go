package backendtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

// starterVariable makes a test program a starter; it says on what target.
const starterVariable = "AZML_TEST_STARTER"

// Starter is called by the TestMain of drivers whose jobs are started by a process
// that dies, see StartAndDie: in that process it starts the job on the target that
// was given, which open opens, says how that went, and waits to be killed.
// Elsewhere it does nothing.
func Starter[T any, C backend.Compute](open func(on T) (C, error)) {
	given := os.Getenv(starterVariable)
	if given == "" {
		return
	}
	var on T
	var job backend.Job
	err := json.Unmarshal([]byte(given), &on)
	if err == nil {
		err = json.NewDecoder(os.Stdin).Decode(&job)
	}
	if err == nil {
		var c C
		if c, err = open(on); err == nil {
			err = c.Start(context.Background(), job)
		}
	}
	fmt.Println(err)
	select {}
}

// StartAndDie is for ComputeHarness.StartAndDie: it starts the job from another
// process, this test program started anew, on the target that JSON makes of on, and
// kills that process once it has said how the start went.
func StartAndDie(t TB, on any, job backend.Job) error {
	said, kill := StartElsewhere(t, on, job)
	buf := make([]byte, 1000)
	n, err := said.Read(buf)
	require.NoError(t, err)
	kill()
	if answer := strings.TrimSpace(string(buf[:n])); answer != "<nil>" {
		return errors.New(answer)
	}
	return nil
}

// StartElsewhere is StartAndDie for who wants to kill the process before it has said on
// said how the start went. kill returns when the process is gone, and can be called again.
func StartElsewhere(t TB, on any, job backend.Job) (said io.Reader, kill func()) {
	given, err := json.Marshal(on)
	require.NoError(t, err)
	input, err := json.Marshal(job)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), starterVariable+"="+string(given))
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return out, sync.OnceFunc(func() { // on any goroutine
		if err := cmd.Process.Kill(); err != nil {
			t.Errorf("the starter could not be killed: %v", err)
		}
		_ = cmd.Wait() // killed
	})
}
