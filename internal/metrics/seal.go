package metrics

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

// Sealed tells what Seal did.
type Sealed struct {
	// Points is the number of points in the Parquet object, 0 when nothing was
	// sealed.
	Points int64
	// Bytes is the size of the Parquet object and the digest.
	Bytes int64
}

// Seal makes one Parquet object of all the log's points, with a digest beside
// it, and deletes the segments they were in. It does nothing when there is
// nothing new, or when a writer of this machine lives. Readers and writers may
// go on meanwhile: what a writer logs later has segments of its own again and
// is sealed by the next Seal. Of several at once, one wins. It takes temporary
// space on the local disk as large as the result, and memory for half a million
// points and some for each name. Errors: those of the store, ErrDamaged when a
// point can't be read, ErrConflict or ErrExists when somebody else has sealed
// the log meanwhile, ErrNotFound when it was deleted; then all stays as it was.
// A log that is deleted just before the end may be there again, sealed: who
// calls Seal has to look.
func (l *Log) Seal(ctx context.Context) (Sealed, error) {
	if _, err := l.Recover(ctx); err != nil {
		return Sealed{}, err
	}
	files, err := l.spool.list()
	if err != nil || len(files) > 0 {
		return Sealed{}, err
	}
	before, err := l.contents(ctx)
	if err != nil || len(before.segments) == 0 {
		return Sealed{}, err
	}
	s := &sealing{log: l, before: before, digest: digest{metrics: map[string]*metricDigest{}}, writers: map[string]record.SealedWriter{}}
	defer s.discard()
	if before.sealed != nil {
		some, err := s.anythingNew(ctx)
		if err != nil {
			return Sealed{}, err
		}
		if !some { // what a Seal has left that was cut off
			return Sealed{}, s.deleteSegments(ctx)
		}
	}
	if err := s.collect(ctx); err != nil {
		return Sealed{}, fmt.Errorf("seal metrics: %w", err)
	}
	if s.count == 0 {
		return Sealed{}, nil
	}
	if err := s.store(ctx); err != nil {
		return Sealed{}, fmt.Errorf("seal metrics: %w", err)
	}
	return s.finish(ctx)
}

// sealing is one Seal at work.
type sealing struct {
	log     *Log
	before  *contents
	file    *os.File
	sums    blockSums
	digest  digest
	writers map[string]record.SealedWriter
	count   int64
	record  record.SealedMetrics
}

// open makes the temporary file. Where an open file can have no name any more,
// it goes with the process.
func (s *sealing) open() (err error) {
	if s.log.temp != "" {
		err = os.MkdirAll(s.log.temp, 0o700)
	}
	if err == nil {
		s.file, err = os.CreateTemp(s.log.temp, "azml-seal-")
	}
	if err != nil {
		return fmt.Errorf("%w: make a temporary file for sealed metrics: %w", azml.ErrUnavailable, err)
	}
	_ = os.Remove(s.file.Name()) // fails on Windows, until it is closed
	return nil
}

func (s *sealing) discard() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}

// anythingNew tells whether a point is not sealed yet: not when a Seal died
// before it had deleted all segments.
func (s *sealing) anythingNew(ctx context.Context) (bool, error) {
	cursors := make(map[string]*cursor)
	for id, w := range s.before.sealed.Writers {
		cursors[id] = &cursor{log: s.log, writer: id, seq: w.Seq, latest: w.Latest}
	}
	for _, err := range s.log.entriesFrom(ctx, cursors, &ReadOptions{}) {
		return err == nil, err
	}
	return false, nil
}

// collect writes all points to a temporary file.
func (s *sealing) collect(ctx context.Context) (err error) {
	if err := s.open(); err != nil {
		return err
	}
	w, t := newTableWriter(io.MultiWriter(s.file, &s.sums)), newTable()
	cursors := make(map[string]*cursor)
	for h, err := range s.log.entriesFrom(ctx, cursors, &ReadOptions{}) {
		if err == nil {
			err = s.digest.add(h)
		}
		if err != nil {
			return err
		}
		s.count++
		t.add(h.entry, h.writer, h.cursor.latest)
		if t.full(&s.log.limits) {
			if err := w.write(t); err != nil {
				return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
			}
		}
	}
	if err := errors.Join(w.write(t), w.close()); err != nil {
		return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	for id, c := range cursors {
		if c.seq > 0 {
			segment := max(c.segment, s.before.sealed.writer(id).Segment)
			s.writers[id] = record.SealedWriter{Seq: c.seq, Segment: segment, Latest: c.latest}
		}
	}
	return nil
}

// store puts the objects and then the record, which makes them count.
func (s *sealing) store(ctx context.Context) error {
	name := randomHex(16)
	s.record = record.SealedMetrics{Points: s.sums.object(name + parquetSuffix), Count: s.count, Writers: s.writers}
	encoded := s.digest.encode()
	var sums blockSums
	_, _ = sums.Write(encoded) // never fails
	s.record.Digest = sums.object(name + digestSuffix)
	create := &backend.PutOptions{IfNoneMatch: true}
	content := io.NewSectionReader(s.file, 0, s.record.Points.Size)
	if _, err := s.log.objects.Put(ctx, s.log.prefix+s.record.Points.Name, content, create); err != nil {
		return err
	}
	if _, err := s.log.objects.Put(ctx, s.log.prefix+s.record.Digest.Name, bytes.NewReader(encoded), create); err != nil {
		return err
	}
	err := s.commit(ctx)
	if errors.Is(err, azml.ErrConflict) || errors.Is(err, azml.ErrExists) { // so the record names no object of ours, and never will
		err = errors.Join(err, s.delete(ctx, s.record.Points.Name), s.delete(ctx, s.record.Digest.Name))
	}
	return err
}

// commit writes the record if nobody has sealed meanwhile. Errors: ErrExists or
// ErrConflict when somebody has, which is certain then.
func (s *sealing) commit(ctx context.Context) error {
	meta, previous := s.record.Common(), []byte(nil)
	meta.Token, meta.Created, meta.Modified = randomHex(16), s.log.now().UTC(), s.log.now().UTC()
	opts := &backend.PutOptions{IfNoneMatch: true}
	if old := s.before.sealed; old != nil {
		meta.Created, meta.CreatedBy, previous = old.Created, old.CreatedBy, old.data
		opts = &backend.PutOptions{IfMatch: old.etag}
		if !meta.Modified.After(old.Modified) {
			meta.Modified = old.Modified.Add(time.Nanosecond)
		}
	}
	data, err := record.Encode(&s.record, previous)
	if err != nil {
		return err
	}
	_, err = s.log.objects.Put(ctx, s.log.sealedKey(), bytes.NewReader(data), opts)
	if !errors.Is(err, azml.ErrConflict) && !errors.Is(err, azml.ErrExists) {
		return err
	}
	there, readErr := s.log.readSealed(ctx)
	switch {
	case readErr != nil:
		return fmt.Errorf("%w: is it sealed: %w", azml.ErrUnavailable, readErr)
	case there != nil && there.Token == meta.Token: // an earlier try, whose answer was lost
		return nil
	}
	return err
}

// finish deletes what the new objects replace. What can't be deleted does no
// harm and goes with the next Seal.
func (s *sealing) finish(ctx context.Context) (Sealed, error) {
	done := Sealed{Points: s.count, Bytes: s.record.Points.Size + s.record.Digest.Size}
	err := s.deleteSegments(ctx)
	if old := s.before.sealed; old != nil {
		err = errors.Join(err, s.delete(ctx, old.Points.Name), s.delete(ctx, old.Digest.Name))
	}
	if err != nil {
		s.log.logger.WarnContext(ctx, "what was sealed can't be deleted yet", "log", s.log.prefix, "error", err)
	}
	return done, nil
}

// deleteSegments deletes the segments that were there before and have not
// changed since: their points were all read, and are sealed now.
func (s *sealing) deleteSegments(ctx context.Context) error {
	var failed []error
	for _, segments := range s.before.segments {
		for _, segment := range segments {
			err := s.log.objects.Delete(ctx, segment.info.Key, &backend.DeleteOptions{IfMatch: segment.info.ETag})
			if err != nil && !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, azml.ErrConflict) {
				failed = append(failed, err)
			}
		}
	}
	return errors.Join(failed...)
}

func (s *sealing) delete(ctx context.Context, name string) error {
	err := s.log.objects.Delete(ctx, s.log.prefix+name, &backend.DeleteOptions{})
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, says its documentation
	return hex.EncodeToString(b)
}
