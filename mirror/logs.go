package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// logPiece is how much of a log is appended at once.
const logPiece = 4 << 20

// bringLogs makes the logs of a run as long as they are in the source. A log that
// says something else is a conflict; it can't be replaced, as it is only ever
// appended to. It gives the number of bytes that were appended. Errors: errHeld.
func (s *syncer) bringLogs(ctx context.Context, run string, theirs []backend.Info, mine map[string]backend.Info) (appended int64, err error) {
	var held error
	for _, from := range theirs {
		have := mine[from.Key].Size
		err := s.bringLog(ctx, run, from, have)
		if errors.Is(err, errHeld) {
			held = err
			continue
		}
		if err != nil {
			return appended, err
		}
		appended += max(0, from.Size-have)
	}
	return appended, held
}

func (s *syncer) bringLog(ctx context.Context, run string, from backend.Info, have int64) error {
	for range tries {
		if have == from.Size {
			return nil
		}
		if common := min(have, from.Size); common > 0 {
			same, err := s.sameBytes(ctx, from.Key, common)
			if err != nil {
				return err
			}
			if !same {
				s.decided(Conflict{Kind: "log of run", Name: run + " " + strings.SplitN(from.Key, "/", 4)[3], Reason: "the logs of the two workspaces differ",
					Source: Side{Modified: from.Modified, Detail: fmt.Sprintf("%d bytes", from.Size)}, Destination: Side{Detail: fmt.Sprintf("%d bytes", have)}}, Leave)
				return errHeld
			}
		}
		if have > from.Size {
			return nil
		}
		err := s.appendLog(ctx, from, have)
		if !errors.Is(err, azml.ErrConflict) {
			return err
		}
		there, err := s.dst.Objects().Stat(ctx, from.Key)
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
		have = there.Size
	}
	return fmt.Errorf("%w: others appended to %s again and again", azml.ErrConflict, from.Key)
}

// sameBytes tells whether the object begins with the same bytes on both sides.
func (s *syncer) sameBytes(ctx context.Context, key string, length int64) (bool, error) {
	opts := &backend.GetOptions{Length: length}
	theirs, err := s.src.Objects().Get(ctx, key, opts)
	if err != nil {
		return false, err
	}
	defer theirs.Body.Close()
	mine, err := s.dst.Objects().Get(ctx, key, opts)
	if err != nil {
		return false, err
	}
	defer mine.Body.Close()
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(theirs.Body, a)
		m, errB := io.ReadFull(mine.Body, b)
		for _, err := range []error{errA, errB} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return false, fmt.Errorf("%w: read %s: %w", azml.ErrUnavailable, key, err)
			}
		}
		if !bytes.Equal(a[:n], b[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			return true, nil
		}
	}
}

// appendLog appends what the source has from a place on.
func (s *syncer) appendLog(ctx context.Context, from backend.Info, offset int64) error {
	if s.opts.DryRun {
		s.note(func(r *Report) { r.LogBytes += from.Size - offset })
		return nil
	}
	object, err := s.src.Objects().Get(ctx, from.Key, &backend.GetOptions{Offset: offset, Length: from.Size - offset})
	if err != nil {
		return err
	}
	defer object.Body.Close()
	piece := make([]byte, min(logPiece, from.Size-offset))
	for offset < from.Size {
		n, err := io.ReadFull(object.Body, piece[:min(int64(len(piece)), from.Size-offset)])
		if err != nil {
			return fmt.Errorf("%w: read %s: %w", azml.ErrUnavailable, from.Key, err)
		}
		if _, err := s.dst.Objects().Append(ctx, from.Key, offset, piece[:n]); err != nil {
			return err
		}
		offset += int64(n)
		s.note(func(r *Report) { r.LogBytes += int64(n) })
	}
	return nil
}
