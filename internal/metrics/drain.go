package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"github.com/azml-go/azml"
)

// drain takes the points of one writer from its spool files, in order, and
// ships them in frames. It deletes a file when all of it is shipped.
type drain struct {
	ship    shipper
	dir     spoolDir
	number  uint32                             // of the file being read
	after   func(number uint32) (uint32, bool) // the file that follows one, if any does
	reader  *spoolReader
	skip    uint64 // points up to this one are in the store already
	shipped uint64
	held    *entry   // was read and begins the next frame
	pending []byte   // a frame on its way
	last    uint64   // the last point in it
	count   int      // the points in it
	done    []uint32 // files whose points are all shipped, but for the pending frame
	points  int      // how many were shipped
	damaged []string // files kept because of damage
}

// errDrained says that the files hold no further point.
var errDrained = errors.New("no further point")

// upTo ships the points up to the one numbered goal. After an error it can be
// called again. It returns errDrained when the files end before.
func (d *drain) upTo(ctx context.Context, goal uint64) error {
	for d.shipped < goal {
		if d.pending == nil {
			if err := d.collect(goal); err != nil {
				return err
			}
		}
		if err := d.ship.send(ctx, d.pending); err != nil {
			return err
		}
		d.points += d.count
		d.ship.log.shipped(ctx, d.count)
		d.shipped, d.pending = d.last, nil
		d.clean()
	}
	return nil
}

// all ships every point there is.
func (d *drain) all(ctx context.Context) error {
	err := d.upTo(ctx, math.MaxUint64)
	if !errors.Is(err, errDrained) {
		return err
	}
	d.clean()
	return nil
}

// collect reads a frame's worth of points, at least one.
func (d *drain) collect(goal uint64) error {
	var b batch
	var e entry
	limits := &d.ship.log.limits
	for b.count() < limits.framePoints && b.size < limits.frameBytes && b.next() <= goal {
		err := d.next(&e)
		if err != nil && b.count() > 0 {
			break // the frame goes first; the error comes again
		}
		if err != nil {
			return err
		}
		if e.seq <= d.skip {
			continue
		}
		if !b.follows(&e) {
			e.blob = append([]byte(nil), e.blob...)
			d.held = &e
			break
		}
		b.add(&e)
	}
	d.last, d.count = b.next()-1, b.count()
	d.pending = b.frame()
	return nil
}

// next reads the next point, from the next file when one has ended.
func (d *drain) next(e *entry) error {
	if d.held != nil {
		*e, d.held = *d.held, nil
		return nil
	}
	for {
		if d.reader == nil {
			if err := d.open(); err != nil {
				return err
			}
		}
		ok, err := d.reader.next(e)
		if ok || err != nil {
			return err
		}
		next, ok := d.after(d.number)
		if !ok {
			return errDrained
		}
		if err := d.finish(); err != nil {
			return err
		}
		d.number = next
	}
}

func (d *drain) path() string { return d.dir.file(d.ship.writer, d.number) }

func (d *drain) open() error {
	r, err := openSpool(d.path())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: spool file %s of metrics is gone", azml.ErrDamaged, d.path())
	}
	if err == nil && (r.prefix != d.ship.log.prefix || r.writer != d.ship.writer) {
		r.close()
		return fmt.Errorf("%w: spool file %s belongs to writer %s of the log %q; give each log a spool folder of its own",
			azml.ErrInvalid, d.path(), r.writer, r.prefix)
	}
	d.reader = r
	return err
}

// finish ends the reading of a file to which nothing is written any more. A
// file that has more behind its last good record than a torn record is kept
// for people to look at.
func (d *drain) finish() error {
	torn, err := d.reader.tornOnly()
	if err != nil {
		return fmt.Errorf("%w: read spool file of metrics: %w", azml.ErrUnavailable, err)
	}
	off := d.reader.off
	d.close()
	if torn {
		d.done = append(d.done, d.number)
		return nil
	}
	return d.keep(off)
}

// keep puts a damaged file aside.
func (d *drain) keep(off int64) error {
	kept := d.path() + damagedSuffix
	d.ship.log.logger.Error("spool file of metrics is damaged; points after this place are lost", "file", d.path(), "offset", off, "kept", kept)
	if err := os.Rename(d.path(), kept); err != nil {
		return fmt.Errorf("%w: put damaged spool file aside: %w", azml.ErrUnavailable, err)
	}
	d.damaged = append(d.damaged, kept)
	return nil
}

// clean deletes the files that are shipped. One that can't be deleted now is
// left for recovery, which finds all its points shipped.
func (d *drain) clean() {
	for _, number := range d.done {
		if err := os.Remove(d.dir.file(d.ship.writer, number)); err != nil {
			d.ship.log.logger.Warn("shipped spool file of metrics can't be deleted", "error", err)
		}
	}
	d.done = nil
}

func (d *drain) close() {
	if d.reader != nil {
		d.reader.close()
		d.reader = nil
	}
}
