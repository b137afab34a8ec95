package files

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/sha256many"
)

// How chunks of one pack are read together: a gap up to maxGap is read and
// thrown away rather than paid for with a request, and one request asks for at
// most a whole pack that we have made, so that several can be read at once.
const (
	maxGap  = 256 << 10
	maxSpan = packTarget + maxChunk
)

// want is a chunk that somebody needs.
type want struct {
	digest digest
	size   int64
}

// span is a range of a pack with the chunks that are wanted of it.
type span struct {
	pack   packID
	offset int64
	length int64
	places []place
}

// place is a wanted chunk and where it lies in its pack.
type place struct {
	want
	offset int64
}

// consumer gets a chunk, whose bytes are valid until it returns.
type consumer func(w want, data []byte, err error) error

// fetch reads chunks, checks them and hands each over once, from several
// goroutines at once and in no order, some time after it was read. A chunk that
// is missing or damaged is handed over with an error that wraps ErrDamaged. The
// first error that use returns ends it, as does one of the store. The wanted
// chunks must differ.
func (s *Store) fetch(ctx context.Context, wanted []want, use consumer) error {
	// Others may have stored them, and a collector may have moved them, since
	// the index was read.
	looks := []func(context.Context) error{s.learn, s.refresh}
	for {
		spans, missing := s.plan(wanted)
		lost, err := s.fetchSpans(ctx, spans, use)
		if err != nil {
			return err
		}
		wanted = append(missing, lost...)
		if len(wanted) == 0 {
			return nil
		}
		if len(looks) == 0 {
			break
		}
		if err := looks[0](ctx); err != nil {
			return err
		}
		looks = looks[1:]
	}
	for _, w := range wanted {
		if err := use(w, nil, fmt.Errorf("%w: chunk %s is missing", azml.ErrDamaged, w.digest)); err != nil {
			return err
		}
	}
	return nil
}

// plan tells what to read of which pack, and which chunks lie nowhere.
func (s *Store) plan(wanted []want) (spans []span, missing []want) {
	byPack := map[packID][]place{}
	for _, w := range wanted {
		at, ok := s.index.find(w.digest)
		if !ok {
			missing = append(missing, w)
			continue
		}
		byPack[at.pack.id] = append(byPack[at.pack.id], place{want: want{w.digest, int64(at.size)}, offset: at.offset})
	}
	for id, places := range byPack {
		slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.offset, b.offset) })
		spans = append(spans, join(id, places)...)
	}
	return spans, missing
}

// join makes spans of places in order of their offsets.
func join(id packID, places []place) []span {
	var spans []span
	for _, p := range places {
		end := p.offset + p.size
		if n := len(spans) - 1; n >= 0 {
			last := &spans[n]
			if p.offset-(last.offset+last.length) <= maxGap && end-last.offset <= maxSpan {
				last.length = end - last.offset
				last.places = append(last.places, p)
				continue
			}
		}
		spans = append(spans, span{pack: id, offset: p.offset, length: p.size, places: []place{p}})
	}
	return spans
}

// fetchSpans reads spans in parallel and gives the chunks whose packs are gone.
func (s *Store) fetchSpans(ctx context.Context, spans []span, use consumer) (lost []want, err error) {
	readers, chunks := min(s.reading, len(spans)), 0
	for _, sp := range spans {
		chunks += len(sp.places)
	}
	width := min(sha256many.Width(), mostAtOnce)
	if chunks < 2*width {
		width = min(width, 2) // else all would wait for the end, and more memory be taken
	}
	c := newChecker(&s.buffers, width, readers, chunks, use)
	defer c.close()
	work := newGroup(ctx, s.reading)
	results := make([][]want, len(spans))
	for i, sp := range spans {
		err := work.run(ctx, func(ctx context.Context) (err error) {
			results[i], err = s.fetchSpan(ctx, sp, c)
			return err
		})
		if err != nil {
			break // wait gives it
		}
	}
	if err = cmp.Or(work.wait(), ctx.Err()); err == nil {
		err = c.finish(ctx)
	}
	return slices.Concat(results...), err
}

// fetchSpan reads one span, chunk by chunk: while one is checked and used, the store
// sends the next ones. Chunks of a pack that is gone are lost; those that lie behind the
// end of a pack that is too short are damaged.
func (s *Store) fetchSpan(ctx context.Context, sp span, c *checker) (lost []want, err error) {
	o, err := s.objects.Get(ctx, sp.pack.key(), &backend.GetOptions{Offset: sp.offset, Length: sp.length})
	switch {
	case errors.Is(err, azml.ErrNotFound):
		s.index.confirm(sp.pack, gone, "")
		for _, p := range sp.places {
			lost = append(lost, p.want)
		}
		return lost, nil
	case errors.Is(err, azml.ErrInvalid): // the offset is behind the end
		o = &backend.Object{Body: io.NopCloser(bytes.NewReader(nil))}
	case err != nil:
		return nil, err
	}
	defer func() { _ = o.Body.Close() }()
	in := &spanReader{r: bufio.NewReaderSize(o.Body, smallReads), offset: sp.offset, size: o.Info.Size}
	for _, p := range sp.places {
		a, err := c.room(ctx)
		if err != nil {
			return nil, err
		}
		data, err := in.chunk(p, *a.buf)
		if err != nil {
			return nil, fmt.Errorf("%w: read %s: %w", azml.ErrUnavailable, sp.pack.key(), err)
		}
		if err := c.add(a, sp.pack, p.want, data); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// smallReads is how much is read at once where chunks are small.
const smallReads = 128 << 10

// spanReader reads the chunks of a span in the order of their offsets.
type spanReader struct {
	r      *bufio.Reader
	offset int64 // in the pack
	size   int64 // of the pack
}

// chunk reads a chunk into buf, or into a buffer of its own where that is too
// small. It gives nothing for one that the pack ends before.
func (in *spanReader) chunk(p place, buf []byte) ([]byte, error) {
	if p.offset+p.size > in.size {
		return nil, nil
	}
	if _, err := io.CopyN(io.Discard, in.r, p.offset-in.offset); err != nil {
		return nil, err
	}
	if p.size > int64(len(buf)) {
		buf = make([]byte, p.size)
	}
	_, err := io.ReadFull(in.r, buf[:p.size])
	in.offset = p.offset + p.size
	return buf[:p.size], err
}
