package files

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml"
)

// BatchOptions are the options of Store.NewBatch.
type BatchOptions struct {
	// Scope names the set of files whose stat cache is read with the first file
	// and replaced at Commit, usually the absolute path of the folder that is added. Default:
	// one that all batches without a scope share.
	Scope string
	// Skip decides about a file that vanished, can't be read or keeps changing:
	// nil leaves it out, an error ends the batch with that error. It may be
	// called from several goroutines at once. Default: every such file ends
	// the batch.
	Skip func(path string, err error) error
	// Progress, when not nil, is told how many bytes of files were read so far.
	// It may be called from several goroutines at once.
	Progress func(read int64)
}

// Stats tells what a batch did.
type Stats struct {
	// Files is the number of regular files in the manifest.
	Files int
	// Bytes is the size of their contents.
	Bytes int64
	// NewChunks is the number of chunks that were not stored before.
	NewChunks int
	// NewBytes is their size.
	NewBytes int64
	// Objects is the number of objects written: packs and indexes, not the
	// manifest.
	Objects int
	// Reread is the number of files whose content was read; the others were
	// known by their size, times and inode.
	Reread int
}

// Batch adds files to a store and ends with their manifest. It is safe for
// concurrent use. Every batch must be ended by Commit, Finish or Abort.
type Batch struct {
	s       *Store
	opts    BatchOptions
	started time.Time
	cache   *statCache
	work    *group // reads files
	uploads *group // writes packs
	ending  sync.WaitGroup

	mu      sync.Mutex
	ended   bool
	files   map[string]File
	stats   Stats
	read    atomic.Int64        // bytes of files
	open    *packer             // the pack that is being filled
	packs   int                 // how many were full
	done    []*pack             // written, but in no index yet
	indexed time.Time           // when an index was written last, or the batch began
	claims  map[digest]struct{} // chunks of this batch's packs
	reused  map[digest]uint32   // chunks that were there, with their sizes

	learn   func() error // learns what others have written, once
	price   int          // how many unknown bytes that is worth
	unknown int64        // bytes that seemed new so far
}

// NewBatch begins a batch. ctx governs all of it: when it is done before
// Commit returned, the batch fails. Cost: one request. When the batch meets
// more than a little content that this process does not know, it lists the
// index objects of the last minutes, or all if it is the first to ask, and
// reads those that this process (or CacheDir) has not seen yet; others' packs
// whose chunks it uses cost one more request each, once.
func (s *Store) NewBatch(ctx context.Context, opts *BatchOptions) (*Batch, error) {
	started := s.now()
	if err := s.begin(ctx); err != nil {
		return nil, fmt.Errorf("begin a batch of files: %w", err)
	}
	var o BatchOptions
	if opts != nil {
		o = *opts
	}
	b := s.newBatch(ctx, o)
	b.started = started
	b.cache = s.newStatCache(o.Scope)
	return b, nil
}

func (s *Store) newBatch(ctx context.Context, opts BatchOptions) *Batch {
	b := &Batch{s: s, opts: opts, files: map[string]File{}, open: &packer{},
		claims: map[digest]struct{}{}, reused: map[digest]uint32{}, price: s.index.price(), indexed: s.now()}
	b.learn = sync.OnceValue(b.learnOthers)
	b.work = newGroup(ctx, s.parallel)
	b.uploads = newShared(b.work.ctx, s.uploading)
	return b
}

// AddLink adds a symbolic link. Errors: ErrInvalid ([ValidPath], [ValidLink]).
func (b *Batch) AddLink(path, target string) error {
	f := File{Path: path, Mode: ModeLink, Link: target}
	if err := f.validate(); err != nil {
		return err
	}
	return b.enter(f)
}

// AddDir adds a folder. It is in the manifest only if it stays empty. Errors:
// ErrInvalid.
func (b *Batch) AddDir(path string) error {
	f := File{Path: path, Mode: ModeDir}
	if err := f.validate(); err != nil {
		return err
	}
	return b.enter(f)
}

// AddStored adds an entry whose content is stored already, such as one of
// another manifest. No content moves; Commit fails with ErrConflict when a
// chunk is not there. Errors: ErrInvalid.
func (b *Batch) AddStored(f File) error {
	if err := f.validate(); err != nil {
		return err
	}
	b.mu.Lock()
	for _, c := range f.Chunks {
		d, _ := parseDigest(c.Digest) // validated above
		if _, ok := b.claims[d]; !ok {
			b.reused[d] = uint32(c.Size)
		}
	}
	b.mu.Unlock()
	return b.enter(f)
}

// Add adds a regular file with the content of r, reading it to its end before
// it returns. Of mode only the execute bits count. Errors: ErrInvalid, those
// of r.
func (b *Batch) Add(ctx context.Context, path string, mode fs.FileMode, r io.Reader) error {
	if err := b.usable(path); err != nil {
		return err
	}
	f, err := b.store(ctx, r)
	if err != nil {
		return fmt.Errorf("add %q: %w", path, err)
	}
	f.Path, f.Mode = path, regularMode(mode)
	b.count(func(s *Stats) { s.Reread++ })
	return b.enter(f)
}

// Abort ends the batch and waits for its goroutines. Nothing refers to what it
// stored; the next batch need not store it again, and a later Collect removes it. After
// Commit it does nothing, after Finish it only waits.
func (b *Batch) Abort() {
	b.ending.Wait()
	b.close()
}

// close is Abort, also for who is being waited for there.
func (b *Batch) close() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.work.fail(fmt.Errorf("%w: the batch was aborted", azml.ErrClosed))
	_ = b.work.wait()
	_ = b.uploads.wait()
	b.keep()
}

// keepTime bounds keep: whoever ends a batch because the store does not answer is waiting.
const keepTime = 5 * time.Second

// keep has the next batch find what one that failed has stored.
func (b *Batch) keep() {
	b.mu.Lock()
	packs := b.done
	b.done = nil
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.work.ctx), keepTime)
	defer cancel()
	_ = b.writeIndex(ctx, packs) // else it is stored again
}

// usable tells whether an entry may be added at path.
func (b *Batch) usable(path string) error {
	if err := ValidPath(path); err != nil {
		return err
	}
	b.mu.Lock()
	ended := b.ended
	b.mu.Unlock()
	if err := context.Cause(b.work.ctx); err != nil && !ended {
		return err
	}
	if ended {
		return fmt.Errorf("%w: the batch has ended", azml.ErrClosed)
	}
	return nil
}

// enter puts an entry into the manifest to be.
func (b *Batch) enter(f File) error {
	if err := b.usable(f.Path); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, double := b.files[f.Path]; double {
		return fmt.Errorf("%w: %q was added twice", azml.ErrInvalid, f.Path)
	}
	b.files[f.Path] = f
	return nil
}

func (b *Batch) count(change func(s *Stats)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.stats)
}

// regularMode normalises the mode of a regular file.
func regularMode(mode fs.FileMode) fs.FileMode {
	if mode&0o111 != 0 {
		return ModeExec
	}
	return ModeFile
}
