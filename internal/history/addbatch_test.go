package history

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// onThisMachine is a store on this machine's disks, for those who ask.
type onThisMachine struct {
	hooked
	spool string
}

func (o *onThisMachine) SpoolDir() (string, error) { return o.spool, nil }

// TestFilesElsewhereAreStoredFirst: contents that go to another machine, or are more
// than a pack, hold up nobody who adds to the list.
func TestFilesElsewhereAreStoredFirst(t *testing.T) {
	t.Parallel()
	const morePacks = 9 << 20
	for name, c := range map[string]struct {
		objects func(*testing.T, *hooked) backend.Objects
		size    int
	}{
		"elsewhere": {func(_ *testing.T, o *hooked) backend.Objects { return o }, 10},
		"large": {func(t *testing.T, o *hooked) backend.Objects {
			return struct {
				*hooked
				backend.Spooler
			}{o, &onThisMachine{spool: t.TempDir()}}
		}, morePacks},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &hooked{Objects: memory.NewObjects()}
			h := setup(t, c.objects(t, store))
			run := create(t, h, "r").Value
			slow, err := h.Files().NewBatch(t.Context(), nil)
			require.NoError(t, err)
			t.Cleanup(slow.Abort)
			require.NoError(t, slow.Add(t.Context(), "slow", 0o644, io.LimitReader(rand.NewChaCha8([32]byte{1}), int64(c.size))))
			begun, release := make(chan struct{}), make(chan struct{})
			beginsOnce := sync.OnceFunc(func() { close(begun) })
			var quick atomic.Bool
			store.set(func() {
				store.fail = func(op, key string) error {
					if op == "put" && strings.HasPrefix(key, "files/indexes/") && !quick.Load() {
						beginsOnce()
						<-release
					}
					return nil
				}
			})
			done := make(chan error, 1)
			go func() { done <- add(t, h, run, slow) }()
			<-begun
			quick.Store(true)
			require.NoError(t, add(t, h, run, batch(t, h, "quick")))
			close(release)
			require.NoError(t, <-done)
			names, err := FileNames(t.Context(), h, run)
			require.NoError(t, err)
			require.Equal(t, []string{"quick", "slow"}, names)
		})
	}
}

// TestFilesAreListedWhenTheyLast holds back each object that a file's content is
// in: the part of the list is made meanwhile, but not seen before that is there,
// and never when it fails.
func TestFilesAreListedWhenTheyLast(t *testing.T) {
	t.Parallel()
	for _, held := range []string{"files/packs/", "files/indexes/", "files/manifests/"} {
		for _, failure := range []error{nil, fmt.Errorf("%w: out of reach", azml.ErrUnavailable)} {
			t.Run(fmt.Sprint(held, failure), func(t *testing.T) {
				t.Parallel()
				ctx := t.Context()
				objects := &onThisMachine{hooked{Objects: memory.NewObjects()}, t.TempDir()}
				h := setup(t, objects)
				run := create(t, h, "r").Value
				begun, release := make(chan struct{}), make(chan struct{})
				beginsOnce := sync.OnceFunc(func() { close(begun) })
				objects.set(func() {
					objects.fail = func(op, key string) error {
						switch {
						case op == "put" && key == FilesPart(run, 1):
							beginsOnce()
						case op == "put" && strings.HasPrefix(key, held):
							<-release
							return failure
						}
						return nil
					}
				})
				done := make(chan error, 1)
				files := batch(t, h, "outputs/a")
				go func() { done <- add(t, h, run, files) }()
				<-begun
				_, err := objects.Stat(ctx, FilesPart(run, 1))
				require.ErrorIs(t, err, azml.ErrNotFound, "it is seen before its content lasts")
				close(release)
				require.ErrorIs(t, <-done, failure)
				_, err = objects.Stat(ctx, FilesPart(run, 1))
				if failure == nil {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, azml.ErrNotFound)
				objects.set(func() { objects.fail = nil })
				require.NoError(t, add(t, h, run, batch(t, h, "outputs/b")))
				names, err := FileNames(ctx, setup(t, objects), run)
				require.NoError(t, err)
				require.Equal(t, []string{"outputs/b"}, names)
			})
		}
	}
}

// TestABatchThatMayNotBeAdded is refused by the list after its contents were begun:
// nothing goes on behind its end, and nothing is listed.
func TestABatchThatMayNotBeAdded(t *testing.T) {
	t.Parallel()
	objects := &onThisMachine{hooked{Objects: memory.NewObjects()}, t.TempDir()}
	h := setup(t, objects)
	run := create(t, h, "r").Value
	require.NoError(t, add(t, h, run, batch(t, h, "a")))
	begun, release := make(chan struct{}), make(chan struct{})
	objects.set(func() {
		objects.fail = func(op, key string) error {
			if op == "put" && strings.HasPrefix(key, "files/packs/") {
				close(begun)
				<-release
			}
			return nil
		}
	})
	twice, done := batch(t, h, "a", "b"), make(chan error, 1)
	go func() { done <- add(t, h, run, twice) }()
	<-begun
	select {
	case err := <-done:
		require.Fail(t, "its contents still go out", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	require.ErrorIs(t, <-done, azml.ErrExists)
	objects.set(func() { objects.fail = nil })
	refused := batch(t, h, "c")
	require.NoError(t, refused.AddDir("d/e"))
	_, err := FixedFiles(strings.Repeat("0", 64)).AddBatch(t.Context(), h, refused, true)
	require.ErrorIs(t, err, azml.ErrDenied)
	require.ErrorIs(t, refused.AddDir("f"), azml.ErrClosed, "the batch has ended")
	names, err := FileNames(t.Context(), h, run)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
}
