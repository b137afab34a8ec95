//go:build linux

package process_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/process"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	backendtest.Compute(t, func(t *testing.T) backendtest.ComputeHarness {
		dir := t.TempDir()
		return backendtest.ComputeHarness{
			Compute: open(t, dir),
			Dir:     t.TempDir(),
			Reopen:  func() (backend.Compute, error) { return open(t, dir), nil },
			StartAndDie: func(t backendtest.TB, job backend.Job) error {
				return startAndDie(t, dir, job)
			},
		}
	})
}

// open gives a driver whose jobs end with the test.
func open(t *testing.T, dir string) *process.Driver {
	d, err := process.New(dir, &process.Options{LeftoverGrace: 200 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() {
		for s, err := range d.List(context.Background()) {
			require.NoError(t, err)
			require.NoError(t, d.Cancel(context.Background(), s.ID, 0))
		}
		require.NoError(t, d.Close())
	})
	return d
}

// startAndDie starts the job from a starter, see TestMain, and kills that.
func startAndDie(t backendtest.TB, dir string, job backend.Job) error {
	input, err := json.Marshal(job)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), starterEnv+"="+dir)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buf := make([]byte, 1000)
	n, err := out.Read(buf)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	if answer := strings.TrimSpace(string(buf[:n])); answer != "<nil>" {
		return errors.New(answer)
	}
	return nil
}
