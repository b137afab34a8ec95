package files

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/testenv"
)

// TestFetchGivesEachChunkOnce stores chunks of all sizes side by side, damages one,
// and fetches them together and in parts: each comes once, as it was stored, and the
// damaged one with an error.
func TestFetchGivesEachChunkOnce(t *testing.T) {
	t.Parallel()
	objects, random := memory.NewObjects(), rand.New(rand.NewPCG(1, 2))
	s := New(objects, nil)
	chunks, all := map[digest][]byte{}, []want{}
	packed := &packer{}
	for i := range 200 {
		size := []int{20, 100, 5000, 300_000}[random.IntN(4)]
		data := noise(uint64(i), size+random.IntN(size))
		d := digestOf(data)
		packed.add(d, data, &s.buffers)
		chunks[d], all = data, append(all, want{d, int64(len(data))})
	}
	packed.id = newPackID()
	require.NoError(t, s.writePack(t.Context(), packed))
	require.NoError(t, s.writeIndex(t.Context(), []*pack{&packed.pack}))
	bad := all[77]
	harm(t, objects, packed.id.key(), func(data []byte) []byte {
		at, ok := s.index.find(bad.digest)
		require.True(t, ok)
		data[at.offset] ^= 1
		return data
	})
	for _, n := range []int{1, 2, 3, 78, len(all)} {
		wanted := all[len(all)-n:]
		if n == 78 {
			wanted = all[:n]
		}
		var mu sync.Mutex
		seen := map[digest]int{}
		require.NoError(t, s.fetch(t.Context(), wanted, func(w want, data []byte, err error) error {
			mu.Lock()
			defer mu.Unlock()
			seen[w.digest]++
			if w.digest == bad.digest {
				requireClass(t, err, azml.ErrDamaged)
				return nil
			}
			require.NoError(t, err)
			require.True(t, bytes.Equal(chunks[w.digest], data))
			return nil
		}))
		require.Equal(t, n, len(seen)) //nolint:testifylint // Len would print megabytes
		for d, times := range seen {
			require.Equal(t, 1, times, d)
		}
	}
}

// TestRestoreToFullDisk restores a file to a disk that has no room for it: that is
// said before the file is fetched, and nothing is left behind.
func TestRestoreToFullDisk(t *testing.T) {
	t.Parallel()
	counted := &readCounter{Objects: memory.NewObjects()}
	contents := noise(1, 40<<20)
	s := New(counted, nil)
	m, _, _ := save(t, s, map[string][]byte{"big": contents})
	dir := testenv.SmallDisk(t, 36<<20)
	err := s.Restore(t.Context(), m, dir, nil)
	requireClass(t, err, azml.ErrUnavailable)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, `"big"`)
	require.Empty(t, tree(t, dir))
	require.Less(t, counted.bytes.Load(), int64(len(contents))*3/4, "what can't be kept is not fetched")
}

// readCounter counts the bytes that are read.
type readCounter struct {
	backend.Objects
	bytes atomic.Int64
}

func (c *readCounter) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	o, err := c.Objects.Get(ctx, key, opts)
	if err == nil {
		o.Body = &countedBody{o.Body, &c.bytes}
	}
	return o, err
}

type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}
