package datastore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
)

// remote is a web server with one file, as a datastore.
type remote struct {
	*datastore.Datastore
	content  []byte
	etag     atomic.Value
	requests atomic.Int32
	sent     atomic.Int64
	// breakAfter, when not 0, is after how many bytes each connection breaks.
	breakAfter atomic.Int64
	// breakAt, when not 0, is from which byte of the file on nothing is sent.
	breakAt atomic.Int64

	mu     sync.Mutex
	ranges []string
}

// serve starts the server with size bytes.
func serve(t *testing.T, size int) *remote {
	t.Helper()
	r := &remote{content: make([]byte, size)}
	rng := rand.New(rand.NewPCG(1, uint64(size)))
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = byte(rng.Uint32())
	}
	for i := 0; i < size; i += len(block) {
		copy(r.content[i:], block)
		r.content[i] = byte(i >> 16) // no two blocks are the same
	}
	r.etag.Store(`"v1"`)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	d, err := open(t).Datastores().Register(t.Context(), "remote", datastore.HTTP{URL: server.URL}, nil)
	require.NoError(t, err)
	r.Datastore = d
	r.requests.Store(0)
	return r
}

// ServeHTTP implements http.Handler.
func (r *remote) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.requests.Add(1)
	r.mu.Lock()
	r.ranges = append(r.ranges, request.Header.Get("Range"))
	r.mu.Unlock()
	w.Header().Set("ETag", r.etag.Load().(string))
	left := r.breakAfter.Load()
	if at := r.breakAt.Load(); at > 0 {
		var from int64
		_, _ = fmt.Sscanf(request.Header.Get("Range"), "bytes=%d-", &from)
		if left = at - from; left <= 0 {
			left = -1
		}
	}
	http.ServeContent(&breaking{ResponseWriter: w, r: r, left: left}, request, "", time.Time{}, bytes.NewReader(r.content))
}

// breaking breaks the connection after some bytes.
type breaking struct {
	http.ResponseWriter
	r    *remote
	left int64
}

// Write implements io.Writer.
func (b *breaking) Write(p []byte) (int, error) {
	if b.left != 0 && int64(len(p)) >= b.left {
		_, _ = b.ResponseWriter.Write(p[:max(0, b.left)])
		b.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	if b.left > 0 {
		b.left -= int64(len(p))
	}
	b.r.sent.Add(int64(len(p)))
	return b.ResponseWriter.Write(p)
}

func (r *remote) reader(t *testing.T) *datastore.Reader {
	t.Helper()
	reader, err := r.Open(t.Context(), "file", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reader.Close()) })
	return reader
}

func TestReader(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 1000, 256 << 10, 256<<10 + 1, 600_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			r := serve(t, size)
			require.NoError(t, iotest.TestReader(r.reader(t), r.content))
		})
	}
}

func TestReaderAsksForWhatIsRead(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	r := serve(t, size)
	reader := r.reader(t)
	buf := make([]byte, 100)
	for range 2 { // the second time from memory
		for _, at := range []int64{size - 100, 10 << 20, 0} {
			n, err := reader.ReadAt(buf, at)
			require.NoError(t, err)
			require.Equal(t, r.content[at:at+int64(n)], buf)
		}
	}
	require.NoError(t, reader.Close())
	require.LessOrEqual(t, r.requests.Load(), int32(4))
	require.Less(t, r.sent.Load(), int64(4<<20))
}

func TestReaderReadsAhead(t *testing.T) {
	t.Parallel()
	const size = 24 << 20
	r := serve(t, size)
	reader := r.reader(t)
	var got bytes.Buffer
	_, err := io.Copy(&got, io.NewSectionReader(reader, 0, size)) // in pieces of 32 KiB
	require.NoError(t, err)
	require.True(t, bytes.Equal(r.content, got.Bytes()))
	require.Less(t, r.requests.Load(), int32(22))
	require.LessOrEqual(t, r.sent.Load(), int64(size+256<<10))
}

func TestReaderAtRandomByMany(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	const size = 9<<20 + 123
	r := serve(t, size)
	reader := r.reader(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(g)))
			for range 50 {
				p := make([]byte, 1+rng.IntN(700<<10))
				at := rng.Int64N(size)
				n, err := reader.ReadAt(p, at)
				if at+int64(len(p)) > size {
					if !errors.Is(err, io.EOF) {
						t.Errorf("at %d: %v", at, err)
					}
				} else if err != nil {
					t.Errorf("at %d: %v", at, err)
				}
				if !bytes.Equal(p[:n], r.content[at:at+int64(n)]) {
					t.Errorf("%d bytes at %d differ", n, at)
				}
			}
		})
	}
	wg.Wait()
}

func TestReaderGoesOnAfterBrokenConnections(t *testing.T) {
	t.Parallel()
	r := serve(t, 5<<20)
	reader := r.reader(t)
	r.breakAfter.Store(1 << 20)
	got, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.True(t, bytes.Equal(r.content, got))
	got = make([]byte, len(r.content))
	_, err = reader.ReadAt(got, 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(r.content, got))
}

func TestReaderOfWhatChanges(t *testing.T) {
	t.Parallel()
	r := serve(t, 5<<20)
	reader := r.reader(t)
	_, err := reader.ReadAt(make([]byte, 10), 0)
	require.NoError(t, err)
	r.etag.Store(`"v2"`)
	_, err = reader.ReadAt(make([]byte, 10), 3<<20)
	require.ErrorIs(t, err, azml.ErrConflict)
	require.ErrorContains(t, err, "file")
	_, err = io.ReadAll(reader)
	require.ErrorIs(t, err, azml.ErrConflict)
	require.NoError(t, reader.Close())
	_, err = reader.ReadAt(make([]byte, 10), 0)
	require.ErrorIs(t, err, azml.ErrClosed)
}

func TestDownloadGoesOnWithinAFile(t *testing.T) {
	t.Parallel()
	r := serve(t, 5<<20)
	to := t.TempDir()
	file := filepath.Join(to, "file")
	r.breakAt.Store(3 << 20) // and nothing comes from there on
	_, err := r.Download(t.Context(), "file", to, nil)
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.NoFileExists(t, file)
	left, err := os.ReadDir(to)
	require.NoError(t, err)
	require.Len(t, left, 1)

	r.breakAt.Store(0)
	r.sent.Store(0)
	done, err := r.Download(t.Context(), "file", to, nil)
	require.NoError(t, err)
	require.Equal(t, datastore.Transfer{Files: 1, Bytes: 5 << 20}, done)
	require.LessOrEqual(t, r.sent.Load(), int64(2<<20+512<<10), "what was there didn't come again")
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.Equal(r.content, got))
	left, err = os.ReadDir(to)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestDownloadOfWhatChangedBeginsAnew(t *testing.T) {
	t.Parallel()
	r := serve(t, 5<<20)
	to := t.TempDir()
	r.breakAt.Store(3 << 20)
	_, err := r.Download(t.Context(), "file", to, nil)
	require.ErrorIs(t, err, azml.ErrUnavailable)
	r.breakAt.Store(0)
	r.etag.Store(`"v2"`)
	clear(r.content)
	_, err = r.Download(t.Context(), "file", to, nil)
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(to, "file"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(r.content, got))
}

func TestDownloadOfOneByManyAtOnce(t *testing.T) {
	t.Parallel()
	r := serve(t, 5<<20)
	to := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := r.Download(t.Context(), "file", to, &datastore.DownloadOptions{Overwrite: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := os.ReadFile(filepath.Join(to, "file"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(r.content, got))
	left, err := os.ReadDir(to)
	require.NoError(t, err)
	require.Len(t, left, 1)
}
