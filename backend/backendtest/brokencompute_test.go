//go:build linux

package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
)

// TestBrokenCompute gives the suite targets that each break one promise, and
// says which group must notice.
func TestBrokenCompute(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		group string
		spoil func(sound) backend.Compute
	}{
		"sound":                   {"", func(s sound) backend.Compute { return s }},
		"loses the output's tail": {"output", func(s sound) backend.Compute { return losesTail{s} }},
		"follows not":             {"output", func(s sound) backend.Compute { return followsNot{s} }},
		"leaks children":          {"cancel", func(s sound) backend.Compute { return &leaks{sound: s} }},
		"ignores grace":           {"cancel", func(s sound) backend.Compute { return noGrace{s} }},
		"uses no force":           {"cancel", func(s sound) backend.Compute { return noForce{s} }},
		"wrong exit code":         {"exit", func(s sound) backend.Compute { return wrongCode{s} }},
		"adds to the environment": {"environment", func(s sound) backend.Compute { return addsEnv{s} }},
		"waits too short":         {"wait", func(s sound) backend.Compute { return waitsShort{s} }},
		"waits without context":   {"cancellation", func(s sound) backend.Compute { return noContext{s} }},
		"lists unsorted":          {"list", func(s sound) backend.Compute { return unsorted{s} }},
		"removes running jobs":    {"remove", func(s sound) backend.Compute { return removesRunning{s} }},
		"replaces jobs":           {"start", func(s sound) backend.Compute { return replaces{s} }},
		"hides a lost race":       {"concurrency", func(s sound) backend.Compute { return hidesRace{s} }},
		"loses the input":         {"start", func(s sound) backend.Compute { return losesInput{s} }},
		"takes any image":         {"start", func(s sound) backend.Compute { return takesAll{s} }},
		"runs on one node":        {"nodes", func(s sound) backend.Compute { return oneNode{s} }},
		"installs what is cut":    {"remote", func(s sound) backend.Compute { return &installsCut{sound: s} }},
		"another address":         {"remote", func(s sound) backend.Compute { return &moves{sound: s} }},
		"loses jobs at reopening": {"reattach", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := failedComputeGroups(t, c.group, func(t *testing.T) ComputeHarness {
				driver := openProcess(t, t.TempDir())
				h := ComputeHarness{Dir: t.TempDir()}
				if c.spoil == nil {
					h.Compute = driver
					h.Reopen = func() (backend.Compute, error) { return openProcess(t, t.TempDir()), nil }
				} else {
					h.Compute = c.spoil(driver)
				}
				return h
			})
			if c.group == "" {
				require.Empty(t, failed)
			} else {
				require.Contains(t, failed, c.group)
			}
		})
	}
}

type sound = *process.Driver

func openProcess(t *testing.T, dir string) *process.Driver {
	d, err := process.New(dir, &process.Options{LeftoverGrace: 100 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() {
		for s, err := range d.List(context.Background()) {
			require.NoError(t, err)
			require.NoError(t, d.Cancel(context.Background(), s.ID, 0))
		}
	})
	return d
}

// failedComputeGroups runs one group, or all, and gives the names of those with a
// failure.
func failedComputeGroups(t *testing.T, only string, open func(t *testing.T) ComputeHarness) []string {
	var mu sync.Mutex
	failed := map[string]bool{}
	var wg sync.WaitGroup
	for _, g := range computeGroups() {
		if only != "" && g.name != only {
			continue
		}
		for _, c := range g.checks {
			r := &computeRecorder{ctx: t.Context()}
			h := open(t)
			wg.Go(func() {
				defer func() {
					if len(r.failures) > 0 {
						mu.Lock()
						defer mu.Unlock()
						failed[g.name] = true
						t.Logf("%s/%s: %s", g.name, c.name, r.failures[0])
					}
				}()
				c.run(r, h)
			})
		}
	}
	wg.Wait()
	return slices.Sorted(maps.Keys(failed))
}

// computeRecorder is a TB that keeps failures to itself.
type computeRecorder struct {
	ctx      context.Context // of the test that runs the suite
	mu       sync.Mutex
	failures []string
}

func (r *computeRecorder) Helper()                  {}
func (r *computeRecorder) Logf(string, ...any)      {}
func (r *computeRecorder) Context() context.Context { return r.ctx }
func (r *computeRecorder) FailNow()                 { runtime.Goexit() }
func (r *computeRecorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

type losesTail struct{ sound }

func (d losesTail) Output(ctx context.Context, id string, opts *backend.OutputOptions) (io.ReadCloser, error) {
	r, err := d.sound.Output(ctx, id, opts)
	if err != nil || opts.Follow {
		return r, err
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	return io.NopCloser(bytes.NewReader(all[:max(0, len(all)-1)])), err
}

type followsNot struct{ sound }

func (d followsNot) Output(ctx context.Context, id string, opts *backend.OutputOptions) (io.ReadCloser, error) {
	return d.sound.Output(ctx, id, &backend.OutputOptions{Offset: opts.Offset})
}

// leaks calls a job ended without ending it.
type leaks struct {
	sound
	ended sync.Map
}

func (d *leaks) Cancel(ctx context.Context, id string, _ time.Duration) error {
	d.ended.Store(id, true)
	return ctx.Err()
}

func (d *leaks) Status(ctx context.Context, id string) (backend.JobStatus, error) {
	s, err := d.sound.Status(ctx, id)
	if _, ended := d.ended.Load(id); ended {
		s.State, s.Reason = backend.JobKilled, "cancelled"
	}
	return s, err
}

type noGrace struct{ sound }

func (d noGrace) Cancel(ctx context.Context, id string, _ time.Duration) error {
	return d.sound.Cancel(ctx, id, 0)
}

// noForce gives up when a job does not end by itself.
type noForce struct{ sound }

func (d noForce) Cancel(ctx context.Context, id string, grace time.Duration) error {
	short, stop := context.WithTimeout(ctx, grace)
	defer stop()
	err := d.sound.Cancel(short, id, time.Hour)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

type wrongCode struct{ sound }

func (d wrongCode) Wait(ctx context.Context, id string) (backend.JobStatus, error) {
	s, err := d.sound.Wait(ctx, id)
	s.ExitCode &= 127
	return s, err
}

type addsEnv struct{ sound }

func (d addsEnv) Start(ctx context.Context, job backend.Job) error {
	job.Env = maps.Clone(job.Env)
	if job.Env == nil {
		job.Env = map[string]string{}
	}
	job.Env["AZML_JOB_ID"] = job.ID
	return d.sound.Start(ctx, job)
}

type waitsShort struct{ sound }

func (d waitsShort) Wait(ctx context.Context, id string) (backend.JobStatus, error) {
	s, err := d.Status(ctx, id)
	if s.State == backend.JobRunning {
		s.State = backend.JobExited
	}
	return s, err
}

type noContext struct{ sound }

func (d noContext) Cancel(_ context.Context, id string, grace time.Duration) error {
	return d.sound.Cancel(context.Background(), id, grace)
}

type unsorted struct{ sound }

func (d unsorted) List(ctx context.Context) iter.Seq2[backend.JobStatus, error] {
	return func(yield func(backend.JobStatus, error) bool) {
		var all []backend.JobStatus
		for s, err := range d.sound.List(ctx) {
			if err != nil {
				yield(s, err)
				return
			}
			all = append(all, s)
		}
		for _, s := range slices.Backward(all) {
			if !yield(s, nil) {
				return
			}
		}
	}
}

type removesRunning struct{ sound }

func (d removesRunning) Remove(ctx context.Context, id string) error {
	if err := d.Cancel(ctx, id, 0); err != nil {
		return err
	}
	return d.sound.Remove(ctx, id)
}

type replaces struct{ sound }

func (d replaces) Start(ctx context.Context, job backend.Job) error {
	err := d.sound.Start(ctx, job)
	if errors.Is(err, azml.ErrExists) {
		return errors.Join(d.Remove(ctx, job.ID), d.sound.Start(ctx, job))
	}
	return err
}

type hidesRace struct{ sound }

func (d hidesRace) Start(ctx context.Context, job backend.Job) error {
	if err := d.sound.Start(ctx, job); !errors.Is(err, azml.ErrExists) {
		return err
	}
	return nil
}

type losesInput struct{ sound }

func (d losesInput) Start(ctx context.Context, job backend.Job) error {
	if len(job.Input) <= 64<<10 {
		job.Input = nil
	}
	return d.sound.Start(ctx, job)
}

// oneNode takes jobs for several nodes and runs them on one.
type oneNode struct{ sound }

func (d oneNode) Start(ctx context.Context, job backend.Job) error {
	job.Nodes = min(job.Nodes, 1)
	return d.sound.Start(ctx, job)
}

type takesAll struct{ sound }

func (d takesAll) Start(ctx context.Context, job backend.Job) error {
	job.Image, job.Limits = "", backend.Limits{}
	return d.sound.Start(ctx, job)
}

// installsCut takes what it got for the program.
type installsCut struct{ sound }

func (d *installsCut) Install(ctx context.Context, name string, program backend.Content) (string, error) {
	got := make([]byte, program.Size()/2)
	_, err := program.ReadAt(got, 0)
	if err != nil {
		return "", err
	}
	path, err := d.sound.Install(ctx, name, bytes.NewReader(got))
	if err == nil {
		_, err = program.ReadAt(got, program.Size()/2)
	}
	return path, err
}

// moves gives a new address each time.
type moves struct {
	sound
	count atomic.Int32
}

func (d *moves) Listen(ctx context.Context, id string) (net.Listener, string, error) {
	return d.sound.Listen(ctx, fmt.Sprintf("%s-%d", id, d.count.Add(1)))
}
