package datastore

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Datastore is a datastore as its record was last read. It is opened by its
// first use, once a process, and closed with the workspace. It is immutable and
// safe for concurrent use.
//
// Paths are relative, their parts joined by "/".
type Datastore struct {
	h      core.Handle
	record record.Datastore
}

// Details is what a datastore's record says. There are no credentials in it.
type Details struct {
	// Name is the datastore's name.
	Name string `json:"name"`
	// Type is the kind of datastore, such as TypeBlob.
	Type string `json:"type"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Connection are the facts of the connection, by names of the kind's own.
	Connection map[string]string `json:"connection,omitempty"`
	// HasCredentials tells whether the secret store holds credentials for it.
	HasCredentials bool `json:"hasCredentials"`
	// Created is when it was registered first, zero for the workspace's own.
	Created time.Time `json:"creationTime,omitzero"`
	// CreatedBy is who registered it first, as user@host.
	CreatedBy string `json:"createdBy,omitempty"`
	// Modified is when it was registered last, zero for the workspace's own.
	Modified time.Time `json:"modifiedTime,omitzero"`
}

// Name gives the datastore's name.
func (d *Datastore) Name() string { return d.record.Name }

// Type gives the kind of datastore, such as TypeBlob.
func (d *Datastore) Type() string { return d.record.Type }

// Details gives a copy of the record.
func (d *Datastore) Details() Details {
	r := d.record
	return Details{Name: r.Name, Type: r.Type, Description: r.Description, Tags: maps.Clone(r.Tags), Connection: maps.Clone(r.Connection),
		HasCredentials: r.Secret != "", Created: r.Created, CreatedBy: r.CreatedBy, Modified: r.Modified}
}

// URI gives the short URI of a path in the datastore.
func (d *Datastore) URI(path string) URI { return URI{Datastore: d.Name(), Path: path} }

// File describes a file of a datastore, or a folder in a listing of folders.
type File struct {
	// Path is the path in the datastore. A folder's ends in "/".
	Path string `json:"path"`
	// Size is the number of bytes, -1 when a web server doesn't tell it.
	Size int64 `json:"size"`
	// ETag changes with the content, as far as the store can tell. It is opaque.
	// Empty for a folder.
	ETag string `json:"etag,omitempty"`
	// Modified is when the file was last written, by the store's clock; zero for
	// a folder and where it is not known.
	Modified time.Time `json:"modified,omitzero"`
	// Created is when there was first a file of the path, as Azure Blob and S3 keep
	// it, which to S3 is the same as Modified; zero in all others, and in what writes
	// give.
	Created time.Time `json:"created,omitzero"`
	// IsFolder says that this is a folder.
	IsFolder bool `json:"isFolder,omitempty"`
}

func fileOf(info backend.Info) File {
	return File{Path: info.Key, Size: info.Size, ETag: string(info.ETag), Modified: info.Modified, Created: info.Created, IsFolder: info.IsPrefix}
}

// FilesOptions are the options of Datastore.Files.
type FilesOptions struct {
	// Folders makes the files and folders of one level be listed, where else
	// all files of all folders are.
	Folders bool
	// StartAfter leaves out paths up to and including this one, by bytes.
	StartAfter string
}

// Files yields the files whose paths begin with prefix (all when it is empty; a
// folder's ends in "/"), in byte order of their paths. It asks the store for
// some thousands at a time. Names are as the store has them: look at a path with
// fs.ValidPath before you make a file of it. Errors: ErrUnsupported for kinds
// that can't be listed.
func (d *Datastore) Files(ctx context.Context, prefix string, opts *FilesOptions) iter.Seq2[File, error] {
	if opts == nil {
		opts = &FilesOptions{}
	}
	list := backend.ListOptions{Prefix: prefix, StartAfter: opts.StartAfter}
	if opts.Folders {
		list.Delimiter = "/"
	}
	return func(yield func(File, error) bool) {
		stopped := false
		err := d.withFiles(ctx, func(files backend.DataFiles) error {
			for info, err := range files.List(ctx, &list) {
				if err != nil {
					return err
				}
				if stopped = !yield(fileOf(info), nil); stopped {
					break
				}
			}
			return nil
		})
		if err != nil && !stopped {
			core.Wrap(&err, "list files of", kind, d.Name())
			yield(File{}, err)
		}
	}
}

// StatOptions are the options of Datastore.Stat. There are none yet.
type StatOptions struct{}

// Stat describes a file. Errors: ErrNotFound, also for a folder.
func (d *Datastore) Stat(ctx context.Context, path string, _ *StatOptions) (_ File, err error) {
	defer d.h.Operation(&ctx, &err, "stat file of", kind, d.Name())()
	return d.stat(ctx, path)
}

func (d *Datastore) stat(ctx context.Context, path string) (file File, err error) {
	err = d.withFiles(ctx, func(files backend.DataFiles) error {
		info, err := files.Stat(ctx, path)
		file = fileOf(info)
		return about(path, err)
	})
	return file, err
}

// WriteOptions are the options of Datastore.Write.
type WriteOptions struct {
	// Overwrite replaces a file that is there; without it that is an error.
	Overwrite bool
}

// Write stores a whole file and returns when the store has it: all or nothing.
// It reads content by ReadAt from as many goroutines as it likes, and not after
// it has returned; *bytes.Reader and *io.SectionReader are Contents. Errors:
// ErrExists, ErrInvalid for a bad path, ErrUnsupported.
func (d *Datastore) Write(ctx context.Context, path string, content backend.Content, opts *WriteOptions) (_ File, err error) {
	defer d.h.Operation(&ctx, &err, "write file of", kind, d.Name())()
	return d.write(ctx, path, content, opts != nil && opts.Overwrite)
}

func (d *Datastore) write(ctx context.Context, path string, content backend.Content, overwrite bool) (file File, err error) {
	if err := backend.ValidKey(path); err != nil {
		return File{}, err
	}
	err = d.withFiles(ctx, func(files backend.DataFiles) error {
		info, err := files.Put(ctx, path, content, &backend.PutOptions{IfNoneMatch: !overwrite})
		file = fileOf(info)
		return about(path, err)
	})
	if err == nil && file.Size != content.Size() {
		return file, fmt.Errorf("%w: %s has %d bytes in the datastore after %d were written: others write it, too", azml.ErrConflict, path, file.Size, content.Size())
	}
	return file, err
}

// DeleteOptions are the options of Datastore.Delete. There are none yet.
type DeleteOptions struct{}

// Delete removes a file. Errors: ErrNotFound, ErrUnsupported.
func (d *Datastore) Delete(ctx context.Context, path string, _ *DeleteOptions) (err error) {
	defer d.h.Operation(&ctx, &err, "delete file of", kind, d.Name())()
	return d.withFiles(ctx, func(files backend.DataFiles) error {
		return about(path, files.Delete(ctx, path, &backend.DeleteOptions{}))
	})
}

// about names the file that an error is about.
func about(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// CheckOptions are the options of Datastore.Check. There are none yet.
type CheckOptions struct{}

// Check connects to the datastore. Errors: ErrUnavailable when nothing answers,
// ErrDenied when the credentials are refused, ErrNotFound when what was named
// is not there.
func (d *Datastore) Check(ctx context.Context, _ *CheckOptions) (err error) {
	defer d.h.Operation(&ctx, &err, "check", kind, d.Name())()
	c, err := d.open(ctx)
	if err != nil {
		return err
	}
	return scrub(c.store.Check(ctx), c.credentials)
}
