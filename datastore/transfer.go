package datastore

import (
	"context"
	"sync"
)

// Transfer says what Upload or Download has done.
type Transfer struct {
	// Files is the number of files that were moved.
	Files int `json:"files"`
	// Bytes is their size.
	Bytes int64 `json:"bytes"`
	// Skipped is the number of files that were there already.
	Skipped int `json:"skipped"`
	// Differing are those of the skipped whose size is another than that of what
	// would have been moved, at most 100 of them.
	Differing []string `json:"differing,omitempty"`
}

// Progress is how far a transfer is; files that are skipped count as done.
type Progress struct {
	// Files and TotalFiles count files.
	Files, TotalFiles int
	// Bytes and TotalBytes count their bytes.
	Bytes, TotalBytes int64
}

// defaultParallel is how many files move at once unless options say otherwise.
const defaultParallel = 8

// maxDiffering bounds Transfer.Differing.
const maxDiffering = 100

// transfer moves files, several at once.
type transfer struct {
	tell func(Progress)

	mu       sync.Mutex
	done     Transfer
	progress Progress
}

// run calls move for each of n files, from several goroutines. The first error
// ends it.
func (t *transfer) run(ctx context.Context, n, parallel int, move func(ctx context.Context, i int) error) error {
	if parallel <= 0 {
		parallel = defaultParallel
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(parallel, n) {
		wg.Go(func() {
			for i := range next {
				if ctx.Err() != nil {
					continue
				}
				if err := move(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// moved notes a file that was moved.
func (t *transfer) moved(size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done.Files++
	t.done.Bytes += size
	t.progress.Files++
	t.report()
}

// skipped notes a file that was there already, with size bytes where moved
// would have had wanted.
func (t *transfer) skipped(path string, size, wanted int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done.Skipped++
	if size != wanted && wanted >= 0 && len(t.done.Differing) < maxDiffering {
		t.done.Differing = append(t.done.Differing, path)
	}
	t.progress.Files++
	t.progress.Bytes += max(0, wanted)
	t.report()
}

// advance notes bytes of files that are being moved.
func (t *transfer) advance(bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress.Bytes += bytes
	t.report()
}

func (t *transfer) report() {
	if t.tell != nil {
		t.tell(t.progress)
	}
}
