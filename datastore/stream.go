package datastore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/azml-go/azml"
)

// stream reads a range of a file. When the connection breaks, it opens another
// one for the rest, as long as each brings something: an SDK tries requests
// again, but not bodies.
type stream struct {
	r           *Reader
	ctx         context.Context //nolint:containedctx // that of the Reader when nil
	offset, end int64           // what is left; end is -1 for the end of a file of unknown size
	body        io.ReadCloser   // nil when it is to be opened
	progressed  bool            // since it was opened last
}

// Read implements io.Reader. The error is io.EOF at the end of the range only.
func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.end >= 0 && s.offset >= s.end {
			return 0, io.EOF
		}
		if s.body == nil {
			body, err := s.r.get(s.context(), s.offset, max(0, s.end-s.offset))
			if err != nil {
				return 0, err
			}
			s.body = body
		}
		if s.end >= 0 {
			p = p[:min(int64(len(p)), s.end-s.offset)]
		}
		n, err := s.body.Read(p)
		s.offset += int64(n)
		s.progressed = s.progressed || n > 0
		switch {
		case errors.Is(err, io.EOF) && s.end >= 0 && s.r.file.Size < 0:
			s.end = -1 // the file ends before the part that was asked for does
			return n, err
		case err == nil, errors.Is(err, io.EOF) && (s.end < 0 || s.offset >= s.end):
			return n, err
		}
		if err := s.again(err); err != nil || n > 0 {
			return n, err
		}
	}
}

func (s *stream) context() context.Context {
	if s.ctx != nil {
		return s.ctx
	}
	return s.r.ctx
}

// again makes the next Read open the rest, if there is hope.
func (s *stream) again(broken error) error {
	if errors.Is(broken, io.EOF) {
		broken = io.ErrUnexpectedEOF
	}
	lost := errors.Is(broken, azml.ErrUnavailable) || errors.Is(broken, io.ErrUnexpectedEOF)
	if !lost || !s.progressed || s.context().Err() != nil {
		if azml.ClassOf(broken) == nil && s.context().Err() == nil {
			broken = fmt.Errorf("%w: at byte %d: %w", azml.ErrUnavailable, s.offset, broken)
		}
		return broken
	}
	s.progressed = false
	_ = s.body.Close() // it is broken
	s.body = nil
	return nil
}

// Close implements io.Closer.
func (s *stream) Close() error {
	if s.body == nil {
		return nil
	}
	body := s.body
	s.body = nil
	return body.Close()
}
