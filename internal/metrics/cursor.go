package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/azml-go/azml"
)

// cursor is how far the points of one writer have been read. Between passes it
// keeps the place in the segments and the open spool file.
type cursor struct {
	log     *Log
	writer  string
	seq     uint64 // of the last point given
	latest  int64  // the greatest time of the points given, by which writers are merged
	segment int    // the segment being read, and where its next frame begins
	offset  int64
	spool   *spoolReader // nil when none is being read
	left    *SpoolPlace  // where in which spool file to go on when it is opened again
	sources []source     // what is left of this pass
	place   func() (object string, offset int64)
	gap     uint64 // the last missing point for which it was looked again
}

// source gives points in order, false at its end.
type source interface {
	next(ctx context.Context, c *cursor, e *entry) (bool, error)
}

// next gives the writer's next point, each once. A number that was left out is
// damage.
func (c *cursor) next(ctx context.Context, e *entry) (bool, error) {
	for len(c.sources) > 0 {
		ok, err := c.sources[0].next(ctx, c, e)
		switch {
		case err != nil:
			return false, err
		case !ok:
			c.sources = c.sources[1:]
		case e.seq > c.seq+1:
			object, offset := c.place()
			return false, damagedAt(object, offset, &gapError{c.writer, c.seq + 1, e.seq - 1})
		case e.seq == c.seq+1:
			c.given(e)
			return true, nil
		}
	}
	return false, nil
}

// gapError says that a writer's points from one number to another are missing.
type gapError struct {
	writer   string
	from, to uint64
}

// Error implements error.
func (g *gapError) Error() string {
	return fmt.Sprintf("points %d to %d of writer %s are missing before this place", g.from, g.to, g.writer)
}

func (c *cursor) given(e *entry) { c.seq, c.latest = e.seq, max(c.latest, e.time) }

func (l *Log) newCursor(writer string) *cursor {
	return &cursor{log: l, writer: writer, latest: math.MinInt64}
}

// plan sets the sources of a pass. The spool files were opened before the
// segments were listed, and the record of sealed metrics was read after that:
// what has left the spool is in a segment by then, or sealed. While the spool
// file being followed is there, it has all that is new, and the store needs not
// be read; the last pass reads it all the same.
func (c *cursor) plan(numbers []uint32, fresh []*spoolReader, sealed *groupCache, segments []segment, last bool) {
	c.sources = nil
	followed := false
	if c.spool != nil {
		c.sources = append(c.sources, &spoolSource{c.spool})
		followed = slices.Contains(numbers, c.spool.number)
	}
	if !followed || last {
		if sealed.sealed.writer(c.writer).Seq > c.seq {
			c.sources = append(c.sources, &sealedSource{cache: sealed})
		}
		for _, s := range segments {
			if s.number >= c.segment {
				c.sources = append(c.sources, &segmentSource{segment: s})
			}
		}
	}
	for _, r := range fresh {
		c.sources = append(c.sources, &spoolSource{r})
	}
}

// drop lets go of the sources of a pass but the spool file being followed. A
// frame that was not read to its end is read again by the next pass.
func (c *cursor) drop() {
	for _, s := range c.sources {
		switch s := s.(type) {
		case *spoolSource:
			if s.r != c.spool {
				s.r.close()
			}
		case *segmentSource:
			if s.frame != nil {
				c.offset = s.start
			}
			s.close()
		}
	}
	c.sources = nil
}

// again begins to look for the points beyond seq everywhere.
func (c *cursor) again() {
	c.close()
	c.segment, c.offset, c.left = 0, 0, nil
}

// close lets go of everything that is open.
func (c *cursor) close() {
	c.drop()
	if c.spool != nil {
		c.left = c.spool.place()
		c.spool.close()
	}
	c.spool = nil
}

// spoolSource is a spool file. Its end may only be the end for now, so the
// cursor keeps it until it gets to the next.
type spoolSource struct{ r *spoolReader }

func (s *spoolSource) next(_ context.Context, c *cursor, e *entry) (bool, error) {
	if c.spool != s.r {
		if c.spool != nil {
			c.spool.close()
		}
		c.spool = s.r
		c.place = func() (string, int64) { return s.r.f.Name(), s.r.off }
	}
	return s.r.next(e)
}

// segmentSource is a segment from the cursor's offset on.
type segmentSource struct {
	segment segment
	r       *segmentReader
	frame   *frameReader
	start   int64 // of the frame
}

func (s *segmentSource) next(ctx context.Context, c *cursor, e *entry) (bool, error) {
	for {
		if s.frame != nil && s.frame.next(e) {
			return true, nil
		}
		s.frame = nil
		if s.r == nil {
			if ok, err := s.open(ctx, c); !ok || err != nil {
				return false, err
			}
		}
		ok, err := s.load(c)
		if err != nil {
			return false, err
		}
		if !ok {
			s.close()
			return false, nil
		}
	}
}

// open opens the segment, false when it has nothing new.
func (s *segmentSource) open(ctx context.Context, c *cursor) (bool, error) {
	if c.segment != s.segment.number {
		c.segment, c.offset = s.segment.number, 0
	}
	if s.segment.info.Size <= c.offset {
		return false, nil
	}
	var err error
	s.r, err = openSegment(ctx, c.log.objects, s.segment.info.Key, c.offset)
	return err == nil, err
}

// load reads the next frame, false at the end. A frame whose points are all
// known is passed over.
func (s *segmentSource) load(c *cursor) (bool, error) {
	start := s.r.off
	h, ok, err := s.r.header()
	if !ok || err != nil {
		return false, err
	}
	if h.last() <= c.seq {
		ok, err = s.r.skip(h)
		c.offset = s.r.off
		return ok, err
	}
	payload, ok, err := s.r.payload(h)
	if !ok || err != nil {
		return false, err
	}
	if s.frame, err = readFrame(h, payload); err != nil {
		return false, damagedAt(s.r.key, start, err)
	}
	c.offset, s.start = s.r.off, start
	c.place = func() (string, int64) { return s.segment.info.Key, start }
	return true, nil
}

func (s *segmentSource) close() {
	if s.r != nil {
		s.r.close()
		s.r = nil
	}
}

// openSpools opens those of the writer's spool files that come after the one
// that the cursor has open. A file that is gone is shipped; one that has no
// whole header yet has no point either.
func (c *cursor) openSpools(numbers []uint32) ([]*spoolReader, error) {
	var open []*spoolReader
	for _, number := range numbers {
		if c.spool != nil && number <= c.spool.number || c.left != nil && number < c.left.Number {
			continue
		}
		r, err := openSpool(c.log.spool.file(c.writer, number))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNoHeader):
			continue
		case err == nil && (r.prefix != c.log.prefix || r.writer != c.writer):
			err = fmt.Errorf("%w: spool file %s belongs to another log", azml.ErrInvalid, r.f.Name())
			r.close()
		}
		if err != nil {
			for _, r := range open {
				r.close()
			}
			return nil, err
		}
		if c.left != nil {
			r.resume(c.left)
		}
		open = append(open, r)
	}
	return open, nil
}
