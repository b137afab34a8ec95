package files

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/azml-go/azml/backend"
)

// A long batch writes an index after so many packs, and with the first pack after that
// time, so that little of a big upload is lost when the process dies.
const (
	indexEvery = 64
	indexAfter = 5 * time.Second
)

// store reads r to its end, cuts it and sees to it that every chunk is stored
// or on its way.
func (b *Batch) store(ctx context.Context, r io.Reader) (File, error) {
	var f File
	whole := sha256.New()
	err := b.s.buffers.cut(ctx, r, func(chunk []byte) error {
		var d digest
		if len(f.Chunks) == 0 { // hashed once for both
			whole.Write(chunk)
			whole.Sum(d[:0])
		} else {
			var hashing sync.WaitGroup
			hashing.Go(func() { whole.Write(chunk) })
			d = digestOf(chunk)
			hashing.Wait()
		}
		f.Size += int64(len(chunk))
		f.Chunks = append(f.Chunks, Chunk{Digest: d.String(), Size: int64(len(chunk))})
		return b.put(d, chunk, false)
	})
	if err != nil {
		return File{}, err
	}
	f.Digest = digest(whole.Sum(nil)).String()
	return f, nil
}

// put stores a chunk, unless it is stored already and anew is not set. It
// waits when too many packs are on their way.
func (b *Batch) put(d digest, chunk []byte, anew bool) error {
	if b.claimed(d) {
		return nil
	}
	stored := false
	if !anew {
		var err error
		if stored, err = b.reuse(d, int64(len(chunk))); err != nil {
			return err
		}
	}
	b.mu.Lock()
	if _, ok := b.claims[d]; ok {
		b.mu.Unlock()
		return nil
	}
	if stored {
		b.reused[d] = uint32(len(chunk))
		b.mu.Unlock()
		return nil
	}
	b.claims[d] = struct{}{}
	b.open.add(d, chunk, &b.s.buffers)
	b.stats.NewChunks++
	b.stats.NewBytes += int64(len(chunk))
	full := b.takeOpen(b.s.packSize)
	if full != nil {
		b.packs++
	}
	b.mu.Unlock()
	return b.upload(full)
}

// takeOpen takes the open pack away if it has at least size bytes. The caller
// holds mu.
func (b *Batch) takeOpen(size int) *packer {
	if len(b.open.data) < size {
		return nil
	}
	p := b.open
	b.open = &packer{}
	return p
}

// upload writes a pack in the background.
func (b *Batch) upload(p *packer) error {
	if p == nil {
		return nil
	}
	return b.uploads.run(context.Background(), func(ctx context.Context) error {
		p.id = newPackID()
		if err := b.s.writePack(ctx, p); err != nil {
			b.work.fail(err)
			return err
		}
		b.s.buffers.putPack(p.data)
		p.data = nil
		b.mu.Lock()
		b.stats.Objects++
		b.done = append(b.done, &p.pack)
		var ready []*pack
		if now := b.s.now(); len(b.done) >= indexEvery || now.Sub(b.indexed) >= indexAfter {
			ready, b.done, b.indexed = b.done, nil, now
		}
		b.mu.Unlock()
		return b.writeIndex(ctx, ready)
	})
}

// writeIndex writes an index of packs, if there are any.
func (b *Batch) writeIndex(ctx context.Context, packs []*pack) error {
	if len(packs) == 0 {
		return nil
	}
	if err := b.s.writeIndex(ctx, packs); err != nil {
		b.work.fail(err)
		return err
	}
	b.count(func(s *Stats) { s.Objects++ })
	return nil
}

// writePack stores a pack.
func (s *Store) writePack(ctx context.Context, p *packer) error {
	if _, err := s.objects.Put(ctx, p.id.key(), content(p.finish()), &backend.PutOptions{}); err != nil {
		return fmt.Errorf("store a pack of chunks: %w", err)
	}
	return nil
}

// writeIndex stores an index object and takes its packs into the index.
func (s *Store) writeIndex(ctx context.Context, packs []*pack) error {
	key, data := s.newIndexObject(packs)
	if err := s.putIndex(ctx, key, data); err != nil {
		return err
	}
	s.index.add(key, packs)
	return nil
}

// newIndexObject gives an index object of packs, and the key for it.
func (s *Store) newIndexObject(packs []*pack) (key string, data []byte) {
	return indexKey(s.now()) + "-" + newPackID().String() + indexSuffix, encodeIndex(packs)
}

func (s *Store) putIndex(ctx context.Context, key string, data []byte) error {
	if _, err := s.objects.Put(ctx, key, content(data), &backend.PutOptions{}); err != nil {
		return fmt.Errorf("store a pack index: %w", err)
	}
	s.writeCache(s.indexCache(key), data)
	return nil
}
