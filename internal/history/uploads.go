package history

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

const (
	// uploadPrefix is the prefix of all objects of uploads in parts.
	uploadPrefix = "uploads/"
	// UploadLife is how long after its beginning an upload in parts takes parts.
	// What is left of it then goes with the next garbage collection.
	UploadLife = 7 * 24 * time.Hour
)

// PartName gives the path of a part in the list of an upload's parts.
func PartName(n int) string { return strconv.Itoa(n) }

func uploadRef(id string) core.Ref {
	return core.Ref{Kind: "upload", Name: id, Key: uploadPrefix + id + "/upload.json"}
}

// UploadParts gives the list of the upload's parts: each is a file that is named
// by its number. A part that is sent again replaces the one before.
func UploadParts(id string) FileList {
	return FileList{owner: id, prefix: uploadPrefix + id + "/parts/"}
}

// BeginUpload begins the upload of a file in parts.
func BeginUpload(ctx context.Context, h core.Handle, path string, parts int) (record.Upload, error) {
	id := core.NewID(16)
	stored, err := core.CreateQuiet(ctx, h, uploadRef(id).Key, record.Upload{ID: id, Path: path, Parts: parts})
	return stored.Value, err
}

// Upload reads the record of an upload in parts. Errors: ErrNotFound, also when
// its time is over.
func Upload(ctx context.Context, h core.Handle, id string) (record.Upload, error) {
	if err := core.RunID.Check(id); err != nil {
		return record.Upload{}, fmt.Errorf("%w: there is no upload %q", azml.ErrNotFound, id)
	}
	stored, err := core.Get[record.Upload](ctx, h, uploadRef(id).Key)
	if err == nil && uploadOver(h, stored.Value) {
		err = fmt.Errorf("%w: the upload was begun at %s and has taken too long", azml.ErrNotFound, stored.Value.Created.Format(time.RFC3339))
	}
	return stored.Value, err
}

func uploadOver(h core.Handle, u record.Upload) bool { return h.Now().Sub(u.Created) > UploadLife }

// AddPart adds a part of an upload: the one file that the batch has, by the name of
// the part. It ends the batch. Errors: ErrNotFound when the upload has ended
// meanwhile.
func AddPart(ctx context.Context, h core.Handle, id string, batch *files.Batch) (*files.Manifest, error) {
	manifest, err := UploadParts(id).AddBatch(ctx, h, batch, true)
	if err != nil {
		return nil, err
	}
	// Who ends the upload removes the parts after that is in the record, and we
	// look there after the part is in the list: one of the two sees the other.
	u, err := Upload(ctx, h, id)
	if err == nil && !u.Completed.IsZero() {
		err = fmt.Errorf("%w: the upload is complete", azml.ErrNotFound)
	}
	if errors.Is(err, azml.ErrNotFound) {
		err = errors.Join(err, removeParts(ctx, h, id))
	}
	if err != nil {
		return nil, err
	}
	return manifest, nil
}

// CompleteUpload notes that the file was put together, and removes the parts.
// The record stays for its time, for a client that got no answer and asks again.
func CompleteUpload(ctx context.Context, h core.Handle, id string) error {
	_, err := core.Update(ctx, h, uploadRef(id), core.Quiet, func(u *record.Upload) error {
		if !u.Completed.IsZero() {
			return core.ErrNoChange
		}
		u.Completed = h.Now()
		return nil
	})
	if err != nil {
		return err
	}
	return removeParts(ctx, h, id)
}

// AbortUpload removes an upload, if there is one, and what there is of its parts.
func AbortUpload(ctx context.Context, h core.Handle, id string) error {
	err := ignore(h.Objects().Delete(ctx, uploadRef(id).Key, &backend.DeleteOptions{}), azml.ErrNotFound)
	return errors.Join(err, removeParts(ctx, h, id))
}

func removeParts(ctx context.Context, h core.Handle, id string) error {
	return removeBelow(ctx, h, UploadParts(id).prefix)
}

// UploadManifests gives the IDs of the manifests of all parts of uploads that
// go on: what the garbage collector must keep.
func UploadManifests(ctx context.Context, h core.Handle) ([]string, error) {
	var all []string
	for id, err := range h.Folders(ctx, uploadPrefix) {
		if err != nil {
			return nil, err
		}
		u, err := Upload(ctx, h, id)
		if err == nil && u.Completed.IsZero() {
			var ids []string
			ids, _, err = UploadParts(id).Manifests(ctx, h)
			all = append(all, ids...)
		}
		if err != nil && !errors.Is(err, azml.ErrNotFound) { // else it has ended meanwhile
			return nil, err
		}
	}
	return all, nil
}

// SweepUploads removes the uploads whose time is over, and what an end that was
// cut off has left.
func SweepUploads(ctx context.Context, h core.Handle) error {
	var ids []string
	for id, err := range h.Folders(ctx, uploadPrefix) {
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		u, err := Upload(ctx, h, id)
		switch {
		case errors.Is(err, azml.ErrNotFound):
			err = AbortUpload(ctx, h, id)
		case err == nil && !u.Completed.IsZero():
			err = removeParts(ctx, h, id)
		}
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}
