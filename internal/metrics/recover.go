package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/azml-go/azml"
)

// Recovered tells what Recover did.
type Recovered struct {
	// Writers is the number of dead writers whose spool files are gone now.
	Writers int
	// Points is the number of points that were in the spool only and are in
	// the store now.
	Points int
	// Damaged are the paths of spool files that were damaged by something else
	// than the death of their writer. They were put aside under these names.
	Damaged []string
}

// Recover ships what writers of this machine left in the spool folder when
// their process died, and deletes it, the folder when nothing else is in it
// among it. Points that are in the store already are
// not stored again. Writers that live, in this process or another, and those
// that another Recover has in hand are left alone. What fails for one writer
// does not keep it from the others. After an error it can be called again.
// Errors: those of the store, ErrUnavailable for the spool folder, ErrInvalid
// for a spool file of another log.
func (l *Log) Recover(ctx context.Context) (Recovered, error) {
	var sum Recovered
	err := l.eachDead(ctx, func(writer string, numbers []uint32) error {
		err := l.drainDead(ctx, writer, numbers, &sum)
		if err == nil {
			sum.Writers++
		}
		return err
	})
	return sum, err
}

// Discard deletes what writers of this machine left in the spool folder when
// their process died, of a log that was deleted. Files that were put aside
// because of damage stay. Writers that live are left alone, as Recover does.
// Errors: ErrUnavailable for the spool folder.
func (l *Log) Discard(ctx context.Context) error {
	return l.eachDead(ctx, func(writer string, numbers []uint32) error {
		for _, number := range numbers {
			if err := os.Remove(l.spool.file(writer, number)); err != nil {
				return fmt.Errorf("%w: delete spool file of metrics: %w", azml.ErrUnavailable, err)
			}
		}
		return nil
	})
}

// eachDead calls do for each dead writer that has spool files, under its lock;
// what do gives no error for must leave none of them. Then it deletes the
// writer's lock, and the folder when nothing is left in it.
func (l *Log) eachDead(ctx context.Context, do func(writer string, numbers []uint32) error) error {
	var failed []error
	files, err := l.spool.list()
	if err != nil {
		return err
	}
	for writer := range files {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("recover metrics: %w", err)
		}
		if err := l.ifDead(writer, do); err != nil {
			failed = append(failed, fmt.Errorf("recover metrics of writer %s: %w", writer, err))
		}
	}
	l.spool.removeEmpty() // when nothing has failed, and nobody logs
	return errors.Join(failed...)
}

func (l *Log) ifDead(writer string, do func(writer string, numbers []uint32) error) error {
	lock, ok, err := tryLock(l.spool.lock(writer))
	if err != nil {
		return fmt.Errorf("%w: lock spool files: %w", azml.ErrUnavailable, err)
	}
	if !ok {
		return nil
	}
	files, err := l.spool.list() // again: as it is under the lock
	if err != nil {
		lock.release()
		return err
	}
	if numbers := files[writer]; len(numbers) > 0 {
		if err := do(writer, numbers); err != nil {
			lock.release()
			return err
		}
	}
	lock.remove()
	return nil
}

// drainDead ships the files of a dead writer to a new segment of its own, so
// that a late write of the dead process can't be in the way.
func (l *Log) drainDead(ctx context.Context, writer string, numbers []uint32, sum *Recovered) error {
	last, segment, err := l.lastShipped(ctx, writer)
	if err != nil {
		return err
	}
	d := &drain{
		ship: shipper{log: l, writer: writer, number: segment + 1},
		dir:  l.spool, number: numbers[0], skip: last, shipped: last,
		after: func(number uint32) (uint32, bool) {
			i := slices.Index(numbers, number) + 1
			if i == len(numbers) {
				return 0, false
			}
			return numbers[i], true
		},
	}
	defer d.close()
	err = d.dead(ctx)
	sum.Points += d.points
	sum.Damaged = append(sum.Damaged, d.damaged...)
	return err
}

// dead ships everything and lets no file be. A file without a whole header was
// just being made, or is damaged.
func (d *drain) dead(ctx context.Context) error {
	for {
		err := d.all(ctx)
		switch {
		case errors.Is(err, errNoHeader):
			err = d.headless()
		case err == nil:
			err = d.finish()
		case errors.Is(err, azml.ErrDamaged) && d.reader != nil:
			off := d.reader.off
			d.close()
			err = d.keep(off)
		}
		if err != nil {
			return err
		}
		next, ok := d.after(d.number)
		if !ok {
			d.clean()
			return nil
		}
		d.number = next
	}
}

func (d *drain) headless() error {
	torn, err := d.ship.log.headless(d.path())
	if err != nil {
		return err
	}
	if !torn {
		return d.keep(0)
	}
	d.done = append(d.done, d.number)
	return nil
}

// headless tells whether a spool file without a whole header was just being
// made when its writer died.
func (l *Log) headless(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("%w: read spool file of metrics: %w", azml.ErrUnavailable, err)
	}
	defer f.Close()
	zero, err := zeroFrom(f, int64(spoolHeaderSize+len(l.prefix)))
	if err != nil {
		return false, fmt.Errorf("%w: read spool file of metrics: %w", azml.ErrUnavailable, err)
	}
	return zero, nil
}

// lastShipped gives the last point of the writer that the store has, and the
// highest number that a segment of it has had.
func (l *Log) lastShipped(ctx context.Context, writer string) (seq uint64, number int, err error) {
	there, err := l.contents(ctx)
	if err != nil {
		return 0, 0, err
	}
	sealed := there.sealed.writer(writer)
	number = sealed.Segment
	for _, s := range slices.Backward(there.segments[writer]) {
		number = max(number, s.number)
		if seq == 0 {
			if seq, err = l.lastIn(ctx, s.info.Key); err != nil {
				return 0, 0, err
			}
		}
	}
	return max(seq, sealed.Seq), number, nil
}

// lastIn gives the last point of the segment, 0 when it has none. What is
// damaged can't tell, so points behind damage are shipped again.
func (l *Log) lastIn(ctx context.Context, key string) (seq uint64, err error) {
	r, err := openSegment(ctx, l.objects, key, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, azml.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer r.close()
	for {
		h, ok, err := r.header()
		if ok {
			ok, err = r.skip(h)
		}
		if errors.Is(err, azml.ErrDamaged) {
			return seq, nil
		}
		if !ok || err != nil {
			return seq, err
		}
		seq = h.last()
	}
}
