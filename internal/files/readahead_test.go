package files

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// asked is a store that asks before each Get.
type asked struct {
	backend.Objects
	ask func(ctx context.Context) error
}

func (s *asked) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if err := s.ask(ctx); err != nil {
		return nil, err
	}
	return s.Objects.Get(ctx, key, opts)
}

// threeWindows stores a file of three windows, once for all tests that read it.
var threeWindows = sync.OnceValue(func() (f struct {
	objects *memory.Objects
	file    File
	content []byte
	err     error
}) {
	f.objects, f.content = memory.NewObjects(), noise(5, 21<<20)
	m, _, _, err := trySave(context.Background(), New(f.objects, nil), map[string][]byte{"big": f.content})
	if f.err = err; err == nil {
		f.file = m.Files[0]
	}
	return f
})

// inThird gives a reader of a file of three windows that stands before the third,
// and what is in that. ask is called for each request that is made for the third,
// which the reader makes by itself when it is in the second.
func inThird(t *testing.T, ask func(ctx context.Context) error) (r *Reader, content []byte) {
	t.Helper()
	stored := threeWindows()
	require.NoError(t, stored.err)
	var others atomic.Int64 // requests that come first
	others.Store(1 << 30)
	s := New(&asked{stored.objects, func(ctx context.Context) error {
		if others.Add(-1) >= 0 {
			return nil
		}
		return ask(ctx)
	}}, nil)
	r, err := s.Open(t.Context(), stored.file)
	require.NoError(t, err)
	first := r.endOfWindow(0)
	second := r.endOfWindow(first)
	require.Less(t, second, len(r.ends))
	require.Equal(t, len(r.ends), r.endOfWindow(second), "there are three windows")

	got := make([]byte, r.ends[first-1])
	_, err = io.ReadFull(r, got)
	require.NoError(t, err)
	require.Empty(t, r.ahead, "nothing is read ahead in the first window, for many look at a file's head alone")
	var wanted []want
	for _, c := range stored.file.Chunks[first:second] {
		d, err := parseDigest(c.Digest)
		require.NoError(t, err)
		wanted = append(wanted, want{d, c.Size})
	}
	spans, _ := s.plan(wanted)
	others.Store(int64(len(spans)))
	got = append(got, make([]byte, r.ends[second-1]-r.ends[first-1])...)
	_, err = io.ReadFull(r, got[r.ends[first-1]:])
	require.NoError(t, err)
	require.True(t, bytes.Equal(got, stored.content[:len(got)]))
	return r, stored.content[len(got):]
}

func TestReadAhead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ahead error // of what is read ahead
		more  bool  // requests are made when it is asked for
	}{
		"used":                     {nil, false},
		"failed and fetched again": {fmt.Errorf("%w: the line was cut", azml.ErrUnavailable), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests, asking atomic.Int64
			begun := make(chan struct{}, 100)
			r, content := inThird(t, func(context.Context) error {
				requests.Add(1)
				begun <- struct{}{}
				if asking.Load() == 0 {
					return test.ahead
				}
				return nil
			})
			<-begun // nobody has asked for the third window yet
			r.asking.Wait()
			asking.Add(1)
			before := requests.Load()
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.True(t, bytes.Equal(got, content))
			require.Equal(t, test.more, requests.Load() > before)
			require.NoError(t, r.Close())
		})
	}
}

// TestReadAheadGivenUp has a store that answers nothing that is read ahead, and a
// reader that goes elsewhere and comes back.
func TestReadAheadGivenUp(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 100)
	var hanging atomic.Bool
	hanging.Store(true)
	r, content := inThird(t, func(ctx context.Context) error {
		if !hanging.Load() {
			return nil
		}
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	<-begun
	hanging.Store(false)
	at := r.Size() - int64(len(content))
	_, err := r.Seek(0, io.SeekStart)
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 1))
	require.NoError(t, err)
	r.asking.Wait() // what was read ahead has been given up
	_, err = r.Seek(at, io.SeekStart)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(got, content))
	require.NoError(t, r.Close())
}

// TestCloseWhileReadingAhead has a store that answers nothing that is read ahead.
func TestCloseWhileReadingAhead(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 100)
	r, _ := inThird(t, func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	<-begun
	require.NoError(t, r.Close())
	_, err := r.Read(make([]byte, 1))
	require.ErrorIs(t, err, azml.ErrClosed)
}

// TestReadAheadOnThisMachine reads nothing ahead from a store that is near: it
// would take memory of servers.
func TestReadAheadOnThisMachine(t *testing.T) {
	t.Parallel()
	stored := threeWindows()
	require.NoError(t, stored.err)
	s := New(stored.objects, nil)
	s.local = true
	r, err := s.Open(t.Context(), stored.file)
	require.NoError(t, err)
	for {
		_, err = r.Read(make([]byte, 1<<20))
		if err != nil {
			break
		}
		require.Empty(t, r.ahead)
	}
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, r.Close())
}

// TestRepeatedChunks reads in order what is the same over and over: that it is
// there already is no reason to take what comes next for a jump.
func TestRepeatedChunks(t *testing.T) {
	t.Parallel()
	s := New(newSpy(), nil)
	content := append(append(noise(7, 1<<20), make([]byte, 16<<20)...), noise(8, 1<<20)...)
	m, _, _ := save(t, s, map[string][]byte{"big": content})
	r, err := s.Open(t.Context(), m.Files[0])
	require.NoError(t, err)
	got := make([]byte, len(content))
	for i, end := range r.ends {
		_, err := io.ReadFull(r, got[end-m.Files[0].Chunks[i].Size:end])
		require.NoError(t, err)
		require.Greater(t, r.next, i)
	}
	require.True(t, bytes.Equal(got, content))
	require.NoError(t, r.Close())
}
