package index

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// childVariable makes the test's program a process that writes and searches:
// its value is the workspace's folder, the cache folder, a name and the number of
// rounds.
const childVariable = "AZML_INDEX_TEST_CHILD"

func child() int {
	args := strings.Split(os.Getenv(childVariable), "\n")
	rounds := 0
	_, err := fmt.Sscan(args[3], &rounds)
	if err == nil {
		err = writeAndSearch(context.Background(), args[0], args[1], args[2], rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// writeAndSearch stores runs one after the other, and finds each as soon as it is stored.
func writeAndSearch(ctx context.Context, dir, cache, name string, rounds int) error {
	store, err := localfs.New(dir, nil)
	if err != nil {
		return err
	}
	h := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: cache, Workspace: record.Workspace{ID: "w"}})
	s := &space{Handle: h}
	for i := range rounds {
		id := fmt.Sprintf("%s-%d", name, i)
		r := record.Run{ID: id, Life: core.NewID(8), Experiment: name, Status: record.Completed, Tags: map[string]string{"i": fmt.Sprint(i)}}
		if err := core.PutQuiet(ctx, h, history.Ref(id).Key, r); err != nil {
			return err
		}
		found, err := s.search(ctx, Runs, "experiment = '"+name+"'", "number")
		if err != nil {
			return err
		}
		if len(found) != i+1 {
			return fmt.Errorf("%s finds %d runs of its %d: %v", name, len(found), i+1, found)
		}
	}
	return errors.Join(h.Close(ctx), store.Close())
}

func startChild(t *testing.T, dir, cache, name string, rounds int) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{dir, cache, name, fmt.Sprint(rounds)}, "\n"))
	cmd.Stderr = &logs{}
	require.NoError(t, cmd.Start())
	return cmd
}

func TestManyProcesses(t *testing.T) {
	t.Parallel()
	dir, cache := t.TempDir(), t.TempDir()
	s := local(t, dir, cache)
	var children []*exec.Cmd
	const processes, rounds = 4, 25
	for p := range processes {
		children = append(children, startChild(t, dir, cache, fmt.Sprintf("p%d", p), rounds))
	}
	done := make(chan struct{})
	var searching sync.WaitGroup
	for range 3 { // goroutines of one process beside them
		searching.Go(func() {
			last := 0
			for {
				select {
				case <-done:
					return
				default:
				}
				found, err := s.search(t.Context(), Runs, "tags.i != 'x'")
				if err != nil || len(found) < last {
					t.Errorf("%d runs after %d, error %v", len(found), last, err)
					return
				}
				last = len(found)
			}
		})
	}
	for _, c := range children {
		require.NoError(t, c.Wait(), "%v", &c.Stderr.(*logs).text)
	}
	close(done)
	searching.Wait()
	require.Len(t, s.ids(t, ""), processes*rounds)
	require.Len(t, dbFiles(t, cache), 1, "nobody had to begin anew")
	require.Empty(t, s.log.warnings())
}

// TestKilled kills processes while they bring the index up to date.
func TestKilled(t *testing.T) {
	t.Parallel()
	g := seeded(t)
	dir, cache := t.TempDir(), t.TempDir()
	s := local(t, dir, cache)
	for i := range 10 {
		c := startChild(t, dir, cache, fmt.Sprintf("k%d", i), 1000)
		time.Sleep(time.Duration(20+g.IntN(150)) * time.Millisecond) // when it is hit does not matter
		require.NoError(t, c.Process.Kill())
		_ = c.Wait()
		want := []string{}
		for id, err := range s.Children(t.Context(), "runs/") {
			require.NoError(t, err)
			if _, err := s.Objects().Stat(t.Context(), history.Ref(id).Key); err == nil {
				want = append(want, id)
			}
		}
		got := s.ids(t, "")
		slices.Sort(got)
		slices.Sort(want)
		require.Equal(t, want, got)
	}
	require.Empty(t, s.log.warnings())
}

// TestPagesUnderChange reads pages while runs are written: those that don't
// change are found once each.
func TestPagesUnderChange(t *testing.T) {
	t.Parallel()
	g := seeded(t)
	s := open(t, memory.NewObjects(), t.TempDir())
	const steady = 200
	for i := range steady {
		s.put(t, fmt.Sprintf("steady%03d", i), func(r *record.Run) { r.Params = map[string]string{"p": fmt.Sprint(i % 10)} })
	}
	for _, orderBy := range [][]string{nil, {"params.p DESC"}, {"tags.t"}, {"start_time", "params.p"}} {
		seen := map[string]int{}
		token := ""
		for {
			s.put(t, fmt.Sprintf("moving%d", g.IntN(20)), func(r *record.Run) {
				r.Params = map[string]string{"p": fmt.Sprint(rand.IntN(10))}
				r.Tags = map[string]string{"t": fmt.Sprint(rand.IntN(10))}
			})
			ids, next, err := Some(t.Context(), s.Handle, Request{Kind: Runs, OrderBy: orderBy}, token, 7, func(h Hit) (string, error) { return h.ID, nil })
			require.NoError(t, err)
			for _, id := range ids {
				seen[id]++
			}
			if token = next; token == "" {
				break
			}
		}
		for i := range steady {
			require.Equal(t, 1, seen[fmt.Sprintf("steady%03d", i)], "%d by %v", i, orderBy)
		}
	}
}

// TestPlaces keeps workspaces apart that have one ID and lie in two folders.
func TestPlaces(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	at := func(place string) string {
		require.NoError(t, os.MkdirAll(place, 0o700))
		return dir(core.New(core.Config{Objects: memory.NewObjects(), CacheDir: cache, Dir: place, Workspace: record.Workspace{ID: "w"}}))
	}
	a := filepath.Join(t.TempDir(), "a")
	require.Equal(t, at(a), at(a))
	require.NotEqual(t, at(a), at(a+"b"))
	require.NoError(t, os.Symlink(a, a+"c"))
	require.Equal(t, at(a), at(a+"c"))
}

// TestCloseAfterAnother closes an index that another one has written to and
// closed since it was last looked at.
func TestCloseAfterAnother(t *testing.T) {
	t.Parallel()
	dir, cache := t.TempDir(), t.TempDir()
	opened := func() (*space, func()) {
		store, err := localfs.New(dir, nil)
		require.NoError(t, err)
		h := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: cache, Workspace: record.Workspace{ID: "w"}})
		return &space{Handle: h}, func() {
			require.NoError(t, h.Close(context.Background()))
			require.NoError(t, store.Close())
		}
	}
	first, closeFirst := opened()
	second, closeSecond := opened()
	first.put(t, "a", nil)
	require.Equal(t, []string{"a"}, first.ids(t, ""))
	second.put(t, "b", nil)
	require.Len(t, second.ids(t, ""), 2)
	closeSecond()
	closeFirst()
	third, closeThird := opened()
	require.Len(t, third.ids(t, ""), 2)
	closeThird()
}
