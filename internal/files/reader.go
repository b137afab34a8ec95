package files

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"sync"

	"github.com/azml-go/azml"
)

// Reader reads one stored file. It keeps up to 16 MiB in memory, of a store on
// another machine up to 36 MiB. It is safe for concurrent use; calls wait for each
// other.
type Reader struct {
	s    *Store
	ctx  context.Context // of all reads, as with http.Response.Body
	file File
	ends []int64 // of the chunks, in the file

	mu     sync.Mutex
	pos    int64
	closed bool
	window map[digest][]byte // chunks that were fetched last
	next   int               // the chunk that a sequential reader asks for next
	ahead  []*ahead          // what is fetched before it is asked for, in order
	asking sync.WaitGroup    // has all that was ever fetched so
}

var (
	_ io.ReadSeekCloser = (*Reader)(nil)
	_ io.ReaderAt       = (*Reader)(nil)
)

// Open gives a reader of the content of a regular file. ctx governs all its
// reads. Each chunk's digest is checked before a byte of it is handed out; a
// read that meets a missing or damaged chunk gives ErrDamaged, naming the file
// and the chunk. Who reads in order pays one request for 8 MiB, and where the store
// is on another machine the next two go on meanwhile, in goroutines that end by
// themselves and that Close waits for; who reads here and there pays one for each
// chunk. The first who meets a chunk that this process does not know looks for
// new pack indexes. Cost of Open itself: none. Errors: ErrInvalid.
func (s *Store) Open(ctx context.Context, f File) (*Reader, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	if !f.IsRegular() {
		return nil, fmt.Errorf("%w: open %q: no regular file", azml.ErrInvalid, f.Path)
	}
	r := &Reader{s: s, ctx: ctx, file: f, ends: make([]int64, len(f.Chunks))}
	var end int64
	for i, c := range f.Chunks {
		end += c.Size
		r.ends[i] = end
	}
	return r, nil
}

// Size gives the number of bytes of the file.
func (r *Reader) Size() int64 { return r.file.Size }

// Read reads on at the current position.
func (r *Reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.readSome(p, r.pos)
	r.pos += int64(n)
	return n, err
}

// ReadAt reads at offset and does not move the position.
func (r *Reader) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("%w: read %q at the negative offset %d", azml.ErrInvalid, r.file.Path, offset)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	done := 0
	for done < len(p) {
		n, err := r.readSome(p[done:], offset+int64(done))
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Seek sets the position for the next Read. Errors: ErrInvalid.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.file.Size
	}
	if whence < io.SeekStart || whence > io.SeekEnd || offset < 0 {
		return r.pos, fmt.Errorf("%w: seek in %q to %d from %d", azml.ErrInvalid, r.file.Path, offset, whence)
	}
	r.pos = offset
	return offset, nil
}

// Close frees the memory and gives up what is being read ahead. Later reads give
// ErrClosed.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropAhead()
	r.asking.Wait()
	r.closed, r.window = true, nil
	return nil
}

// readSome reads within one chunk. The caller holds mu.
func (r *Reader) readSome(p []byte, offset int64) (int, error) {
	if r.closed {
		return 0, fmt.Errorf("%w: read %q: %w", azml.ErrClosed, r.file.Path, fs.ErrClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	i := sort.Search(len(r.ends), func(i int) bool { return r.ends[i] > offset })
	if i == len(r.ends) {
		return 0, io.EOF
	}
	data, err := r.chunk(i)
	if err != nil {
		return 0, err
	}
	start := r.ends[i] - r.file.Chunks[i].Size
	return copy(p, data[offset-start:]), nil
}

// chunk gives the bytes of chunk i, which are in the window, were read ahead, or
// are fetched.
func (r *Reader) chunk(i int) ([]byte, error) {
	d, _ := parseDigest(r.file.Chunks[i].Digest) // validated by Open
	inOrder := i == r.next
	if data, ok := r.window[d]; ok {
		if inOrder {
			r.next++ // the same bytes again
		}
		return data, nil
	}
	w := r.takeAhead(i)
	r.window = nil
	if w.chunks[d] == nil {
		end := i + 1
		if inOrder {
			end = r.endOfWindow(i)
		}
		if w = r.fetch(r.ctx, i, end); w.failed[d] != nil {
			return nil, fmt.Errorf("read %q: %w", r.file.Path, w.failed[d])
		}
	}
	r.window, r.next = w.chunks, w.end
	if inOrder && i > 0 && !r.s.local {
		r.readAhead()
	}
	return w.chunks[d], nil
}
