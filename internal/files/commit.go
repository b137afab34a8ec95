package files

import (
	"context"
	"errors"
	"fmt"

	"github.com/azml-go/azml"
)

// Commit waits until all files are read and all chunks are durable, and gives
// their manifest. It ends the batch, also when it fails. A batch that took
// longer than half the grace period makes sure that no collector condemned
// what it relies on, and stores such chunks again. Errors: the first that any
// file met; ErrInvalid when the entries contradict each other; ErrConflict when
// a chunk that was there is gone.
func (b *Batch) Commit(ctx context.Context) (*Manifest, Stats, error) {
	m, err := b.assembled(ctx)
	if err != nil {
		b.Abort()
		return nil, Stats{}, err
	}
	if err := b.end(ctx, m, func() error { return nil }); err != nil {
		return nil, Stats{}, err
	}
	return m, b.stats, nil
}

// CommitManifest is Commit and then PutManifest, but in the time of one: the
// manifest goes out beside the last pack. It gives the manifest's ID, too.
func (b *Batch) CommitManifest(ctx context.Context) (id string, _ *Manifest, _ Stats, err error) {
	id, m, stored, err := b.Finish(ctx)
	if err == nil {
		err = stored()
	}
	if err != nil {
		return "", nil, Stats{}, err
	}
	return id, m, b.stats, nil
}

// Finish is CommitManifest that gives the manifest and its ID as soon as all files
// are read, if what is left is one pack to a store on this machine. stored waits
// until all that is durable, each time that it is called, and gives the errors of
// that. Who makes a record that refers to the manifest does so meanwhile, and has it
// not seen before. What takes longer is waited for at once, for who makes a record
// may keep others from making theirs. The caller calls stored or Abort.
func (b *Batch) Finish(ctx context.Context) (id string, _ *Manifest, stored func() error, err error) {
	m, err := b.assembled(ctx)
	if err != nil {
		b.Abort()
		return "", nil, nil, err
	}
	id, put, err := b.s.BeginManifest(ctx, m)
	if err != nil {
		b.Abort()
		return "", nil, nil, err
	}
	var failed error
	b.mu.Lock()
	soon := b.s.local && b.packs == 0
	b.mu.Unlock()
	b.ending.Go(func() { failed = b.end(ctx, m, put) })
	stored = func() error { b.ending.Wait(); return failed }
	if !soon {
		if err := stored(); err != nil {
			return "", nil, nil, err
		}
	}
	return id, m, stored, nil
}

// assembled waits until all files are read, and gives their manifest.
func (b *Batch) assembled(ctx context.Context) (*Manifest, error) {
	b.mu.Lock()
	ended := b.ended
	b.mu.Unlock()
	if ended {
		return nil, fmt.Errorf("%w: the batch has ended", azml.ErrClosed)
	}
	stop := context.AfterFunc(ctx, func() { b.work.fail(context.Cause(ctx)) })
	defer stop()
	if err := b.work.drain(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	m := assemble(b.files)
	return m, m.Validate()
}

// end waits until all chunks are durable, and what is stored beside them, and ends
// the batch.
func (b *Batch) end(ctx context.Context, m *Manifest, beside func() error) error {
	defer b.close()
	stop := context.AfterFunc(ctx, func() { b.work.fail(context.Cause(ctx)) })
	defer stop()
	err := b.flush(ctx)
	if err == nil {
		err = b.secure(ctx)
	}
	if failed := beside(); err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	b.s.saveStatCache(b.opts.Scope, b.cache)
	b.count(func(s *Stats) {
		for _, f := range m.Files {
			if f.IsRegular() {
				s.Files++
				s.Bytes += f.Size
			}
		}
	})
	return nil
}

// flush waits for all files, and writes the last pack and its index.
func (b *Batch) flush(ctx context.Context) error {
	if err := b.work.drain(); err != nil {
		return err
	}
	b.mu.Lock()
	last, only := b.takeOpen(1), b.packs == 0
	b.mu.Unlock()
	if only && last != nil {
		return b.writeOnly(ctx, last)
	}
	if err := b.upload(last); err != nil {
		return err
	}
	if err := b.uploads.drain(); err != nil {
		return err
	}
	b.mu.Lock()
	packs := b.done
	b.done = nil
	b.mu.Unlock()
	return b.writeIndex(ctx, packs)
}

// writeOnly writes the only pack of a batch and its index, in the time of one. An
// index whose pack is not there, or not yet, does no harm: nothing refers to the
// chunks before the batch has ended, writers ask for a pack before they rely on
// it, and the collector forgets one that stays away.
func (b *Batch) writeOnly(ctx context.Context, p *packer) error {
	p.id = newPackID()
	packs := []*pack{&p.pack}
	key, data := b.s.newIndexObject(packs)
	both := newGroup(ctx, 2)
	err := both.run(ctx, func(ctx context.Context) error { return b.s.writePack(ctx, p) })
	if err == nil {
		err = both.run(ctx, func(ctx context.Context) error { return b.s.putIndex(ctx, key, data) })
	}
	if failed := both.wait(); failed != nil {
		err = failed
	}
	if err != nil {
		b.work.fail(err)
		return err
	}
	b.s.index.add(key, packs)
	b.s.buffers.putPack(p.data)
	b.count(func(s *Stats) { s.Objects += 2 })
	return nil
}

// secure sees to it that every chunk of the batch is there and not condemned,
// also if the batch is so old that this may be otherwise.
func (b *Batch) secure(ctx context.Context) error {
	fresh := b.s.now().Sub(b.started) > b.s.grace/2
	if fresh {
		if err := b.s.refresh(ctx); err != nil {
			return err
		}
	}
	rescue, err := b.endangered(ctx)
	if errors.Is(err, azml.ErrConflict) && !fresh {
		if err := b.s.refresh(ctx); err != nil {
			return err
		}
		rescue, err = b.endangered(ctx)
	}
	if err != nil {
		return err
	}
	if len(rescue) == 0 {
		return nil
	}
	b.claims = map[digest]struct{}{}
	err = b.s.fetch(ctx, rescue, func(w want, data []byte, err error) error {
		if err != nil {
			return err
		}
		return b.put(w.digest, data, true)
	})
	if err != nil {
		return err
	}
	return b.flush(ctx)
}

// endangered gives the chunks of the batch that are condemned. ErrConflict when
// one is gone.
func (b *Batch) endangered(ctx context.Context) (rescue []want, err error) {
	for d, size := range b.needed() {
		usable, err := b.s.reusable(ctx, d)
		if err != nil {
			return nil, err
		}
		at, ok := b.s.index.find(d)
		switch {
		case !ok || !usable && b.s.index.state(d).object == gone:
			return nil, fmt.Errorf("%w: chunk %s was there when the batch began and is gone; add the files again", azml.ErrConflict, d)
		case at.size != size:
			return nil, fmt.Errorf("%w: chunk %s has %d bytes, not %d", azml.ErrInvalid, d, at.size, size)
		case !usable:
			rescue = append(rescue, want{digest: d, size: int64(size)})
		}
	}
	return rescue, nil
}

// needed gives the chunks of the batch, those of its own packs included.
func (b *Batch) needed() map[digest]uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[digest]uint32, len(b.reused)+len(b.claims))
	for d, size := range b.reused {
		all[d] = size
	}
	for d := range b.claims {
		if at, ok := b.s.index.find(d); ok {
			all[d] = at.size
		} else {
			all[d] = 0
		}
	}
	return all
}
