package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/record"
)

func withCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func TestWrapNamesTheClassOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err   error
		class error
		text  string
	}{
		"class alone":       {azml.ErrNotFound, azml.ErrNotFound, `get model "m:1": not found`},
		"class with cause":  {fmt.Errorf("%w: %w", azml.ErrNotFound, fs.ErrNotExist), azml.ErrNotFound, `get model "m:1": not found: file does not exist`},
		"file system":       {&fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}, azml.ErrNotFound, `get model "m:1": not found: open /x: file does not exist`},
		"denied":            {fs.ErrPermission, azml.ErrDenied, `get model "m:1": permission denied`},
		"exists":            {fs.ErrExist, azml.ErrExists, `get model "m:1": file already exists`},
		"canceled":          {context.Canceled, context.Canceled, `get model "m:1": context canceled`},
		"deadline":          {fmt.Errorf("ask: %w", context.DeadlineExceeded), context.DeadlineExceeded, `get model "m:1": ask: context deadline exceeded`},
		"unknown":           {errors.New("boom"), azml.ErrUnavailable, `get model "m:1": unavailable: boom`},
		"class and context": {fmt.Errorf("%w: %w", azml.ErrClosed, context.Canceled), azml.ErrClosed, `get model "m:1": closed: context canceled`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.err
			Wrap(&err, "get", "model", "m:1")
			require.ErrorIs(t, err, test.class)
			require.ErrorIs(t, err, test.err)
			e, ok := errors.AsType[*azml.Error](err)
			require.True(t, ok)
			require.Equal(t, test.class, e.Class)
			require.Equal(t, test.text, err.Error())
			again := err
			Wrap(&again, "find", "model", "m:1")
			require.Same(t, err, again, "an error that says as much already is left alone")
			Wrap(&again, "deploy", "endpoint", "e")
			require.NotSame(t, err, again)
			require.ErrorIs(t, again, test.class)
		})
	}
	var none error
	Wrap(&none, "get", "model", "m:1")
	require.NoError(t, none)
}

func TestLabels(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for n := range maxLabels {
		many[fmt.Sprint(n)] = ""
	}
	require.NoError(t, CheckLabels("tags", many))
	many["one more"] = ""
	key, value := strings.Repeat("ü", maxLabelKey), strings.Repeat("ü", maxLabelValue)
	require.NoError(t, CheckLabels("tags", map[string]string{key: value}))
	for name, labels := range map[string]map[string]string{"too many": many, "empty key": {"": "x"}, "long key": {key + "x": ""},
		"long value": {"k": value + "x"}, "key no UTF-8": {"\xff": ""}, "value no UTF-8": {"k": "\xff"}} {
		err := CheckLabels("tags", labels)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.ErrorContains(t, err, "tags", name)
	}
	for range 20 {
		require.ErrorContains(t, CheckLabels("tags", map[string]string{"b\xff": "", "a\xff": "", "c\xff": ""}), `"a\xff"`, "the same one each time")
	}
	require.NoError(t, CheckText("description", strings.Repeat("ü", maxText)))
	require.ErrorIs(t, CheckText("description", strings.Repeat("ü", maxText+1)), azml.ErrInvalid)
	require.ErrorIs(t, CheckText("description", "\xff"), azml.ErrInvalid)
}

func TestChangeAndAddLabels(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"a": "1", "b": "2"}
	was := maps.Clone(labels)
	require.Equal(t, map[string]string{"a": "3", "c": ""}, ChangeLabels(labels, map[string]string{"a": "3", "c": ""}, []string{"b", "missing"}))
	added, err := AddLabels(labels, map[string]string{"a": "1", "c": "3"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "1", "b": "2", "c": "3"}, added)
	_, err = AddLabels(labels, map[string]string{"a": "2"})
	require.ErrorIs(t, err, azml.ErrConflict)
	require.Equal(t, was, labels, "the labels given are never changed")
	require.True(t, HasLabels(labels, map[string]string{"a": "", "b": "2"}))
	require.False(t, HasLabels(labels, map[string]string{"a": "2"}))
	require.False(t, HasLabels(labels, map[string]string{"c": ""}))
	require.True(t, HasLabels(nil, nil))
}

func TestSampleOfNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "none", Sample(nil))
	require.Equal(t, "a, b", Sample([]string{"a", "b"}))
	require.Equal(t, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more", Sample(strings.Split("1 2 3 4 5 6 7 8 9 10 11 12", " ")))
}

func listOf(names ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range names {
			var err error
			if name == "!" {
				err = azml.ErrDamaged
			}
			if !yield(name, err) || err != nil {
				return
			}
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	key := func(s string) string { return s }
	after := func(key, token string) bool { return key > token }
	names := []string{"a", "b", "c", "d", "e"}
	for size := 1; size <= 6; size++ {
		var got []string
		token := ""
		for {
			page, next, err := Page(listOf(names...), key, after, token, size)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page), size)
			got = append(got, page...)
			if token = next; next == "" {
				break
			}
		}
		require.Equal(t, names, got, "size %d", size)
	}
	page, next, err := Page(listOf("a", "d", "e"), key, after, "b", 2)
	require.NoError(t, err)
	require.Equal(t, []string{"d", "e"}, page, "the element of the token was deleted")
	require.Empty(t, next)
	_, _, err = Page(listOf("a", "!"), key, after, "", 5)
	require.ErrorIs(t, err, azml.ErrDamaged)
	for _, size := range []int{0, -1} {
		_, _, err = Page(listOf(), key, after, "", size)
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
}

func TestCloseWaitsForTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{Objects: memory.NewObjects(), CacheDir: t.TempDir()})
		ended := false
		require.NoError(t, h.Go(func(ctx context.Context) {
			time.Sleep(time.Hour)
			require.NoError(t, ctx.Err())
			ended = true
		}))
		require.NoError(t, h.Close(t.Context()))
		require.True(t, ended)
		require.ErrorIs(t, h.Go(func(context.Context) {}), azml.ErrClosed)
		require.NoError(t, h.Close(t.Context()), "closing twice does nothing")
	})
}

func TestCloseCancelsTasksWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{Objects: memory.NewObjects(), CacheDir: t.TempDir()})
		var cause error
		require.NoError(t, h.Go(func(ctx context.Context) {
			<-ctx.Done()
			cause = context.Cause(ctx)
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		require.ErrorIs(t, h.Close(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(begin))
		require.ErrorIs(t, cause, azml.ErrClosed)
	})
}

func TestCloseEndsServicesAfterTheTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{Objects: memory.NewObjects(), CacheDir: t.TempDir()})
		var cause error
		require.NoError(t, h.Serve(func(ctx context.Context) {
			<-ctx.Done()
			cause = context.Cause(ctx)
		}))
		require.NoError(t, h.Go(func(ctx context.Context) {
			time.Sleep(time.Hour)
			require.NoError(t, cause)
			require.NoError(t, ctx.Err())
		}))
		require.NoError(t, h.Close(context.Background()))
		require.ErrorIs(t, cause, azml.ErrClosed)
		require.ErrorIs(t, h.Serve(func(context.Context) {}), azml.ErrClosed)
	})
}

func TestGone(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	me := h.Owner()
	ended := exec.Command(os.Args[0], "-test.run=^$")
	require.NoError(t, ended.Start())
	lost := record.Owner{ID: "x", Host: me.Host, Boot: me.Boot, Namespace: me.Namespace, PID: ended.Process.Pid, Started: startTime(ended.Process.Pid)}
	require.False(t, h.Gone(&lost), "a zombie at most, or it still runs")
	require.NoError(t, ended.Wait())
	change := func(f func(*record.Owner)) *record.Owner { o := me; f(&o); return &o }
	for name, test := range map[string]struct {
		owner *record.Owner
		gone  bool
	}{
		"none":                   {nil, false},
		"this process":           {&me, false},
		"another handle of it":   {change(func(o *record.Owner) { o.ID = "other" }), false},
		"ended":                  {&lost, true},
		"another machine":        {change(func(o *record.Owner) { o.Host, o.PID = "elsewhere", lost.PID }), false},
		"another container":      {change(func(o *record.Owner) { o.Namespace, o.PID = "pid:[1]", lost.PID }), false},
		"an earlier boot":        {change(func(o *record.Owner) { o.Boot = "earlier" }), true},
		"an unknown boot":        {change(func(o *record.Owner) { o.Boot = "" }), false},
		"its ID was given anew":  {change(func(o *record.Owner) { o.Started++ }), true},
		"alive, start not known": {change(func(o *record.Owner) { o.PID, o.Started = os.Getppid(), 0 }), false},
	} {
		if me.Boot == "" && strings.Contains(name, "boot") || me.Started == 0 && strings.Contains(name, "anew") {
			continue // not known on this system
		}
		require.Equal(t, test.gone, h.Gone(test.owner), name)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	var ids []string
	for range 100 {
		id := NewUUID()
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), 100)
	require.Regexp(t, `^[0-9a-f]{16}$`, NewID(8))
}

func TestServedBy(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	dead := h.Owner()
	dead.Started++ // another process that had this ID
	for name, owners := range map[string][]record.Owner{"served": {h.Owner()}, "lost": {dead}, "twice": {dead, h.Owner()}, "stopped": nil} {
		revision := func(model string) *record.EndpointRevision {
			return &record.EndpointRevision{Deployments: []record.EndpointDeployment{{Name: "main", Models: []string{model}}}}
		}
		_, err := CreateQuiet(t.Context(), h, EndpointPrefix+name+".json", record.Endpoint{ID: "id", Name: name, Current: revision(name + ":1"),
			Candidate: revision(name + ":2"), History: []record.EndpointRevision{*revision(name + ":3")}})
		require.NoError(t, err)
		for i, owner := range owners {
			id := fmt.Sprint(i)
			_, err := CreateQuiet(t.Context(), h, HostPrefix(name)+id+".json", record.EndpointHost{ID: id, Endpoint: "id", Owner: owner})
			require.NoError(t, err)
		}
		for model, in := range map[string]bool{name + ":1": true, name + ":2": true, name + ":3": false} {
			served, err := ServedBy(t.Context(), h, model)
			require.NoError(t, err)
			want := ""
			if in && name != "stopped" {
				want = name
			}
			require.Equal(t, want, served, model)
		}
	}
}
