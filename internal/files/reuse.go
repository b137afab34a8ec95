package files

import (
	"context"
	"errors"

	"github.com/azml-go/azml"
)

// reusable tells whether writers may count on a chunk: that it is known, not
// condemned, and its pack there. A pack that this process has not seen since
// anything was deleted is asked for once, which also finds one that is lost.
func (s *Store) reusable(ctx context.Context, d digest) (bool, error) {
	for {
		at := s.index.state(d)
		if at.object != unsure || at.doomed {
			return at.object == there && !at.doomed, nil
		}
		info, err := s.objects.Stat(ctx, at.pack.id.key())
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return false, err
		}
		if err == nil && info.Size == at.pack.size() {
			s.index.confirm(at.pack.id, there, at.generation)
			return true, nil
		}
		s.log.Warn("a pack is lost; what is added again is stored again", "key", at.pack.id.key())
		s.index.confirm(at.pack.id, gone, at.generation)
	}
}

// reuse tells whether the batch may count on a chunk. It learns what others
// have written when that is cheaper than to store what seems new.
func (b *Batch) reuse(d digest, size int64) (bool, error) {
	ok, err := b.s.reusable(b.work.ctx, d)
	if ok || err != nil {
		return ok, err
	}
	b.mu.Lock()
	b.unknown += size
	cheap := b.unknown <= int64(b.price)
	b.mu.Unlock()
	if cheap {
		return false, nil
	}
	if err := b.learn(); err != nil {
		return false, err
	}
	return b.s.reusable(b.work.ctx, d)
}

// learnOthers learns what others have written and takes that out of the open
// pack, which has all that seemed new so far.
func (b *Batch) learnOthers() error {
	if err := b.s.learn(b.work.ctx); err != nil {
		return err
	}
	b.mu.Lock()
	old := b.open
	b.open = &packer{}
	b.mu.Unlock()
	data := old.data
	for _, e := range old.entries {
		stored, err := b.s.reusable(b.work.ctx, e.digest)
		if err != nil {
			return err
		}
		b.mu.Lock()
		if stored {
			delete(b.claims, e.digest)
			b.reused[e.digest] = e.size
			b.stats.NewChunks--
			b.stats.NewBytes -= int64(e.size)
		} else {
			b.open.add(e.digest, data[:e.size], &b.s.buffers)
		}
		b.mu.Unlock()
		data = data[e.size:]
	}
	b.s.buffers.putPack(old.data)
	return nil
}
