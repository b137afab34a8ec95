//go:build linux

package jobs

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

// FuzzStartRequest has jobs arrive as they were sent, whatever bytes they hold.
func FuzzStartRequest(f *testing.F) {
	f.Add("a", "/bin/sh", "é\xff", "/", "NAME", "a=b\x00", []byte("token\n"))
	f.Add("", "", "", "", "", "", []byte(nil))
	f.Fuzz(func(t *testing.T, id, program, arg, dir, name, value string, input []byte) {
		job := backend.Job{ID: "x", Command: []string{program, arg}, Dir: dir, Env: map[string]string{name: value, "id": id}, Input: input,
			Limits: backend.Limits{CPUs: 1.5, Memory: 1 << 40, SharedMemory: 1, GPUs: -1}, Image: "image"}
		data, err := json.Marshal(newStartRequest("token", job))
		require.NoError(t, err)
		var q startRequest
		require.NoError(t, json.Unmarshal(data, &q))
		if len(job.Input) == 0 {
			job.Input, q.Input = nil, nil
		}
		require.Equal(t, job, q.job())
	})
}
