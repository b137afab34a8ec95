package metrics

import (
	"context"
	"errors"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

// sealed checks sealed metrics: every block of both objects, then what they
// hold.
func (v *verification) sealed(ctx context.Context, s *sealed) error {
	sound := true
	for _, o := range []record.SealedObject{s.Points, s.Digest} {
		ok, err := v.blocks(v.log.sealedObject(ctx, o))
		if err != nil {
			return err
		}
		sound = sound && ok
	}
	if !sound {
		return nil
	}
	err := v.log.checkSealed(ctx, s)
	if errors.Is(err, azml.ErrDamaged) {
		v.report(v.log.prefix+s.Points.Name, 0, err.Error())
		return nil
	}
	return err
}

// blocks checks all blocks of an object, false when one is damaged.
func (v *verification) blocks(o *checkedObject) (sound bool, err error) {
	sound = true
	for off := int64(0); off < o.stored.Size; off += blockSize {
		var b [1]byte
		_, err := o.ReadAt(b[:], off)
		switch {
		case errors.Is(err, azml.ErrDamaged):
			// The first block that fails in what was read at once; go on behind it.
			v.report(o.key, off, err.Error())
			sound = false
			off += o.ahead - blockSize
		case errors.Is(err, azml.ErrNotFound):
			return false, v.gone(o, err)
		case err != nil:
			return false, err
		}
	}
	return sound, nil
}

// gone reports an object that the record names and that is not there, unless
// the record has changed meanwhile.
func (v *verification) gone(o *checkedObject, err error) error {
	now, readErr := v.log.readSealed(o.ctx)
	if readErr == nil && now != nil && (v.log.prefix+now.Points.Name == o.key || v.log.prefix+now.Digest.Name == o.key) {
		v.report(o.key, 0, "the object is not there")
		return nil
	}
	return errors.Join(err, readErr)
}

// checkSealed compares points, record and digest.
func (l *Log) checkSealed(ctx context.Context, s *sealed) error {
	r, err := l.openTables(ctx, s, nil)
	if err != nil {
		return err
	}
	d, err := l.openDigest(ctx, s)
	if err != nil {
		return err
	}
	c := &sealedCheck{seqs: map[string]int64{}, sums: map[string]*summing{}}
	for group := range r.groups() {
		t, err := r.group(group)
		if err != nil {
			return err
		}
		if err := c.table(t); err != nil {
			return fmt.Errorf("%w: row group %d: %w", azml.ErrDamaged, group, err)
		}
	}
	if err := c.writers(s); err != nil {
		return err
	}
	return c.digest(d)
}

// sealedCheck counts what the points come to.
type sealedCheck struct {
	seqs map[string]int64
	sums map[string]*summing
	rows int64
}

func (c *sealedCheck) table(t *table) error {
	for writer, rows := range t.byWriter() {
		for _, row := range rows {
			if c.seqs[writer]++; t.seqs[row] != c.seqs[writer] {
				return fmt.Errorf("point %d of writer %s is where point %d belongs", t.seqs[row], writer, c.seqs[writer])
			}
		}
	}
	var e entry
	for row := range t.rows() {
		t.point(row, &e)
		if _, err := e.point(""); err != nil {
			return fmt.Errorf("point %d: %w", e.seq, err)
		}
		s := c.sums[e.series.name]
		if s == nil {
			s = &summing{}
			c.sums[e.series.name] = s
		}
		s.sum.Count++
		if v, ok := number(e.series.typ, e.bits); ok && e.series.kind == codeScalar {
			s.sum.Add(v)
		}
	}
	c.rows += int64(t.rows())
	return nil
}

func (c *sealedCheck) writers(s *sealed) error {
	for writer, w := range s.Writers {
		if c.seqs[writer] != int64(w.Seq) {
			return fmt.Errorf("%w: writer %s has %d points, the record says %d", azml.ErrDamaged, writer, c.seqs[writer], w.Seq)
		}
	}
	if len(c.seqs) != len(s.Writers) || c.rows != s.Count {
		return fmt.Errorf("%w: %d points of %d writers, the record says %d of %d", azml.ErrDamaged, c.rows, len(c.seqs), s.Count, len(s.Writers))
	}
	return nil
}

func (c *sealedCheck) digest(d *digest) error {
	if len(c.sums) != len(d.metrics) {
		return fmt.Errorf("%w: the digest has %d metrics, the points have %d", azml.ErrDamaged, len(d.metrics), len(c.sums))
	}
	for name, s := range c.sums {
		m, ok := d.metrics[name]
		if !ok || m.sum.Count != s.sum.Count || m.sum.Tally != s.sum.Tally {
			return fmt.Errorf("%w: the digest of metric %q is not that of its points", azml.ErrDamaged, name)
		}
		for _, stored := range m.stored {
			level, err := d.level(stored)
			if err != nil {
				return err
			}
			var all Bucket
			for i := range level {
				all.Numbers, all.NaNs = all.Numbers+level[i].Numbers, all.NaNs+level[i].NaNs
			}
			if all.Numbers != s.sum.Numbers || all.NaNs != s.sum.NaNs {
				return fmt.Errorf("%w: the chart of metric %q is not that of its points", azml.ErrDamaged, name)
			}
		}
	}
	return nil
}

// Leftovers lists the objects of sealings that were cut off, or are going on:
// the record names others. They do no harm.
func (l *Log) Leftovers(ctx context.Context) ([]backend.Info, error) {
	there, err := l.contents(ctx)
	if err != nil {
		return nil, err
	}
	var left []backend.Info
	for _, info := range there.others {
		if s := there.sealed; s == nil || info.Key != l.prefix+s.Points.Name && info.Key != l.prefix+s.Digest.Name {
			left = append(left, info)
		}
	}
	return left, nil
}
