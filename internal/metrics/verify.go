package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/azml-go/azml"
)

// Damage is one place where a log is not as it was written.
type Damage struct {
	// Object is the key of an object, or the path of a spool file.
	Object string
	// Offset is the first byte of the damaged frame, block or record.
	Offset int64
	// Problem says what is wrong.
	Problem string
}

// Verify reads every segment, what is sealed, and the spool files of dead
// writers on this machine, and lists what is damaged: frames and blocks that
// fail their checksum or make no sense, points that are missing, and a digest
// that is not that of the points. It goes on behind damage as far as it can. A
// last frame or record that was cut off is no damage. stored is how many points
// of each writer are known to have been in the store; nil for nothing. Errors:
// those of the store, ctx's; damage alone is none.
func (l *Log) Verify(ctx context.Context, stored map[string]uint64) ([]Damage, error) {
	for try := 0; ; try++ {
		v := &verification{log: l}
		err := v.all(ctx, stored)
		if errors.Is(err, azml.ErrNotFound) && try < maxPlans {
			continue // it was sealed meanwhile
		}
		slices.SortFunc(v.found, func(a, b Damage) int {
			return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Offset, b.Offset))
		})
		return v.found, err
	}
}

type verification struct {
	log   *Log
	found []Damage
	seq   uint64 // the last point seen of the writer at hand
}

func (v *verification) all(ctx context.Context, stored map[string]uint64) error {
	there, err := v.log.contents(ctx)
	unknown := errors.Is(err, azml.ErrDamaged) || errors.Is(err, azml.ErrUnsupported)
	if unknown {
		v.report(v.log.sealedKey(), 0, err.Error())
	} else if err != nil {
		return err
	}
	if there.sealed != nil {
		if err := v.sealed(ctx, there.sealed); err != nil {
			return err
		}
	}
	for _, writer := range slices.Sorted(maps.Keys(union(there.segments, stored))) {
		v.seq = there.sealed.writer(writer).Seq
		if unknown { // how many points were sealed
			v.seq = math.MaxUint64 - 1
		}
		for _, s := range there.segments[writer] {
			if err := v.segment(ctx, writer, s); err != nil {
				return err
			}
		}
		v.end(writer, stored[writer])
	}
	return v.spools(ctx)
}

// union gives the keys of both maps.
func union[A, B any](a map[string]A, b map[string]B) map[string]bool {
	all := make(map[string]bool, len(a))
	for key := range a {
		all[key] = true
	}
	for key := range b {
		all[key] = true
	}
	return all
}

func (v *verification) report(object string, offset int64, problem string) {
	v.found = append(v.found, Damage{Object: object, Offset: offset, Problem: problem})
}

// end compares the last point that was seen of the writer with what was stored.
func (v *verification) end(writer string, stored uint64) {
	if v.seq < stored {
		v.report(v.log.prefix+writer, 0, fmt.Sprintf("points %d to %d of writer %s are missing at the end", v.seq+1, stored, writer))
	}
}

func (v *verification) segment(ctx context.Context, writer string, s segment) error {
	r, err := openSegment(ctx, v.log.objects, s.info.Key, 0)
	if err != nil {
		return err
	}
	defer r.close()
	for {
		start := r.off
		h, ok, err := r.header()
		if errors.Is(err, azml.ErrDamaged) {
			v.report(r.key, start, err.Error())
			return nil
		}
		if !ok || err != nil {
			return err
		}
		payload, ok, err := r.payload(h)
		if !ok || err != nil {
			return err
		}
		if h.first > v.seq+1 {
			v.report(r.key, start, fmt.Sprintf("points %d to %d of writer %s are missing before this place", v.seq+1, h.first-1, writer))
		}
		v.seq = max(v.seq, h.last())
		if err := checkFrame(h, payload); err != nil {
			v.report(r.key, start, err.Error())
		}
	}
}

func checkFrame(h frameHeader, payload []byte) error {
	f, err := readFrame(h, payload)
	if err != nil {
		return err
	}
	for e := new(entry); f.next(e); {
		if _, err := e.point(""); err != nil {
			return fmt.Errorf("point %d: %w", e.seq, err)
		}
	}
	return nil
}

// spools checks the files of writers that are dead; those of the living change
// while they are read.
func (v *verification) spools(ctx context.Context) error {
	files, err := v.log.spool.list()
	if err != nil {
		return err
	}
	for writer, numbers := range files {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("verify metrics: %w", err)
		}
		lock, ok, err := tryLock(v.log.spool.lock(writer))
		if err != nil {
			return fmt.Errorf("%w: lock spool files of metrics: %w", azml.ErrUnavailable, err)
		}
		if !ok {
			continue
		}
		for _, number := range numbers {
			if err = v.spool(v.log.spool.file(writer, number)); err != nil {
				break
			}
		}
		lock.release()
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) spool(path string) error {
	r, err := openSpool(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case errors.Is(err, errNoHeader):
		return v.headless(path)
	case err != nil:
		return err
	}
	defer r.close()
	for e := new(entry); ; {
		ok, err := r.next(e)
		if ok {
			if _, err = e.point(""); err == nil {
				continue
			}
		}
		if err != nil {
			v.report(path, r.off, err.Error())
			return nil
		}
		torn, err := r.tornOnly()
		if err != nil {
			return fmt.Errorf("%w: read spool file of metrics: %w", azml.ErrUnavailable, err)
		}
		if !torn {
			v.report(path, r.off, "a record fails its checksum and more follows")
		}
		return nil
	}
}

func (v *verification) headless(path string) error {
	torn, err := v.log.headless(path)
	if err == nil && !torn {
		v.report(path, 0, errNoHeader.Error())
	}
	return err
}
