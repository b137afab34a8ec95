package run

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
)

// File describes one file of a run.
type File struct {
	// Path is the path inside the run, parts joined by "/".
	Path string `json:"path"`
	// Size is the number of bytes.
	Size int64 `json:"size"`
	// Digest is the SHA-256 of the content, in hexadecimal.
	Digest string `json:"sha256,omitempty"`
}

// UploadOptions are the options of uploading files; there are none so far.
type UploadOptions struct{}

// UploadFile stores the file of this machine at localPath as a file of the run
// and returns when it is durable. name is its path in the run, such as
// "outputs/model.json". Files of a run are never replaced. Content that the
// workspace has already is not stored again. Errors: ErrExists when the run has
// a file of that name, ErrNotFound, ErrInvalid for names that are absolute or
// hold "..".
func (r *Run) UploadFile(ctx context.Context, name, localPath string, _ *UploadOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "upload file of", kind, r.id)()
	return r.upload(ctx, func(batch *files.Batch) error { return batch.AddFile(ctx, name, localPath) })
}

// Upload stores what content gives as a file of the run, see UploadFile.
func (r *Run) Upload(ctx context.Context, name string, content io.Reader, _ *UploadOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "upload file of", kind, r.id)()
	const mode = 0o644
	return r.upload(ctx, func(batch *files.Batch) error { return batch.Add(ctx, name, mode, content) })
}

// UploadFolder stores all files below the folder dir of this machine as files
// of the run below name, all or none of them. Symbolic links are kept as links
// when they stay inside. Errors: as UploadFile.
func (r *Run) UploadFolder(ctx context.Context, name, dir string, _ *UploadOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "upload folder of", kind, r.id)()
	if info, err := os.Stat(dir); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%w: %s is no folder", azml.ErrInvalid, dir)
	}
	return r.upload(ctx, func(batch *files.Batch) error { return files.AddTree(ctx, batch, dir, name) })
}

func (r *Run) upload(ctx context.Context, add func(*files.Batch) error) error {
	batch, err := r.h.Files().NewBatch(ctx, nil)
	if err != nil {
		return err
	}
	defer batch.Abort()
	if err := add(batch); err != nil {
		return err
	}
	_, err = history.RunFiles(r.record()).AddBatch(ctx, r.h, batch, false)
	return err
}

// Files lists the run's files below prefix, the path of a file or folder, by
// path; an empty prefix means all. Logs are not among them, see Logs.
func (r *Run) Files(ctx context.Context, prefix string) (_ []File, err error) {
	defer r.h.Operation(&ctx, &err, "list files of", kind, r.id)()
	manifest, err := history.Files(ctx, r.h, r.record(), prefix)
	if err != nil {
		return nil, err
	}
	list := make([]File, len(manifest.Files))
	for i, f := range manifest.Files {
		list[i] = File{Path: f.Path, Size: f.Size, Digest: f.Digest}
	}
	return list, nil
}

// Open opens one file of the run for reading; it is verified on the way. The
// caller closes it. Errors: ErrNotFound naming the files there are, ErrDamaged.
func (r *Run) Open(ctx context.Context, name string) (_ io.ReadSeekCloser, err error) {
	defer r.h.Operation(&ctx, &err, "open file of", kind, r.id)()
	file, err := r.file(ctx, name)
	if err != nil {
		return nil, err
	}
	return r.h.Files().Open(ctx, file)
}

// file finds one file.
func (r *Run) file(ctx context.Context, name string) (files.File, error) {
	manifest, err := r.find(ctx, name)
	if err != nil {
		return files.File{}, err
	}
	file, ok := manifest.Find(path.Clean(name))
	if !ok || !file.IsRegular() {
		return files.File{}, fmt.Errorf("%w: %q is a folder or a link", azml.ErrInvalid, name)
	}
	return file, nil
}

// find gives the files below prefix, at least one.
func (r *Run) find(ctx context.Context, prefix string) (*files.Manifest, error) {
	manifest, err := history.Files(ctx, r.h, r.record(), prefix)
	if err != nil {
		return nil, err
	}
	if len(manifest.Files) == 0 {
		names, err := history.FileNames(ctx, r.h, r.record())
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("%w: the run has no files", azml.ErrNotFound)
		}
		return nil, fmt.Errorf("%w: the run has no file %q, but %s", azml.ErrNotFound, prefix, core.Sample(names))
	}
	return manifest, nil
}

// DownloadOptions are the options of Run.Download.
type DownloadOptions struct {
	// Overwrite replaces files that are there; without it they are an error.
	Overwrite bool
	// Progress, when not nil, is called now and then with the bytes done and
	// the bytes in all.
	Progress func(done, total int64)
}

// Download writes the run's files below prefix (all when it is empty) into the
// folder dir of this machine under their paths in the run, and verifies them.
// Errors: ErrNotFound when nothing is below prefix; ErrExists.
func (r *Run) Download(ctx context.Context, prefix, dir string, opts *DownloadOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "download files of", kind, r.id)()
	if opts == nil {
		opts = &DownloadOptions{}
	}
	manifest, err := r.find(ctx, prefix)
	if err != nil {
		return err
	}
	return r.h.Files().Restore(ctx, manifest, dir, &files.RestoreOptions{Overwrite: opts.Overwrite, Progress: opts.Progress})
}

// DownloadFile writes one file of the run to localPath, which must not be
// there; when localPath is a folder, under the file's own name in it. It is
// verified, and written whole or not at all. Errors: ErrNotFound, ErrExists.
func (r *Run) DownloadFile(ctx context.Context, name, localPath string) (err error) {
	defer r.h.Operation(&ctx, &err, "download file of", kind, r.id)()
	file, err := r.file(ctx, name)
	if err != nil {
		return err
	}
	if info, err := os.Stat(localPath); err == nil && info.IsDir() {
		localPath = filepath.Join(localPath, path.Base(name))
	}
	if _, err := os.Stat(filepath.Dir(localPath)); err != nil { // which Restore would make
		return err
	}
	file.Path = filepath.Base(localPath)
	return r.h.Files().Restore(ctx, &files.Manifest{Files: []files.File{file}}, filepath.Dir(localPath), nil)
}

// RestoreSnapshot writes the source folder as it was when the run was
// submitted into dir, and verifies it. Errors: ErrNotFound when the run has no
// snapshot; ErrExists when a file is there.
func (r *Run) RestoreSnapshot(ctx context.Context, dir string, opts *DownloadOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "restore snapshot of", kind, r.id)()
	if opts == nil {
		opts = &DownloadOptions{}
	}
	id := r.SnapshotID()
	if id == "" {
		return fmt.Errorf("%w: no snapshot was taken for this run", azml.ErrNotFound)
	}
	manifest, err := r.h.Files().Manifest(ctx, id)
	if err != nil {
		return err
	}
	return r.h.Files().Restore(ctx, manifest, dir, &files.RestoreOptions{Overwrite: opts.Overwrite, Progress: opts.Progress})
}

// SnapshotDiff says what differs between the source folders of two runs.
type SnapshotDiff struct {
	// Added are files that only the second run has.
	Added []File `json:"added"`
	// Removed are files that only the first run has.
	Removed []File `json:"removed"`
	// Changed are files that both have with different content or mode, as the
	// second has them.
	Changed []File `json:"changed"`
}

// DiffSnapshots compares the source folders of two runs. Errors: ErrNotFound
// when one has no snapshot.
func (r *Run) DiffSnapshots(ctx context.Context, other *Run) (_ *SnapshotDiff, err error) {
	defer r.h.Operation(&ctx, &err, "compare snapshots of", kind, strings.Join([]string{r.id, other.id}, " and "))()
	manifests := make([]*files.Manifest, 2)
	for i, one := range []*Run{r, other} {
		if one.SnapshotID() == "" {
			return nil, fmt.Errorf("%w: run %s has no snapshot", azml.ErrNotFound, one.id)
		}
		if manifests[i], err = r.h.Files().Manifest(ctx, one.SnapshotID()); err != nil {
			return nil, err
		}
	}
	added, removed, changed := files.Diff(manifests[0], manifests[1])
	return &SnapshotDiff{Added: fileList(added), Removed: fileList(removed), Changed: fileList(changed)}, nil
}

func fileList(all []files.File) []File {
	list := make([]File, len(all))
	for i, f := range all {
		list[i] = File{Path: f.Path, Size: f.Size, Digest: f.Digest}
	}
	return list
}
