package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

// adopt makes sealed metrics of the other log those of this one. They replace all
// that is there, as a Seal would; see Seal for why nothing can get lost.
func (c *Carrier) adopt(ctx context.Context, mine *contents, theirs *sealed, sum *Carried) error {
	s := &sealing{log: c.to, before: mine}
	s.count = theirs.Count
	s.record = record.SealedMetrics{Count: theirs.Count, Writers: make(map[string]record.SealedWriter, len(theirs.Writers))}
	for id, w := range theirs.Writers {
		if t := c.tails[id]; t != nil { // numbers of segments are each log's own
			w.Segment = max(w.Segment, t.number)
		}
		s.record.Writers[id] = w
	}
	name := randomHex(16)
	var err error
	if s.record.Points, err = c.copySealed(ctx, theirs.Points, name+parquetSuffix); err != nil {
		return err
	}
	if s.record.Digest, err = c.copySealed(ctx, theirs.Digest, name+digestSuffix); err == nil {
		err = s.commit(ctx)
	}
	if errors.Is(err, azml.ErrConflict) || errors.Is(err, azml.ErrExists) || errors.Is(err, azml.ErrDamaged) {
		// The record names neither object, and never will.
		return errors.Join(err, s.delete(ctx, name+parquetSuffix), s.delete(ctx, name+digestSuffix))
	}
	if err != nil {
		return err
	}
	done, err := s.finish(ctx)
	sum.Points, sum.Bytes = sum.Points+done.Points, sum.Bytes+done.Bytes
	c.reached(&sealed{SealedMetrics: s.record})
	return err
}

// inMemory is the size up to which a sealed object is copied without a file.
const inMemory = 1 << 20

// copySealed copies an object of sealed metrics under another name, if each of
// its blocks is as it was written. Errors: ErrDamaged.
func (c *Carrier) copySealed(ctx context.Context, from record.SealedObject, name string) (record.SealedObject, error) {
	content, discard, err := c.fetchSealed(ctx, from)
	if err != nil {
		return record.SealedObject{}, err
	}
	defer discard()
	_, err = c.to.objects.Put(ctx, c.to.prefix+name, content, &backend.PutOptions{IfNoneMatch: true})
	from.Name = name
	return from, err
}

// fetchSealed reads the object and compares its sums.
func (c *Carrier) fetchSealed(ctx context.Context, from record.SealedObject) (content backend.Content, discard func(), err error) {
	key := c.from.prefix + from.Name
	object, err := c.from.objects.Get(ctx, key, &backend.GetOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("read metrics %s: %w", key, err)
	}
	defer object.Body.Close()
	var sums blockSums
	whole := func(err error) error {
		if err != nil {
			return fmt.Errorf("%w: read metrics %s: %w", azml.ErrUnavailable, key, err)
		}
		if got := sums.object(from.Name); got.Size != from.Size || !slices.Equal(got.Sums, from.Sums) {
			return fmt.Errorf("%w: %s is not as it was written", azml.ErrDamaged, key)
		}
		return nil
	}
	if from.Size <= inMemory {
		var b bytes.Buffer
		_, err := io.Copy(io.MultiWriter(&b, &sums), object.Body)
		return bytes.NewReader(b.Bytes()), func() {}, whole(err)
	}
	file, err := os.CreateTemp("", "azml-metrics-")
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	discard = func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}
	_, err = io.Copy(io.MultiWriter(file, &sums), object.Body)
	if err = whole(err); err != nil {
		discard()
		return nil, nil, err
	}
	return io.NewSectionReader(file, 0, from.Size), discard, nil
}
