package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spy counts requests, and stops answering writes after the budget is used up.
type spy struct {
	backend.Objects
	puts, gets, lists, deletes atomic.Int64
	stats, listed              atomic.Int64 // listed counts the names in listings
	dies                       atomic.Bool
	budget                     atomic.Int64
	beforePut                  func(key string)
}

var errDead = errors.New("the process is dead")

func newSpy() *spy { return &spy{Objects: memory.NewObjects()} }

// dieAfter lets n writes pass and none after them.
func (s *spy) dieAfter(n int64) {
	s.budget.Store(n)
	s.dies.Store(true)
}

func (s *spy) write() error {
	if s.dies.Load() && s.budget.Add(-1) < 0 {
		return errDead
	}
	return nil
}

func (s *spy) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	s.gets.Add(1)
	return s.Objects.Get(ctx, key, opts)
}

func (s *spy) Put(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if s.beforePut != nil {
		s.beforePut(key)
	}
	s.puts.Add(1)
	if err := s.write(); err != nil {
		return backend.Info{}, err
	}
	return s.Objects.Put(ctx, key, c, opts)
}

func (s *spy) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	s.deletes.Add(1)
	if err := s.write(); err != nil {
		return err
	}
	return s.Objects.Delete(ctx, key, opts)
}

func (s *spy) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	s.lists.Add(1)
	return func(yield func(backend.Info, error) bool) {
		for info, err := range s.Objects.List(ctx, opts) {
			s.listed.Add(1)
			if !yield(info, err) {
				return
			}
		}
	}
}

func (s *spy) Stat(ctx context.Context, key string) (backend.Info, error) {
	s.stats.Add(1)
	return s.Objects.Stat(ctx, key)
}

// requests gives all requests so far, a page of 1,000 names as one.
func (s *spy) requests() int64 {
	return s.puts.Load() + s.gets.Load() + s.lists.Load() + s.listed.Load()/1000 + s.deletes.Load() + s.stats.Load()
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// roots gives manifest IDs as Collect and Verify take them.
func roots(ids ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

func noise(seed uint64, n int) []byte {
	data := make([]byte, n)
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	_, _ = rand.NewChaCha8(key).Read(data)
	return data
}

// save stores contents by path and gives the manifest's ID.
func save(t testing.TB, s *Store, contents map[string][]byte) (*Manifest, Stats, string) {
	t.Helper()
	m, stats, id, err := trySave(t.Context(), s, contents)
	require.NoError(t, err)
	return m, stats, id
}

func trySave(ctx context.Context, s *Store, contents map[string][]byte) (*Manifest, Stats, string, error) {
	b, err := s.NewBatch(ctx, nil)
	if err != nil {
		return nil, Stats{}, "", err
	}
	defer b.Abort()
	for path, data := range contents {
		if err := b.Add(ctx, path, 0o644, bytes.NewReader(data)); err != nil {
			return nil, Stats{}, "", err
		}
	}
	id, m, stats, err := b.CommitManifest(ctx)
	return m, stats, id, err
}

// saveDir stores a folder as a snapshot would.
func saveDir(t testing.TB, s *Store, dir string) (*Manifest, Stats) {
	t.Helper()
	b, err := s.NewBatch(t.Context(), &BatchOptions{Scope: dir})
	require.NoError(t, err)
	defer b.Abort()
	err = filepath.WalkDir(dir, func(osPath string, d fs.DirEntry, err error) error {
		if err != nil || osPath == dir {
			return err
		}
		rel, err := filepath.Rel(dir, osPath)
		if err != nil {
			return err
		}
		path := filepath.ToSlash(rel)
		switch d.Type() {
		case fs.ModeDir:
			return b.AddDir(path)
		case fs.ModeSymlink:
			target, err := os.Readlink(osPath)
			if err != nil {
				return err
			}
			return b.AddLink(path, target)
		}
		return b.AddFile(t.Context(), path, osPath)
	})
	require.NoError(t, err)
	m, stats, err := b.Commit(t.Context())
	require.NoError(t, err)
	return m, stats
}

// checkWhole reads everything back and compares.
func checkWhole(t testing.TB, s *Store, id string, contents map[string][]byte) {
	t.Helper()
	m, err := s.Manifest(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, m.Files, len(contents))
	dir := t.TempDir()
	require.NoError(t, s.Restore(t.Context(), m, dir, nil))
	for path, want := range contents {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "content of %s", path)
	}
}

func requireClass(t testing.TB, err, class error) {
	t.Helper()
	require.ErrorIs(t, err, class)
	require.NotNil(t, azml.ClassOf(err))
}

// slowReader gives its data in small pieces.
type slowReader struct{ data []byte }

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 100_000)], r.data)
	r.data = r.data[n:]
	return n, nil
}

// timed is a store whose clock is the test's.
type timed struct {
	backend.Objects
	clock *clock
	mu    sync.RWMutex
	times map[string]time.Time
}

func (c *clock) objects() *timed {
	return &timed{Objects: memory.NewObjects(), clock: c, times: map[string]time.Time{}}
}

func (s *timed) Put(ctx context.Context, key string, data backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.Objects.Put(ctx, key, data, opts)
	if err == nil {
		s.times[key] = s.clock.now()
	}
	return info, err
}

func (s *timed) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, err := s.Objects.Get(ctx, key, opts)
	if err == nil {
		o.Info.Modified = s.times[key]
	}
	return o, err
}

func (s *timed) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		for info, err := range s.Objects.List(ctx, opts) {
			s.mu.RLock()
			info.Modified = s.times[info.Key]
			s.mu.RUnlock()
			if !yield(info, err) {
				return
			}
		}
	}
}
