//go:build linux

package agent

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
)

// refusing refuses to tell of one object, or to take it, as often as it is told to.
type refusing struct {
	backend.Objects
	log   string
	class error // azml.ErrDenied when nil
	times atomic.Int64
}

// Stat implements backend.Objects.
func (r *refusing) Stat(ctx context.Context, key string) (backend.Info, error) {
	if r.log != "" && strings.HasSuffix(key, r.log) && r.times.Add(-1) >= 0 {
		return backend.Info{}, fmt.Errorf("%w: refused by the test", cmp.Or(r.class, azml.ErrDenied))
	}
	return r.Objects.Stat(ctx, key)
}

// Get implements backend.Objects.
func (r *refusing) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if r.log != "" && strings.HasSuffix(key, r.log) && r.times.Add(-1) >= 0 {
		return nil, fmt.Errorf("%w: refused by the test", cmp.Or(r.class, azml.ErrDenied))
	}
	return r.Objects.Get(ctx, key, opts)
}

// Put implements backend.Objects.
func (r *refusing) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if r.log != "" && strings.HasSuffix(key, r.log) && r.times.Add(-1) >= 0 {
		return backend.Info{}, fmt.Errorf("%w: refused by the test", cmp.Or(r.class, azml.ErrDenied))
	}
	return r.Objects.Put(ctx, key, content, opts)
}

// member is an agent of a run on two nodes with two processes each. What the node is
// refused keeps it from planning an attempt.
func member(t *testing.T, store backend.Objects, rank int, refused string, times int) *drive {
	t.Helper()
	objects := &refusing{Objects: store, log: refused}
	objects.times.Store(int64(times))
	dir := t.TempDir()
	local, err := process.New(filepath.Join(dir, "jobs"), nil)
	require.NoError(t, err)
	h := core.New(core.Config{Objects: objects, Secrets: memory.NewSecrets(), Local: local, CacheDir: dir})
	t.Cleanup(func() {
		require.NoError(t, h.Close(context.Background()))
		require.NoError(t, local.Close())
	})
	d := &drive{h: h, dir: filepath.Join(dir, "run"), env: &pythonEnv{Env: &pyenv.Env{}}, place: nodePlace{rank: rank, count: 2, main: "127.0.0.1"}, status: record.Preparing}
	d.track = func(record.Run, Serving) (*Tracking, error) {
		return &Tracking{Stop: func() {}, Finish: func(context.Context) (map[string]uint64, []string, error) { return nil, nil, nil }}, nil
	}
	require.NoError(t, os.MkdirAll(d.codeDir(), 0o700))
	return d
}

// begin makes a run for its two agents, and opens their logs.
func begin(t *testing.T, restarts int, command string, main, other *drive) {
	t.Helper()
	beginAs(t, &record.Distributed{Framework: PyTorch, Processes: 2, MaxRestarts: restarts}, command, main, other)
}

// beginAs is begin for any processes. Without another agent there is one node.
func beginAs(t *testing.T, processes *record.Distributed, command string, main, other *drive) {
	t.Helper()
	owner := main.h.Owner()
	stored, err := core.CreateQuiet(t.Context(), main.h, history.Ref("gang").Key, record.Run{ID: "gang", Experiment: "e", Life: "0123456789abcdef",
		Status: record.Preparing, Owner: &owner, Agent: &record.Agent{Job: "agent-now", Adopted: true},
		Definition: &record.Definition{Command: []string{"/bin/sh", "-c", command}, Nodes: main.place.count, Distributed: processes}})
	require.NoError(t, err)
	main.run = stored.Value
	require.NoError(t, main.open(t.Context()))
	if other != nil {
		other.run = stored.Value
		require.NoError(t, other.openNode(t.Context()))
	}
}

// TestAttemptsThatCanNotBePlanned has a node fail before its processes begin: all go on
// with the next attempt, and when there is none, the run ends.
func TestAttemptsThatCanNotBePlanned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log             string // of which process, which is of node 0 or 1
		times, restarts int
		fails           string
	}{
		"node 0, and once more":          {"std_log_process_1.txt", 1, 1, ""},
		"node 1, and once more":          {"std_log_process_3.txt", 1, 1, ""},
		"node 0, twice of three times":   {"std_log_process_1.txt", 2, 2, ""},
		"node 1, twice of three times":   {"std_log_process_3.txt", 2, 2, ""},
		"node 0, and there is no second": {"std_log_process_1.txt", 1, 0, "refused by the test"},
		"node 1, and there is no second": {"std_log_process_3.txt", 1, 0, "refused by the test"},
		"node 1, each time":              {"std_log_process_3.txt", 100, 2, "refused by the test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.NewObjects()
			refused := [2]string{}
			refused[map[bool]int{true: 0, false: 1}[strings.Contains(c.log, "_1.")]] = c.log
			main, other := member(t, store, 0, refused[0], c.times), member(t, store, 1, refused[1], c.times)
			begin(t, c.restarts, "echo $RANK", main, other)
			err := lead(t, main, other)
			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			require.NotEmpty(t, main.warnings, "the attempts that failed are told")
			require.Len(t, other.ranks, 2)
		})
	}
}

// lead runs the attempts of both, and gives how they end at node 0.
func lead(t *testing.T, main, other *drive) error {
	t.Helper()
	working, stop := context.WithCancelCause(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = other.takeParts(working) // what it could not do node 0 says
	}()
	err := main.execute(t.Context())
	stop(errRunOver)
	<-ended
	return err
}

// TestNodeThatCanNotGoOn says so for all attempts, of which no further one is made.
func TestNodeThatCanNotGoOn(t *testing.T) {
	t.Parallel()
	store := memory.NewObjects()
	main, other := member(t, store, 0, "", 0), member(t, store, 1, "", 0)
	begin(t, 5, "exit 1", main, other)
	working, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		if other.takePart(working, 1) == nil {
			_ = other.failNode(working, fmt.Errorf("%w: its disk is gone", azml.ErrFailed)) // until the test ends
		}
	}()
	require.ErrorContains(t, main.execute(t.Context()), "its disk is gone")
	require.Len(t, main.warnings, 1, "there was one attempt that could be begun anew: %v", main.warnings)
}

// TestNodesOfATimeBeforeAreNotHeard has records of nodes that a run had before it was
// queued anew: they count for nothing.
func TestNodesOfATimeBeforeAreNotHeard(t *testing.T) {
	t.Parallel()
	store := memory.NewObjects()
	main, other := member(t, store, 0, "", 0), member(t, store, 1, "", 0)
	begin(t, 0, "echo $RANK", main, other)
	for node, state := range map[int]string{0: nodeRunning, 1: nodeDone} {
		old := record.RunNode{Agent: "agent-before", Attempt: 1, State: state, Ports: []int{1, 1}}
		require.NoError(t, core.PutQuiet(t.Context(), main.h, history.NodeKey(main.run, node), old))
	}
	require.NoError(t, lead(t, main, other))
	log, err := history.LogSize(t.Context(), main.h, history.LogKey(main.run, "user_logs/std_log_process_3.txt"))
	require.NoError(t, err)
	require.Equal(t, int64(len("3\n")), log, "the processes of node 1 have run, once")
}

// TestMpiOutputIsForgotten when there is another attempt: what the processes of the one
// before have said is stored, and what the next ones say begins elsewhere in the log.
func TestMpiOutputIsForgotten(t *testing.T) {
	t.Parallel()
	d := member(t, memory.NewObjects(), 0, "", 0)
	d.run = record.Run{ID: "r", Life: "0123456789abcdef", Definition: &record.Definition{Distributed: &record.Distributed{Framework: Mpi, Processes: 2}}}
	d.ranks = []*rank{{}}
	said := filepath.Join(d.dir, rankDir, "std_log_process_1.txt")
	require.NoError(t, os.MkdirAll(filepath.Dir(said), 0o700))
	require.NoError(t, os.WriteFile(said, []byte("said before\n"), 0o600))
	require.NoError(t, d.noteStart(rankLog(1), start{At: 7}))
	require.NoError(t, d.forgetRankLogs())
	require.NoFileExists(t, said)
	_, noted, err := d.startOf(rankLog(1))
	require.NoError(t, err)
	require.False(t, noted)
	require.NoError(t, d.forgetRankLogs(), "there is nothing")
}

// TestWhereLogsGoOn is noted for processes of runs that had been running before: of others,
// all that a process has said is new.
func TestWhereLogsGoOn(t *testing.T) {
	t.Parallel()
	for name, goesOn := range map[string]bool{"new": false, "again": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.NewObjects()
			main, other := member(t, store, 0, "", 0), member(t, store, 1, "", 0)
			begin(t, 0, "echo $RANK", main, other)
			main.goesOn = goesOn
			_, err := main.output.Write([]byte("said before\n"))
			require.NoError(t, err)
			require.NoError(t, lead(t, main, other))
			begun, noted, err := main.startOf(main.jobName(0))
			require.NoError(t, err)
			require.Equal(t, goesOn, noted)
			require.Equal(t, map[bool]int64{false: 0, true: int64(len("said before\n"))}[goesOn], begun.At)
		})
	}
}
