package datastore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// UploadOptions are the options of Datastore.Upload.
type UploadOptions struct {
	// Overwrite replaces files that are there; without it they are skipped.
	Overwrite bool
	// Parallel is how many files go up at once, by default 8.
	Parallel int
	// Filter, when not nil, picks the files by their paths below the folder.
	Filter func(path string) bool
	// Progress, when not nil, is told how far it is. Calls don't overlap; it must
	// not block.
	Progress func(Progress)
}

// Upload stores the files below the local folder dir under their paths below
// the folder target of the datastore (its root when empty). When dir is a file,
// target is its path, or its folder when target is empty or ends in "/".
//
// Links are followed. What is neither file nor folder is refused before anything
// goes up. Each file is stored whole or not at all, so calling Upload again goes
// on where one was cut off. It gives what was done, also with an error. Errors:
// ErrNotFound, ErrInvalid; ErrConflict when a file changes meanwhile.
func (d *Datastore) Upload(ctx context.Context, dir, target string, opts *UploadOptions) (_ Transfer, err error) {
	defer d.h.Operation(&ctx, &err, "upload to", kind, d.Name())()
	if opts == nil {
		opts = &UploadOptions{}
	}
	files, err := scan(ctx, dir, target, opts.Filter)
	if err != nil {
		return Transfer{}, err
	}
	t := &transfer{tell: opts.Progress}
	for _, f := range files {
		t.progress.TotalFiles++
		t.progress.TotalBytes += f.size
	}
	if !opts.Overwrite {
		if files, err = d.missing(ctx, files, t); err != nil {
			return t.done, err
		}
	}
	err = t.run(ctx, len(files), opts.Parallel, func(ctx context.Context, i int) error {
		return d.uploadFile(ctx, files[i], opts.Overwrite, t)
	})
	return t.done, err
}

// localFile is a file to go up.
type localFile struct {
	path, local string // in the datastore, on this machine
	size        int64
}

// fewFiles is up to how many files the datastore is asked for one by one
// whether it has them; of more, it is listed.
const fewFiles = 100

// missing gives the files that are not there.
func (d *Datastore) missing(ctx context.Context, files []localFile, t *transfer) ([]localFile, error) {
	if len(files) <= fewFiles {
		return d.missingOfFew(ctx, files, t)
	}
	// Both are in order, so one pass tells.
	common := commonPrefix(files[0].path, files[len(files)-1].path)
	next, stop := iter.Pull2(d.Files(ctx, common, nil))
	defer stop()
	left := make([]localFile, 0, len(files))
	there, err, more := next()
	for _, f := range files {
		for more && err == nil && there.Path < f.path {
			there, err, more = next()
		}
		if err != nil {
			return nil, err
		}
		if more && there.Path == f.path {
			t.skipped(f.path, there.Size, f.size)
			continue
		}
		left = append(left, f)
	}
	return left, nil
}

func (d *Datastore) missingOfFew(ctx context.Context, files []localFile, t *transfer) ([]localFile, error) {
	there := make([]bool, len(files))
	err := (&transfer{}).run(ctx, len(files), defaultParallel, func(ctx context.Context, i int) error {
		found, err := d.stat(ctx, files[i].path)
		if errors.Is(err, azml.ErrNotFound) {
			return nil
		}
		if err == nil {
			there[i] = true
			t.skipped(files[i].path, found.Size, files[i].size)
		}
		return err
	})
	left := make([]localFile, 0, len(files))
	for i, f := range files {
		if !there[i] {
			left = append(left, f)
		}
	}
	return left, err
}

// commonPrefix gives the beginning that two paths share, in whole characters.
func commonPrefix(a, b string) string {
	n := 0
	for i, r := range a {
		if !strings.HasPrefix(b[min(i, len(b)):], string(r)) {
			break
		}
		n = i + len(string(r))
	}
	return a[:n]
}

func (d *Datastore) uploadFile(ctx context.Context, f localFile, overwrite bool, t *transfer) error {
	file, err := os.Open(f.local)
	if err != nil {
		return err
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return err
	}
	content := &counted{ReaderAt: file, size: before.Size(), t: t, seen: make([]atomic.Bool, before.Size()/countBlock+1)}
	_, err = d.write(ctx, f.path, content, overwrite)
	if errors.Is(err, azml.ErrExists) && !overwrite { // stored by somebody else meanwhile
		there, err := d.stat(ctx, f.path)
		if err == nil {
			t.advance(-content.done.Load())
			t.skipped(f.path, there.Size, f.size)
		}
		return err
	}
	if err != nil {
		return err
	}
	after, err := file.Stat()
	if err != nil {
		return err
	}
	if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return fmt.Errorf("%w: %s changed while it was uploaded: upload it again, with Overwrite", azml.ErrConflict, f.local)
	}
	t.advance(before.Size() - content.done.Load())
	t.moved(before.Size())
	return nil
}

// countBlock is how exactly the progress within a file is told.
const countBlock = 1 << 20

// counted is a content of which the progress is told. A driver may read parts
// more than once.
type counted struct {
	io.ReaderAt
	size int64
	t    *transfer
	seen []atomic.Bool
	done atomic.Int64
}

// Size implements backend.Content.
func (c *counted) Size() int64 { return c.size }

// ReadAt implements io.ReaderAt.
func (c *counted) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, offset)
	for i := offset / countBlock; i <= (offset+int64(n)-1)/countBlock && n > 0; i++ {
		if !c.seen[i].Swap(true) {
			size := min(countBlock, c.size-i*countBlock)
			c.done.Add(size)
			c.t.advance(size)
		}
	}
	return n, err
}

// scan lists the files of the folder, or the one file, in order of their paths
// in the datastore.
func scan(ctx context.Context, dir, target string, pick func(string) bool) ([]localFile, error) {
	target = strings.TrimPrefix(target, "/")
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() {
		if target == "" || strings.HasSuffix(target, "/") {
			target += filepath.Base(dir)
		}
		return []localFile{{target, dir, info.Size()}}, backend.ValidKey(target)
	}
	s := scanner{ctx: ctx, pick: pick, target: strings.TrimSuffix(target, "/")}
	if err := s.walk(dir, "", []fs.FileInfo{info}); err != nil {
		return nil, err
	}
	slices.SortFunc(s.files, func(a, b localFile) int { return strings.Compare(a.path, b.path) })
	return s.files, nil
}

// scanner lists the files of a folder.
type scanner struct {
	ctx    context.Context //nolint:containedctx // one walk, one context
	pick   func(string) bool
	target string
	files  []localFile
}

// walk lists the files in dir, whose path below the folder is base. above are
// dir and the folders above it.
func (s *scanner) walk(dir, base string, above []fs.FileInfo) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		local, rel := filepath.Join(dir, e.Name()), path.Join(base, e.Name())
		info, err := os.Stat(local)
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
				return fmt.Errorf("%w: %s links to a folder above it", azml.ErrInvalid, local)
			}
			if err := s.walk(local, rel, append(slices.Clip(above), info)); err != nil {
				return err
			}
		case s.pick != nil && !s.pick(rel):
		case !info.Mode().IsRegular():
			return fmt.Errorf("%w: %s is neither a file nor a folder: take it away, or leave it out by Filter", azml.ErrInvalid, local)
		default:
			f := localFile{path.Join(s.target, rel), local, info.Size()}
			if err := backend.ValidKey(f.path); err != nil {
				return err
			}
			s.files = append(s.files, f)
		}
	}
	return nil
}
