package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/inorder"
	"github.com/azml-go/azml/internal/record"
)

// Observed is a dataset with the files that it points to at one time. It is made
// for runs, by Observe.
type Observed struct {
	// Dataset is the dataset.
	Dataset *Dataset
	// Fingerprint is what is noted of the files; it names no manifest. It is empty
	// for a query.
	Fingerprint record.Fingerprint
	// Files is the number of the files after all steps.
	Files int64
	// Bytes is their size together.
	Bytes int64

	entries []entry // after all steps
}

// look lists the files of a dataset, once.
func look(ctx context.Context, d *Dataset) (*Observed, error) {
	o := &Observed{Dataset: d}
	if d.def.Query != nil {
		return o, nil
	}
	found, err := list(ctx, d.h, d.def.Paths, false)
	if err != nil {
		return nil, err
	}
	if o.Fingerprint, _, err = d.noteAll(ctx, found, d.stored != nil && d.stored.Value.Fingerprint.Contents); err != nil {
		return nil, err
	}
	if o.entries, err = d.picked(found); err != nil {
		return nil, err
	}
	o.Files, o.Bytes = int64(len(o.entries)), total(o.entries)
	return o, nil
}

// Changed tells whether the files are others than when the dataset was registered.
// What is not registered, and a query, never is.
func (o *Observed) Changed() bool {
	return o.Dataset.stored != nil && o.Fingerprint.Digest != o.Dataset.stored.Value.Fingerprint.Digest
}

// Fetch brings all files below the folder, several at once, each durably and whole
// or not at all; it goes on where it was cut off. Progress is called with the bytes
// that are there, from several goroutines. Errors: ErrConflict naming a file that
// is not what was observed, ErrInvalid for paths that can't be files in a folder.
func (o *Observed) Fetch(ctx context.Context, dir string, progress func(files, bytes int64)) error {
	if err := checkTargets(o.entries); err != nil {
		return err
	}
	const mode = 0o755
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f := fetching{root: root, progress: progress}
	for _, err := range inorder.Map(ctx, parallel, each(o.entries), func(e entry) (struct{}, error) { return struct{}{}, f.fetch(ctx, e) }) {
		if err != nil {
			return err
		}
	}
	return nil
}

// FetchTable writes the rows as one Parquet file at path, which is there whole or
// not at all. Errors: ErrConflict when the files have changed meanwhile.
func (o *Observed) FetchTable(ctx context.Context, path string) (err error) {
	draft, err := os.CreateTemp(filepath.Dir(path), ".azml-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = draft.Close(), os.Remove(draft.Name())
		}
	}()
	d := o.Dataset
	sink := newParquetSink(draft, d.Columns())
	for b, err := range d.batches(ctx, d.Columns().Names(), false) {
		if err != nil {
			return err
		}
		if err := sink.write(b); err != nil {
			return err
		}
	}
	if err := errors.Join(sink.close(), draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if now, err := look(ctx, d); err != nil {
		return err
	} else if now.Fingerprint.Digest != o.Fingerprint.Digest {
		return fmt.Errorf("%w: its data has changed while it was read: run it again", azml.ErrConflict)
	}
	return os.Rename(draft.Name(), path)
}

// FS gives the files as they were observed; one that is another when it is opened
// is an error. See Dataset.FS.
func (o *Observed) FS(ctx context.Context) fs.FS {
	t := newTree(ctx, o.entries)
	t.pinned = true
	return t
}

// fetching brings files into a folder.
type fetching struct {
	root         *os.Root
	progress     func(files, bytes int64)
	files, bytes atomic.Int64
}

// fetch brings one file, unless it is there: one that is there is whole.
func (f *fetching) fetch(ctx context.Context, e entry) error {
	name := filepath.FromSlash(e.rel)
	there, err := f.root.Lstat(name)
	switch {
	case err == nil && there.Mode().IsRegular() && there.Size() == e.Size:
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if err := f.bring(ctx, e, name); err != nil {
			return fmt.Errorf("%s: %w", e.uri(), err)
		}
	}
	f.progress(f.files.Add(1), f.bytes.Add(max(0, e.Size)))
	return nil
}

// bring copies a file under a temporary name first.
func (f *fetching) bring(ctx context.Context, e entry, name string) (err error) {
	from, err := e.store.Open(ctx, e.Path, nil)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := e.same(from.File().ETag, from.Size()); err != nil {
		return err
	}
	const folderMode, fileMode = 0o755, 0o444
	if err := f.root.MkdirAll(filepath.Dir(name), folderMode); err != nil {
		return err
	}
	draft := filepath.Join(filepath.Dir(name), ".azml-"+core.NewID(8))
	to, err := f.root.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.root.Remove(draft)
		}
	}()
	n, err := io.Copy(to, from)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		return err
	}
	if n != from.Size() && from.Size() >= 0 {
		return fmt.Errorf("%w: it has %d bytes, of which %d came", azml.ErrConflict, from.Size(), n)
	}
	return f.root.Rename(draft, name)
}

// same gives an error when the file is another than was listed.
func (e entry) same(etag string, size int64) error {
	if etag != e.ETag && etag != "" && e.ETag != "" || size != e.Size && size >= 0 && e.Size >= 0 {
		return fmt.Errorf("%w: it has changed since the files were listed: run it again", azml.ErrConflict)
	}
	return nil
}

// Key identifies the dataset with the data that it has now: two that have the same
// are the same files and rows. It is empty for a query, of which nobody knows.
func (o *Observed) Key() string {
	if o.Fingerprint.Digest == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(o.Dataset.ID() + " " + o.Fingerprint.Digest))
	return hex.EncodeToString(sum[:16])
}
