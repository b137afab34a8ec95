package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func ids(t *testing.T, c *run.Client, opts *run.ListOptions) []string {
	t.Helper()
	list := []string{}
	for r, err := range c.List(t.Context(), opts) {
		require.NoError(t, err)
		list = append(list, r.ID())
	}
	return list
}

// Asking twice is asking once, from this process or another.
func TestCancelTwice(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	r := startIn(t, ws, nil)
	other, err := ws.Runs().Get(ctx, r.ID(), nil)
	require.NoError(t, err)
	require.NoError(t, r.Cancel(ctx, &run.CancelOptions{Reason: "first"}))
	require.NoError(t, r.Cancel(ctx, nil))
	require.NoError(t, other.Cancel(ctx, nil))
	require.Equal(t, run.StatusCancelRequested, other.Status())
	require.Contains(t, other.Details().Reason, "first")
	require.NoError(t, r.Fail(ctx, errors.New("ended")))
	require.ErrorIs(t, other.Cancel(ctx, nil), azml.ErrConflict)
}

func TestEndOfARun(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	r := startIn(t, ws, nil)
	require.Equal(t, run.StatusRunning, r.Status())
	require.NoError(t, r.Err())
	require.ErrorIs(t, ws.Runs().Delete(ctx, r.ID(), nil), azml.ErrConflict)
	require.ErrorIs(t, r.Start(ctx), azml.ErrConflict)
	require.NoError(t, r.Complete(ctx))
	require.NoError(t, r.Wait(ctx, nil))
	require.ErrorIs(t, r.Fail(ctx, nil), azml.ErrConflict)
	require.ErrorIs(t, r.Cancel(ctx, nil), azml.ErrConflict)
	d := r.Details()
	require.False(t, d.Ended.Before(d.Started))
	require.Equal(t, []run.Status{run.StatusRunning, run.StatusCompleted}, []run.Status{d.History[0].Status, d.History[1].Status})

	r = startIn(t, ws, nil)
	require.NoError(t, r.Fail(ctx, errors.New(strings.Repeat("ü", 2000))))
	require.ErrorIs(t, r.Wait(ctx, nil), azml.ErrFailed)
	d = r.Details()
	require.LessOrEqual(t, len(d.Error.Message), 3000)
	require.Equal(t, "UserError", d.Error.Code)
	require.Equal(t, run.StatusRunning, d.Error.Phase)
	r = startIn(t, ws, nil)
	require.NoError(t, r.Fail(ctx, nil))
	require.ErrorContains(t, r.Err(), "no reason was given")
}

// A program that logs by itself ends a run that somebody canceled by Fail.
func TestCanceledRunIsNotFailed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	r := startIn(t, ws, nil)
	other, err := ws.Runs().Get(ctx, r.ID(), nil)
	require.NoError(t, err)
	require.Nil(t, r.CancelCause())
	require.NoError(t, other.Cancel(ctx, nil))
	<-r.Canceled()
	require.ErrorIs(t, r.CancelCause(), azml.ErrCanceled)
	require.NoError(t, r.Fail(ctx, r.CancelCause()))
	require.Equal(t, run.StatusCanceled, r.Status())
	require.Nil(t, r.Details().Error)
	require.ErrorIs(t, r.Wait(ctx, nil), azml.ErrCanceled)

	r = startIn(t, ws, nil)
	require.NoError(t, r.Fail(ctx, fmt.Errorf("%w: enough", azml.ErrCanceled)), "by its own decision, too")
	require.Equal(t, run.StatusCanceled, r.Status())
	require.Contains(t, r.Details().Reason, "enough")
}

func TestCompleteTwiceDoesNothing(t *testing.T) {
	t.Parallel()
	r := start(t)
	require.NoError(t, r.Complete(t.Context()))
	require.NoError(t, r.Complete(t.Context()))
}

func TestOutputsAreUploadedAtTheEnd(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	file(t, dir, "model.bin", "x")
	ws := open(t)
	r := startIn(t, ws, &experiment.RunOptions{Outputs: dir})
	require.NoError(t, r.Complete(ctx))
	list, err := r.Files(ctx, "outputs")
	require.NoError(t, err)
	require.Equal(t, "outputs/model.bin", list[0].Path)
	r = startIn(t, ws, &experiment.RunOptions{Outputs: dir})
	require.NoError(t, r.Fail(ctx, errors.New("boom")))
	list, err = r.Files(ctx, "outputs")
	require.NoError(t, err)
	require.Len(t, list, 1, "in any way that it ends")
	r = startIn(t, ws, &experiment.RunOptions{Outputs: dir + "/none"})
	require.NoError(t, r.Complete(ctx))
}

func TestDo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	boom := errors.New("boom")
	canceled, cancel := context.WithCancel(ctx)
	for name, test := range map[string]struct {
		ctx    context.Context
		fn     func(ctx context.Context, r *run.Run) error
		err    error
		status run.Status
	}{
		"well":   {ctx, func(context.Context, *run.Run) error { return nil }, nil, run.StatusCompleted},
		"failed": {ctx, func(context.Context, *run.Run) error { return boom }, boom, run.StatusFailed},
		"canceled by another handle": {ctx, func(ctx context.Context, r *run.Run) error {
			same, err := other.Runs().Get(ctx, r.ID(), nil)
			require.NoError(t, err)
			require.NoError(t, same.Cancel(ctx, &run.CancelOptions{Reason: "enough"}))
			<-ctx.Done()
			<-r.Canceled()
			require.Error(t, r.CancelCause())
			return ctx.Err()
		}, azml.ErrCanceled, run.StatusCanceled},
		"ended by another handle": {ctx, func(ctx context.Context, r *run.Run) error {
			same, err := other.Runs().Get(ctx, r.ID(), nil)
			require.NoError(t, err)
			require.NoError(t, same.Fail(ctx, boom))
			<-ctx.Done()
			return nil
		}, azml.ErrConflict, run.StatusFailed},
		"its context was canceled": {canceled, func(ctx context.Context, _ *run.Run) error { cancel(); return ctx.Err() }, context.Canceled, run.StatusCanceled},
	} {
		t.Run(name, func(t *testing.T) {
			r := startIn(t, ws, nil)
			require.NoError(t, r.Log("loss", 1.0, nil))
			err := r.Do(test.ctx, test.fn)
			if test.err == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, test.err)
			}
			require.NoError(t, r.Refresh(ctx))
			require.Equal(t, test.status, r.Status())
			require.Len(t, metrics(t, r), 1)
		})
	}
}

func TestDoWithAPanic(t *testing.T) {
	t.Parallel()
	r := start(t)
	require.PanicsWithValue(t, "boom", func() {
		_ = r.Do(t.Context(), func(context.Context, *run.Run) error { panic("boom") })
	})
	require.Equal(t, run.StatusFailed, r.Status())
	require.Equal(t, "panic: boom", r.Details().Error.Message)
	require.Contains(t, r.Details().Error.Stack, "TestDoWithAPanic")
}

func TestWait(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	r := startIn(t, reopen(t, dir), nil)
	same, err := reopen(t, dir).Runs().Get(ctx, r.ID(), nil)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, same.Wait(short, nil), context.DeadlineExceeded)
	var seen []run.Status
	waited := make(chan error)
	begun := make(chan struct{})
	var once sync.Once
	go func() {
		waited <- same.Wait(ctx, &run.WaitOptions{Progress: func(d run.Details) { seen = append(seen, d.Status); once.Do(func() { close(begun) }) }})
	}()
	<-begun
	require.NoError(t, r.Complete(ctx))
	require.NoError(t, <-waited)
	require.Equal(t, []run.Status{run.StatusRunning, run.StatusCompleted}, seen)
}

func TestChildren(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	parent := startIn(t, ws, &experiment.RunOptions{RunID: "parent"})
	child, err := parent.Child(ctx, &run.ChildOptions{ID: "child", DisplayName: "c", Tags: map[string]string{"a": "b"}})
	require.NoError(t, err)
	grandchild, err := child.Child(ctx, &run.ChildOptions{ID: "grandchild"})
	require.NoError(t, err)
	require.Equal(t, "parent", grandchild.Details().RootRunID)
	require.Equal(t, "child", grandchild.ParentID())
	batch, err := parent.CreateChildren(ctx, 3, nil)
	require.NoError(t, err)
	for n, one := range batch {
		require.Equal(t, run.StatusNotStarted, one.Status())
		require.Equal(t, fmt.Sprint(n), one.Details().Tags["azureml.batch_child_number"])
	}
	require.NoError(t, batch[0].Start(ctx))
	require.ErrorIs(t, batch[0].Start(ctx), azml.ErrConflict)
	require.NoError(t, batch[0].Log("x", 1.0, nil))
	require.NoError(t, batch[0].Complete(ctx))
	require.NoError(t, batch[1].Cancel(ctx, nil))
	require.Equal(t, run.StatusCanceled, batch[1].Status(), "nobody drives it who could cancel it")
	for _, count := range []int{0, -1, 101} {
		_, err := parent.CreateChildren(ctx, count, nil)
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	_, err = parent.CreateChildren(ctx, 2, &run.ChildOptions{ID: "x"})
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = parent.Child(ctx, &run.ChildOptions{ID: "child"})
	require.ErrorIs(t, err, azml.ErrExists)
	children := func(r *run.Run, opts *run.ChildrenOptions) int {
		count := 0
		for _, err := range r.Children(ctx, opts) {
			require.NoError(t, err)
			count++
		}
		return count
	}
	require.Equal(t, 4, children(parent, nil))
	require.Equal(t, 5, children(parent, &run.ChildrenOptions{Recursive: true}))
	require.Equal(t, 1, children(child, &run.ChildrenOptions{Recursive: true}))
	require.Equal(t, 1, children(parent, &run.ChildrenOptions{Tags: map[string]string{"a": "b"}}))
	require.Equal(t, 4, children(parent, &run.ChildrenOptions{Type: run.TypeInProcess}))
	require.Equal(t, 0, children(parent, &run.ChildrenOptions{Type: run.TypeScript}))
	require.NoError(t, grandchild.Update(ctx, run.Update{AddProperties: map[string]string{"p": "1"}}))
	require.Equal(t, 1, children(parent, &run.ChildrenOptions{Recursive: true, Properties: map[string]string{"p": ""}}))
	require.Equal(t, 0, children(parent, &run.ChildrenOptions{Properties: map[string]string{"p": ""}}))
	require.Equal(t, 1, children(parent, &run.ChildrenOptions{Recursive: true, Status: []run.Status{run.StatusCompleted}}))
	for _, r := range []*run.Run{grandchild, child, parent} {
		require.NoError(t, r.Complete(ctx))
	}
	_, err = parent.Child(ctx, nil)
	require.ErrorIs(t, err, azml.ErrConflict)
}

func TestListFiltersAndPages(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	for n := range 7 {
		r := startIn(t, ws, &experiment.RunOptions{RunID: fmt.Sprintf("r%d", n), Tags: map[string]string{"odd": fmt.Sprint(n % 2)}, Properties: map[string]string{"p": ""}})
		if n < 5 {
			require.NoError(t, r.Complete(ctx))
		} else {
			require.NoError(t, r.Fail(ctx, errors.New("x")))
		}
	}
	e, err := ws.Experiments().CreateOrUpdate(ctx, "other", nil)
	require.NoError(t, err)
	elsewhere, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "elsewhere"})
	require.NoError(t, err)
	child, err := elsewhere.Child(ctx, &run.ChildOptions{ID: "child"})
	require.NoError(t, err)
	all := []string{"child", "elsewhere", "r6", "r5", "r4", "r3", "r2", "r1", "r0"}
	for name, test := range map[string]struct {
		opts *run.ListOptions
		want []string
	}{
		"all":        {nil, all},
		"experiment": {&run.ListOptions{Experiment: "e"}, all[2:]},
		"status":     {&run.ListOptions{Status: []run.Status{run.StatusFailed, run.StatusRunning}}, all[:4]},
		"type":       {&run.ListOptions{Type: run.TypeScript}, []string{}},
		"tag":        {&run.ListOptions{Tags: map[string]string{"odd": "1"}}, []string{"r5", "r3", "r1"}},
		"property":   {&run.ListOptions{Properties: map[string]string{"p": ""}, Status: []run.Status{run.StatusFailed}}, []string{"r6", "r5"}},
		"parent":     {&run.ListOptions{Parent: "elsewhere"}, []string{"child"}},
		"root":       {&run.ListOptions{Root: "elsewhere"}, []string{"child", "elsewhere"}},
		"top level":  {&run.ListOptions{TopLevel: true, Experiment: "other"}, []string{"elsewhere"}},
		"unknown":    {&run.ListOptions{Experiment: "none"}, []string{}},
	} {
		require.Equal(t, test.want, ids(t, ws.Runs(), test.opts), name)
	}
	for size := 1; size <= 10; size++ {
		var got []string
		for token := ""; ; {
			page, next, err := ws.Runs().ListPage(ctx, token, size, nil)
			require.NoError(t, err)
			for _, r := range page {
				got = append(got, r.ID())
			}
			if token = next; token == "" {
				break
			}
		}
		require.Equal(t, all, got, "pages of %d", size)
	}
	for _, err := range ws.Runs().List(ctx, &run.ListOptions{Experiment: "a/b"}) {
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	require.NoError(t, child.Complete(ctx))
	require.NoError(t, elsewhere.Complete(ctx))
}

func TestDelete(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	r := startIn(t, ws, &experiment.RunOptions{RunID: "r"})
	require.NoError(t, r.Log("loss", 1.0, nil))
	require.NoError(t, r.Upload(ctx, "f", strings.NewReader("x"), nil))
	require.NoError(t, r.Complete(ctx))
	require.NoError(t, ws.Runs().Delete(ctx, "r", nil))
	require.ErrorIs(t, ws.Runs().Delete(ctx, "r", nil), azml.ErrNotFound)
	require.ErrorIs(t, r.Refresh(ctx), azml.ErrNotFound)
	require.Empty(t, ids(t, ws.Runs(), nil))
	again := startIn(t, ws, &experiment.RunOptions{RunID: "r"})
	require.Equal(t, 2, again.Number())
	require.Equal(t, []string{"r"}, ids(t, ws.Runs(), &run.ListOptions{Experiment: "e"}), "it is listed once")
	require.Empty(t, metrics(t, again))
	require.NoError(t, again.Complete(ctx))
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	require.Len(t, run.Statuses(), 12)
	require.True(t, run.StatusCanceled.Terminal())
	require.False(t, run.Status("Paused").Terminal())
	require.True(t, run.StatusQueued.CanBecome(run.StatusRunning))
	require.True(t, run.StatusCompleted.CanBecome(run.StatusRunning), "resumed")
	require.False(t, run.StatusCompleted.CanBecome(run.StatusFinalizing))
}

// lossy loses answers of writes of a run's record, or refuses them.
type lossy struct {
	backend.Objects
	mode atomic.Value
}

func (o *lossy) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	mode, _ := o.mode.Load().(string)
	if mode == "" || !strings.HasSuffix(key, "/run.json") {
		return o.Objects.Put(ctx, key, content, opts)
	}
	o.mode.Store("")
	if mode == "lost" {
		if _, err := o.Objects.Put(ctx, key, content, opts); err != nil {
			return backend.Info{}, err
		}
	}
	return backend.Info{}, fmt.Errorf("%w: injected", azml.ErrUnavailable)
}

// Complete can be called again after a store that did not answer, whether it
// did the write or not.
func TestCompleteAgain(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"refused", "lost"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			store := &lossy{Objects: memory.NewObjects()}
			ws, err := workspace.Create(ctx, workspace.Config{Objects: store, Secrets: memory.NewSecrets(), Name: "test", CacheDir: t.TempDir()})
			require.NoError(t, err)
			defer func() { require.NoError(t, ws.Close(context.Background())) }()
			outputs := t.TempDir()
			file(t, outputs, "m", "x")
			r := startIn(t, ws, &experiment.RunOptions{Outputs: outputs})
			require.NoError(t, r.Log("loss", 1.0, nil))
			store.mode.Store(mode)
			require.ErrorIs(t, r.Complete(ctx), azml.ErrUnavailable)
			require.NoError(t, r.Complete(ctx))
			require.Equal(t, run.StatusCompleted, r.Status())
			list, err := r.Files(ctx, "")
			require.NoError(t, err)
			require.Len(t, list, 1)
			require.Len(t, metrics(t, r), 1)
		})
	}
}
