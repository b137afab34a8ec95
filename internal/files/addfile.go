package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/azml-go/azml"
)

// readTries is how often a file is read that changes meanwhile.
const readTries = 2

// AddFile adds the regular file osPath of this machine as path. It returns as
// soon as a goroutine is free to read it; what goes wrong then comes from a
// later call or from Commit. A file whose size, times and inode are those of
// an earlier batch is not read if its chunks are still stored. One that
// changes while it is read is read once more. Errors: ErrInvalid (also when it
// is no regular file), ErrNotFound, ErrDenied, ErrConflict (it keeps
// changing), each naming the file; see BatchOptions.Skip.
func (b *Batch) AddFile(ctx context.Context, path, osPath string) error {
	if err := b.usable(path); err != nil {
		return err
	}
	return b.work.run(ctx, func(ctx context.Context) error {
		f, err := b.readFile(ctx, osPath)
		if err == nil {
			f.Path = path
			return b.enter(f)
		}
		if b.opts.Skip != nil && errors.As(err, new(*fileError)) {
			err = b.opts.Skip(path, err)
		}
		if err != nil {
			return fmt.Errorf("add %q: %w", path, err)
		}
		return nil
	})
}

// fileError is what is wrong with a file, not with the store.
type fileError struct{ error }

func (e *fileError) Unwrap() error { return e.error }

// fileErr gives an error of the file system its class.
func fileErr(err error) error {
	class := azml.ErrUnavailable
	switch {
	case errors.Is(err, fs.ErrNotExist):
		class = azml.ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		class = azml.ErrDenied
	}
	return &fileError{fmt.Errorf("%w: %w", class, err)}
}

// readFile gives the file's entry, from the stat cache if that holds.
func (b *Batch) readFile(ctx context.Context, osPath string) (File, error) {
	for range readTries {
		info, err := os.Stat(osPath)
		if err != nil {
			return File{}, fileErr(err)
		}
		if !info.Mode().IsRegular() {
			return File{}, &fileError{fmt.Errorf("%w: %s is no regular file but %s", azml.ErrInvalid, osPath, info.Mode().Type())}
		}
		if f, ok, err := b.known(osPath, info); ok || err != nil {
			return f, err
		}
		seen := b.s.now()
		f, after, err := b.readOnce(ctx, osPath, info)
		if err != nil {
			return File{}, err
		}
		if after == stampOf(info) && f.Size == info.Size() {
			f.Mode = regularMode(info.Mode())
			b.cache.put(osPath, cached{stamp: after, seen: seen.UnixNano(), file: f})
			b.count(func(s *Stats) { s.Reread++ })
			return f, nil
		}
	}
	return File{}, &fileError{fmt.Errorf("%w: %s changed while it was read, %d times", azml.ErrConflict, osPath, readTries)}
}

// readOnce stores the content and gives the file's stamp after that.
func (b *Batch) readOnce(ctx context.Context, osPath string, want fs.FileInfo) (f File, after stamp, err error) {
	file, err := openFile(osPath)
	if err != nil {
		return File{}, stamp{}, fileErr(err)
	}
	defer func() { _ = file.Close() }()
	f, err = b.store(ctx, &osReader{batch: b, file: file, left: want.Size() + 1})
	if err != nil {
		return File{}, stamp{}, err
	}
	info, err := file.Stat()
	if err != nil {
		return File{}, stamp{}, fileErr(err)
	}
	return f, stampOf(info), nil
}

// osReader marks the errors of the file, and ends one byte behind the size
// that was seen: a file that grows faster than it is read has changed anyway.
type osReader struct {
	batch *Batch
	file  *os.File
	left  int64
}

func (r *osReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	n, err := r.file.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if read := r.batch.read.Add(int64(n)); r.batch.opts.Progress != nil {
		r.batch.opts.Progress(read)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fileErr(err)
	}
	return n, err
}

// known gives the entry of a file that has not changed since an earlier batch
// and whose chunks are all stored.
func (b *Batch) known(osPath string, info fs.FileInfo) (File, bool, error) {
	c, ok := b.cache.get(osPath)
	if !ok || c.stamp != stampOf(info) || c.racy() {
		return File{}, false, nil
	}
	digests := make([]digest, len(c.file.Chunks))
	for i, chunk := range c.file.Chunks {
		d, err := parseDigest(chunk.Digest)
		if err != nil {
			return File{}, false, nil
		}
		if !b.claimed(d) {
			if ok, err := b.reuse(d, chunk.Size); !ok || err != nil {
				return File{}, false, err
			}
		}
		digests[i] = d
	}
	b.mu.Lock()
	for i, d := range digests {
		if _, own := b.claims[d]; !own {
			b.reused[d] = uint32(c.file.Chunks[i].Size)
		}
	}
	b.mu.Unlock()
	c.file.Mode = regularMode(info.Mode())
	b.cache.put(osPath, c)
	return c.file, true, nil
}

func (b *Batch) claimed(d digest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.claims[d]
	return ok
}
