package files

import (
	"context"
	"fmt"
	"sync"

	"github.com/azml-go/azml"
)

// Transfer brings contents from another store: only chunks that this one lacks,
// each checked before it is stored. It is for one goroutine, and must be ended by
// Commit or Abort.
type Transfer struct {
	s, from *Store
	b       *Batch

	mu    sync.Mutex
	asked map[digest]bool  // chunks that are stored or on their way
	bad   map[digest]error // chunks that can't be had
}

// NewTransfer begins to bring contents of the store from. The records that need
// them must be written within half a grace period, as after a Batch. Cost: two
// requests and a read for each index object that this process doesn't know yet.
func (s *Store) NewTransfer(ctx context.Context, from *Store) (*Transfer, error) {
	started := s.now()
	if err := s.begin(ctx); err != nil {
		return nil, fmt.Errorf("begin a transfer of files: %w", err)
	}
	if err := s.learn(ctx); err != nil {
		return nil, fmt.Errorf("begin a transfer of files: %w", err)
	}
	t := &Transfer{s: s, from: from, b: s.newBatch(ctx, BatchOptions{}), asked: map[digest]bool{}, bad: map[digest]error{}}
	t.b.started = started
	return t, nil
}

// Add brings the contents of the manifests' files. What is missing or damaged in
// the other store is no error: Check tells of it.
func (t *Transfer) Add(ctx context.Context, manifests ...*Manifest) error {
	wanted, err := t.lacking(ctx, manifests)
	if err != nil {
		return err
	}
	return t.from.fetch(ctx, wanted, func(w want, data []byte, err error) error {
		if err == nil && int64(len(data)) != w.size {
			err = fmt.Errorf("%w: chunk %s has %d bytes, not %d", azml.ErrDamaged, w.digest, len(data), w.size)
		}
		if err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.bad[w.digest] = err
			return nil
		}
		return t.b.put(w.digest, data, true)
	})
}

// Lacking tells how many chunks of the manifests, and how many bytes, Add would
// bring, and notes them as if it had.
func (t *Transfer) Lacking(ctx context.Context, manifests ...*Manifest) (chunks int, bytes int64, err error) {
	wanted, err := t.lacking(ctx, manifests)
	for _, w := range wanted {
		bytes += w.size
	}
	return len(wanted), bytes, err
}

// lacking gives the chunks that are neither stored nor on their way.
func (t *Transfer) lacking(ctx context.Context, manifests []*Manifest) (wanted []want, err error) {
	for _, m := range manifests {
		for _, f := range m.Files {
			for _, c := range f.Chunks {
				d, err := parseDigest(c.Digest)
				if err != nil {
					return nil, err
				}
				if t.asked[d] {
					continue
				}
				t.asked[d] = true
				stored, err := t.s.reusable(ctx, d)
				if err != nil {
					return nil, err
				}
				if stored {
					t.b.mu.Lock()
					t.b.reused[d] = uint32(c.Size)
					t.b.mu.Unlock()
					continue
				}
				wanted = append(wanted, want{d, c.Size})
			}
		}
	}
	return wanted, nil
}

// Check gives an error of class ErrDamaged when contents of the manifest's files
// can't be had, naming one of the files.
func (t *Transfer) Check(m *Manifest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range m.Files {
		for _, c := range f.Chunks {
			d, _ := parseDigest(c.Digest) // Add has parsed it
			if err, ok := t.bad[d]; ok {
				return fmt.Errorf("file %q: %w", f.Path, err)
			}
		}
	}
	return nil
}

// Commit waits until all chunks are durable, and sees to it that no collector has
// condemned what was there. It ends the transfer, also when it fails. Errors:
// ErrConflict when a chunk that was there is gone: transfer again.
func (t *Transfer) Commit(ctx context.Context) (Stats, error) {
	defer t.b.Abort()
	stop := context.AfterFunc(ctx, func() { t.b.work.fail(context.Cause(ctx)) })
	defer stop()
	if err := t.b.flush(ctx); err != nil {
		return Stats{}, err
	}
	if err := t.b.secure(ctx); err != nil {
		return Stats{}, err
	}
	return t.b.stats, nil
}

// Abort ends the transfer. After Commit it does nothing.
func (t *Transfer) Abort() { t.b.Abort() }
