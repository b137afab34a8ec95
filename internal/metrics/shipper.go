package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// shipper appends frames to the segments of one writer. Nobody else appends to
// them: it is used by who holds the writer's lock.
type shipper struct {
	log     *Log
	writer  string
	number  int   // of the segment
	size    int64 // of the segment, as far as it is known
	appends int
	frame   []byte // being sent, nil when none is
	sent    int    // how much of frame is stored
	unsure  bool   // the answer to the last append may have been lost
}

// send makes the frame durable. After an error it must be called again with
// the same frame: what was stored already is found and not stored again.
func (s *shipper) send(ctx context.Context, frame []byte) error {
	if s.frame == nil {
		if s.size >= s.log.limits.segmentBytes || s.appends >= s.log.limits.segmentAppends {
			s.roll()
		}
		s.frame = frame
	}
	for s.sent < len(frame) {
		if s.unsure {
			if err := s.resolve(ctx); err != nil {
				return err
			}
			continue
		}
		if err := s.append(ctx, frame[s.sent:min(len(frame), s.sent+s.log.limits.appendBytes)]); err != nil {
			return err
		}
	}
	s.frame, s.sent = nil, 0
	return nil
}

func (s *shipper) key() string { return segmentKey(s.log.prefix, s.writer, s.number) }

func (s *shipper) append(ctx context.Context, data []byte) error {
	_, err := s.log.objects.Append(ctx, s.key(), s.size, data)
	s.appends++
	if err == nil {
		s.size, s.sent = s.size+int64(len(data)), s.sent+len(data)
		return nil
	}
	s.unsure = true
	if errors.Is(err, azml.ErrConflict) {
		return nil // an earlier try was done after all: resolve will see
	}
	return fmt.Errorf("ship metrics to %s: %w", s.key(), err)
}

// resolve finds out how much of the frame is stored. When other bytes are in
// the way, which takes a store that tears writes, it goes on with the next
// segment; readers cut off the torn frame.
func (s *shipper) resolve(ctx context.Context) error {
	stored, err := s.stored(ctx)
	if err != nil {
		return fmt.Errorf("ship metrics to %s: %w", s.key(), err)
	}
	s.unsure = false
	if stored == nil || !bytes.HasPrefix(s.frame[s.sent:], stored) {
		s.log.logger.WarnContext(ctx, "metrics segment holds bytes that were not sent; going on with the next one", "key", s.key(), "offset", s.size)
		s.roll()
		return nil
	}
	s.size, s.sent = s.size+int64(len(stored)), s.sent+len(stored)
	return nil
}

// stored gives what the segment holds beyond size, nil when it is shorter than
// size or holds more than what was sent.
func (s *shipper) stored(ctx context.Context) ([]byte, error) {
	info, err := s.log.objects.Stat(ctx, s.key())
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		return nil, err
	}
	more := info.Size - s.size
	if more < 0 || more > int64(len(s.frame)-s.sent) {
		return nil, nil
	}
	if more == 0 {
		return []byte{}, nil
	}
	obj, err := s.log.objects.Get(ctx, s.key(), &backend.GetOptions{Offset: s.size, Length: more})
	if err != nil {
		return nil, err
	}
	defer obj.Body.Close()
	return io.ReadAll(obj.Body)
}

// roll goes on with the next segment, and with the frame from its beginning.
func (s *shipper) roll() {
	s.number++
	s.size, s.appends, s.sent, s.unsure = 0, 0, 0, false
}
