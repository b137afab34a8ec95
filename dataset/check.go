package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/fingerprint"
	"github.com/azml-go/azml/internal/inorder"
	"github.com/azml-go/azml/internal/record"
)

// listName is the path of the list of files in its manifest.
const listName = "files"

// fingerprint notes what the definition points to now, and stores the list. Of a
// query nothing is noted.
func (d *Dataset) fingerprint(ctx context.Context, digests bool) (record.Fingerprint, error) {
	if d.def.Query != nil {
		return record.Fingerprint{}, nil
	}
	f, data, err := d.observe(ctx, digests)
	if err != nil {
		return f, err
	}
	batch, err := d.h.Files().NewBatch(ctx, &files.BatchOptions{})
	if err != nil {
		return f, err
	}
	defer batch.Abort()
	if err := batch.Add(ctx, listName, 0o644, bytes.NewReader(data)); err != nil {
		return f, err
	}
	manifest, _, err := batch.Commit(ctx)
	if err == nil {
		f.Manifest, err = d.h.Files().PutManifest(ctx, manifest)
	}
	return f, err
}

// observe makes the list of the files that there are now. Of a dataset of files
// all files of its paths are in it, whatever its steps make of them.
func (d *Dataset) observe(ctx context.Context, digests bool) (f record.Fingerprint, data []byte, err error) {
	found, err := list(ctx, d.h, d.def.Paths, true)
	if err != nil {
		return f, nil, err
	}
	return d.noteAll(ctx, found, digests)
}

// noteAll makes the list of the files that were found.
func (d *Dataset) noteAll(ctx context.Context, found []entry, digests bool) (f record.Fingerprint, data []byte, err error) {
	found = byPath(found)
	f = record.Fingerprint{Contents: digests, Files: int64(len(found)), Bytes: total(found)}
	for _, e := range found {
		if e.Modified.After(f.Modified) {
			f.Modified = e.Modified.UTC()
		}
	}
	entries, failed := d.noted(ctx, found, digests)
	data, f.Digest, err = fingerprint.Encode(entries)
	return f, data, errors.Join(*failed, err)
}

// noted yields what is noted of the files, until one can't be read.
func (d *Dataset) noted(ctx context.Context, found []entry, digests bool) (iter.Seq[fingerprint.Entry], *error) {
	var failed error
	plain := func(e entry) fingerprint.Entry {
		mark := e.ETag
		if mark == "" {
			mark = e.Modified.UTC().Format(time.RFC3339Nano)
		}
		return fingerprint.Entry{Name: e.uri(), Size: max(0, e.Size), Mark: fingerprint.MarkOf(mark)}
	}
	if !digests {
		return func(yield func(fingerprint.Entry) bool) {
			for _, e := range found {
				if !yield(plain(e)) {
					return
				}
			}
		}, &failed
	}
	return func(yield func(fingerprint.Entry) bool) {
		for noted, err := range inorder.Map(ctx, parallel, each(found), func(e entry) (fingerprint.Entry, error) {
			digest, err := contentDigest(ctx, e)
			return fingerprint.Entry{Name: e.uri(), Size: max(0, e.Size), Digest: digest}, err
		}) {
			if failed = err; err != nil || !yield(noted) {
				return
			}
		}
	}, &failed
}

func contentDigest(ctx context.Context, e entry) ([]byte, error) {
	r, err := e.store.Open(ctx, e.Path, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return nil, fmt.Errorf("%s: %w", e.uri(), err)
	}
	return sum.Sum(nil), nil
}

// Changes is what has changed of the data since a dataset was registered.
type Changes struct {
	// Added is the number of files that are new.
	Added int64 `json:"added"`
	// Removed is the number of files that are gone.
	Removed int64 `json:"removed"`
	// Changed is the number of files that are not what they were: by their digests,
	// when these were noted, else by size and ETag, or time where there is none.
	Changed int64 `json:"changed"`
	// Files is the number of files now.
	Files int64 `json:"files"`
	// Bytes is their size.
	Bytes int64 `json:"bytes"`
	// First are the first of the files that differ, at most 100, by name.
	First []Change `json:"first,omitempty"`
}

// Change is a file that differs.
type Change struct {
	// Kind is "added", "removed" or "changed".
	Kind string `json:"kind"`
	// Path is the datastore and the path in it.
	Path string `json:"path"`
}

// The kinds of changes.
const (
	// ChangeAdded says that a file is new.
	ChangeAdded = "added"
	// ChangeRemoved says that a file is gone.
	ChangeRemoved = "removed"
	// ChangeChanged says that a file is not what it was.
	ChangeChanged = "changed"
)

// None tells whether nothing has changed.
func (c *Changes) None() bool { return c.Added == 0 && c.Removed == 0 && c.Changed == 0 }

// maxFirst bounds what is told of single files.
const maxFirst = 100

func (c *Changes) add(what, path string) {
	switch what {
	case ChangeAdded:
		c.Added++
	case ChangeRemoved:
		c.Removed++
	default:
		c.Changed++
	}
	if len(c.First) < maxFirst {
		c.First = append(c.First, Change{what, path})
	}
}

// CheckOptions are the options of Dataset.Check; there are none so far.
type CheckOptions struct{}

// Check compares the files that the definition points to now with those that it
// pointed to when it was registered. It lists them, and reads them only when the
// digests of their contents were noted. Errors: ErrInvalid when it is not
// registered, ErrUnsupported for a query, whose data leaves no mark.
func (d *Dataset) Check(ctx context.Context, _ *CheckOptions) (_ *Changes, err error) {
	defer d.h.Operation(&ctx, &err, "check", kind, d.label())()
	switch {
	case d.stored == nil:
		return nil, fmt.Errorf("%w: it is not registered, so nothing was noted of its data", azml.ErrInvalid)
	case d.def.Query != nil:
		return nil, fmt.Errorf("%w: it is a query: what has changed in a database can't be told", azml.ErrUnsupported)
	}
	before := d.stored.Value.Fingerprint
	now, data, err := d.observe(ctx, before.Contents)
	if err != nil {
		return nil, err
	}
	changes := &Changes{Files: now.Files, Bytes: now.Bytes}
	if now.Digest == before.Digest {
		return changes, nil
	}
	manifest, err := d.h.Files().Manifest(ctx, before.Manifest)
	if err != nil {
		return nil, err
	}
	if len(manifest.Files) != 1 {
		return nil, fmt.Errorf("%w: manifest %s has %d files instead of the list of files", azml.ErrDamaged, before.Manifest, len(manifest.Files))
	}
	old, err := d.h.Files().Open(ctx, manifest.Files[0])
	if err != nil {
		return nil, err
	}
	defer old.Close()
	return changes, compare(changes, fingerprint.Decode(old), fingerprint.Decode(bytes.NewReader(data)))
}

// compare adds what differs between two lists in order of names.
func compare(c *Changes, old, now iter.Seq2[fingerprint.Entry, error]) error {
	nextOld, stopOld := iter.Pull2(old)
	defer stopOld()
	nextNow, stopNow := iter.Pull2(now)
	defer stopNow()
	a, err, moreA := nextOld()
	b, errB, moreB := nextNow()
	for moreA || moreB {
		if err := errors.Join(err, errB); err != nil {
			return err
		}
		switch {
		case !moreB || moreA && a.Name < b.Name:
			c.add(ChangeRemoved, a.Name)
			a, err, moreA = nextOld()
		case !moreA || b.Name < a.Name:
			c.add(ChangeAdded, b.Name)
			b, errB, moreB = nextNow()
		default:
			if differs(a, b) {
				c.add(ChangeChanged, a.Name)
			}
			a, err, moreA = nextOld()
			b, errB, moreB = nextNow()
		}
	}
	return nil
}

func differs(a, b fingerprint.Entry) bool {
	if len(a.Digest) > 0 {
		return !bytes.Equal(a.Digest, b.Digest)
	}
	return a.Size != b.Size || a.Mark != b.Mark
}

// FingerprintDigest identifies what the definition pointed to when the dataset was
// registered: the SHA-256 of names, sizes and marks of the files, in hexadecimal.
// Two versions of one definition with the same one have the same data. It is empty
// when it is not registered, and for a query.
func (d *Dataset) FingerprintDigest() string {
	if d.stored == nil {
		return ""
	}
	return d.stored.Value.Fingerprint.Digest
}
