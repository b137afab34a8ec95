package files

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/azml-go/azml"
)

// windowSize is how much of a file is fetched at once by who reads it from
// beginning to end.
const windowSize = 8 << 20

// window is some chunks of a file that were fetched together.
type window struct {
	end    int // the chunk behind the last
	chunks map[digest][]byte
	failed map[digest]error // why others are not there
}

// endOfWindow gives the end of the window that begins with the chunk.
func (r *Reader) endOfWindow(first int) (end int) {
	total := int64(0)
	for end = first; end < len(r.ends) && (end == first || total < windowSize); end++ {
		total += r.file.Chunks[end].Size
	}
	return end
}

// fetch fetches the chunks from first up to end. It uses nothing of the reader
// that changes.
func (r *Reader) fetch(ctx context.Context, first, end int) window {
	sizes := map[digest]int64{}
	var list []want
	for _, c := range r.file.Chunks[first:end] {
		d, _ := parseDigest(c.Digest) // validated by Open
		if _, twice := sizes[d]; !twice {
			sizes[d] = c.Size
			list = append(list, want{d, c.Size})
		}
	}
	w := window{end: end, chunks: map[digest][]byte{}, failed: map[digest]error{}}
	var mu sync.Mutex
	err := r.s.fetch(ctx, list, func(got want, data []byte, err error) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			w.failed[got.digest] = err
		case int64(len(data)) != sizes[got.digest]:
			w.failed[got.digest] = fmt.Errorf("%w: chunk %s has %d bytes", azml.ErrDamaged, got.digest, len(data))
		default:
			w.chunks[got.digest] = bytes.Clone(data)
		}
		return nil
	})
	if err != nil {
		for d := range sizes {
			w.failed[d] = err
		}
	}
	return w
}

// windowsAhead is how many windows are fetched before they are asked for: several,
// as one stream from another machine is slower than the line.
const windowsAhead = 2

// ahead is a window that is being fetched before somebody asks for it.
type ahead struct {
	first, end int
	cancel     context.CancelFunc
	got        chan window // gets the window
}

// readAhead begins to fetch the next windows. The caller holds mu.
func (r *Reader) readAhead() {
	first := r.next
	if n := len(r.ahead); n > 0 {
		first = r.ahead[n-1].end
	}
	for len(r.ahead) < windowsAhead && first < len(r.ends) {
		ctx, cancel := context.WithCancel(r.ctx)
		a := &ahead{first: first, end: r.endOfWindow(first), cancel: cancel, got: make(chan window, 1)}
		r.asking.Go(func() {
			defer cancel()
			a.got <- r.fetch(ctx, a.first, a.end)
		})
		r.ahead, first = append(r.ahead, a), a.end
	}
}

// takeAhead waits for the next window that is read ahead when the chunk is in it.
// Else it gives all of them up, and gives none. The caller holds mu.
func (r *Reader) takeAhead(i int) window {
	if len(r.ahead) == 0 {
		return window{}
	}
	if a := r.ahead[0]; a.first <= i && i < a.end {
		r.ahead = r.ahead[1:]
		return <-a.got
	}
	r.dropAhead()
	return window{}
}

// dropAhead gives up what is read ahead. The caller holds mu.
func (r *Reader) dropAhead() {
	for _, a := range r.ahead {
		a.cancel()
	}
	r.ahead = nil
}
