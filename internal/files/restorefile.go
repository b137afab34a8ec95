package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/diskspace"
)

// target is a place in a file that a chunk goes to.
type target struct {
	out    *output
	offset int64
	size   int64
}

// output is a file that is being written.
type output struct {
	file File
	temp string

	mu      sync.Mutex
	missing int64 // bytes that are not written yet
	made    bool
}

// writeFiles writes all regular files: each chunk is read once and written to
// wherever it belongs, and a file is moved to its path when its last byte is
// written.
func (r *restore) writeFiles(ctx context.Context) error {
	wanted, empty := r.targets()
	for _, out := range empty {
		if err := out.write(r, nil, 0); err != nil {
			return err
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return r.s.fetch(ctx, wanted, func(w want, data []byte, err error) error {
		for _, t := range r.uses[w.digest] {
			if err != nil {
				return fmt.Errorf("%q: %w", t.out.file.Path, err)
			}
			if int64(len(data)) != t.size {
				return fmt.Errorf("%w: %q: chunk %s has %d bytes, not %d", azml.ErrDamaged, t.out.file.Path, w.digest, len(data), t.size)
			}
			if err := t.out.write(r, data, t.offset); err != nil {
				return err
			}
		}
		return nil
	})
}

// targets tells where each chunk goes, and which files have none.
func (r *restore) targets() (wanted []want, empty []*output) {
	r.uses = map[digest][]target{}
	for i, f := range r.m.Files {
		if !f.IsRegular() {
			continue
		}
		out := &output{file: f, temp: r.temp + "/" + strconv.Itoa(i), missing: f.Size}
		if f.Size == 0 {
			empty = append(empty, out)
		}
		var offset int64
		for _, c := range f.Chunks {
			d, _ := parseDigest(c.Digest) // validated by Restore
			if r.uses[d] == nil {
				wanted = append(wanted, want{d, c.Size})
			}
			r.uses[d] = append(r.uses[d], target{out, offset, c.Size})
			offset += c.Size
		}
	}
	return wanted, empty
}

// write writes a part of the file, and moves the file to its path when that
// was the last.
func (o *output) write(r *restore, data []byte, offset int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	file, err := o.open(r)
	if err != nil {
		return restoreErr(o.file.Path, err)
	}
	_, err = file.WriteAt(data, offset)
	if err = errors.Join(err, file.Close()); err != nil {
		return restoreErr(o.file.Path, err)
	}
	if o.missing -= int64(len(data)); o.missing == 0 {
		err = r.place(o.temp, o.file)
	}
	if err == nil {
		r.progress(int64(len(data)))
	}
	return err
}

// open opens the file for writing. One that comes in parts has its space from the
// first of them on: a disk that is too small is known before all is fetched.
func (o *output) open(r *restore) (*os.File, error) {
	if o.made {
		return r.root.OpenFile(o.temp, os.O_WRONLY, 0)
	}
	file, err := r.root.OpenFile(o.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, o.file.Mode)
	if err != nil {
		return nil, err
	}
	o.made = true
	if len(o.file.Chunks) > 1 {
		err = diskspace.Reserve(file, o.file.Size)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
