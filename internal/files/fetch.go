package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/azml-go/azml"
)

// How chunks of one pack are read together: a gap up to maxGap is read and
// thrown away rather than paid for with a request, and one request asks for at
// most maxSpan, so that memory stays bounded.
const (
	maxGap  = 256 << 10
	maxSpan = 16 << 20
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

// fetch reads chunks, checks them and hands each over once, from several
// goroutines at once and in no order. A chunk that is missing or damaged is
// handed over with an error that wraps ErrDamaged. The first error that use
// returns ends it, as does one of the store. The wanted chunks must differ.
func (s *Store) fetch(ctx context.Context, wanted []want, use func(w want, data []byte, err error) error) error {
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
func (s *Store) fetchSpans(ctx context.Context, spans []span, use func(want, []byte, error) error) (lost []want, err error) {
	work := newGroup(ctx, s.parallel)
	results := make([][]want, len(spans))
	for i, sp := range spans {
		err := work.run(ctx, func(ctx context.Context) (err error) {
			results[i], err = s.fetchSpan(ctx, sp, use)
			return err
		})
		if err != nil {
			break // wait gives it
		}
	}
	err = cmp.Or(work.wait(), ctx.Err())
	return slices.Concat(results...), err
}

// fetchSpan reads one span. Chunks of a pack that is gone are lost; those that
// lie behind the end of a pack that is too short are damaged.
func (s *Store) fetchSpan(ctx context.Context, sp span, use func(want, []byte, error) error) (lost []want, err error) {
	data, _, err := s.getRange(ctx, sp.pack.key(), sp.offset, sp.length)
	switch {
	case errors.Is(err, azml.ErrNotFound):
		s.index.confirm(sp.pack, gone, "")
		for _, p := range sp.places {
			lost = append(lost, p.want)
		}
		return lost, nil
	case errors.Is(err, azml.ErrInvalid): // the offset is behind the end
	case err != nil:
		return nil, err
	}
	for _, p := range sp.places {
		from := p.offset - sp.offset
		var chunk []byte
		var bad error
		if from+p.size <= int64(len(data)) {
			chunk = data[from : from+p.size]
		}
		if digestOf(chunk) != p.digest {
			bad = fmt.Errorf("%w: chunk %s in pack %s has other bytes", azml.ErrDamaged, p.digest, sp.pack)
		}
		if err := use(p.want, chunk, bad); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
