package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T, objects backend.Objects) core.Handle {
	t.Helper()
	return setupClock(t, objects, nil)
}

func setupClock(t *testing.T, objects backend.Objects, now func() time.Time) core.Handle {
	t.Helper()
	h := core.New(core.Config{Objects: objects, Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Now: now})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, h.Close(ctx))
	})
	return h
}

// create stores a running run that h answers for, and its experiment.
func create(t *testing.T, h core.Handle, id string) core.Stored[record.Run] {
	t.Helper()
	experiment(t, h)
	owner := h.Owner()
	run, err := Create(t.Context(), h, record.Run{ID: id, Experiment: "e", Status: record.Running, Owner: &owner})
	require.NoError(t, err)
	return run
}

// experiment stores the experiment of the tests' runs unless it is there.
func experiment(t *testing.T, h core.Handle) {
	t.Helper()
	_, err := core.CreateQuiet(t.Context(), h, ExperimentRef("e").Key, record.Experiment{Name: "e"})
	if !errors.Is(err, azml.ErrExists) {
		require.NoError(t, err)
	}
}

// manifest stores files of the given paths, each holding its path.
func manifest(t *testing.T, h core.Handle, paths ...string) *files.Manifest {
	t.Helper()
	m, _, err := batch(t, h, paths...).Commit(t.Context())
	require.NoError(t, err)
	return m
}

// batch begins a batch of files that have their paths as contents.
func batch(t *testing.T, h core.Handle, paths ...string) *files.Batch {
	t.Helper()
	b, err := h.Files().NewBatch(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(b.Abort)
	for _, path := range paths {
		require.NoError(t, b.Add(t.Context(), path, 0o644, strings.NewReader(path)))
	}
	return b
}

// add adds what the batch has to the files of the run.
func add(t *testing.T, h core.Handle, run record.Run, b *files.Batch) error {
	t.Helper()
	_, err := RunFiles(run).AddBatch(t.Context(), h, b, false)
	return err
}

// hooked is a store that can be told to fail.
type hooked struct {
	backend.Objects

	mu   sync.Mutex
	fail func(op, key string) error
	// after, when not nil, may replace the answer of a call that was done.
	after func(op, key string) error
	// modified, when not nil, gives the time of the last write.
	modified func(key string) time.Time
}

func (o *hooked) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

func (o *hooked) ask(f *func(op, key string) error, op, key string) error {
	o.mu.Lock()
	do := *f
	o.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(op, key)
}

func (o *hooked) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if err := o.ask(&o.fail, "get", key); err != nil {
		return nil, err
	}
	return o.Objects.Get(ctx, key, opts)
}

func (o *hooked) Stat(ctx context.Context, key string) (backend.Info, error) {
	if err := o.ask(&o.fail, "stat", key); err != nil {
		return backend.Info{}, err
	}
	info, err := o.Objects.Stat(ctx, key)
	if err == nil && o.modified != nil {
		info.Modified = o.modified(key)
	}
	return info, err
}

func (o *hooked) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if err := o.ask(&o.fail, "put", key); err != nil {
		return backend.Info{}, err
	}
	return o.Objects.Put(ctx, key, content, opts)
}

func (o *hooked) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	if err := o.ask(&o.fail, "append", key); err != nil {
		return backend.Info{}, err
	}
	info, err := o.Objects.Append(ctx, key, offset, data)
	if after := o.ask(&o.after, "append", key); err == nil && after != nil {
		return backend.Info{}, after
	}
	return info, err
}

func readAll(t *testing.T, h core.Handle, key string) string {
	t.Helper()
	log, err := OpenLog(t.Context(), h, key, nil)
	require.NoError(t, err)
	defer log.Close()
	data, err := io.ReadAll(log)
	require.NoError(t, err)
	return string(data)
}

func lines(from, to int) string {
	var b strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&b, "line %d\n", n)
	}
	return b.String()
}
