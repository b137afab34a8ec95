package datastore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gofrs/flock"

	"github.com/azml-go/azml"
)

// DownloadOptions are the options of Datastore.Download.
type DownloadOptions struct {
	// Overwrite replaces files that are there; without it they are skipped.
	Overwrite bool
	// Parallel is how many files come down at once, by default 8.
	Parallel int
	// Filter, when not nil, picks the files by their paths in the datastore.
	Filter func(path string) bool
	// Progress, when not nil, is told how far it is. Calls don't overlap; it must
	// not block.
	Progress func(Progress)
}

// Download writes the file of that path, or the files of the folder of that path
// (all files when it is empty), below the folder dir of this machine, under
// their paths in the datastore. A path that leads out of dir is refused before
// anything is written. Each file appears whole and on disk, or not at all;
// calling Download again goes on where one was cut off, within a file, too,
// unless that has changed since. It gives what was done, also with an error.
// Errors: ErrNotFound when nothing is there, ErrInvalid for bad paths,
// ErrConflict when a file changes meanwhile.
func (d *Datastore) Download(ctx context.Context, path, dir string, opts *DownloadOptions) (_ Transfer, err error) {
	defer d.h.Operation(&ctx, &err, "download from", kind, d.Name())()
	if opts == nil {
		opts = &DownloadOptions{}
	}
	t := &transfer{tell: opts.Progress}
	files, err := d.wanted(ctx, path, opts.Filter)
	if err != nil {
		return t.done, err
	}
	for _, f := range files {
		t.progress.TotalFiles++
		t.progress.TotalBytes += max(0, f.Size)
	}
	const mode = 0o777 // what the user's umask leaves of it
	if err := os.MkdirAll(dir, mode); err != nil {
		return t.done, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return t.done, err
	}
	defer root.Close()
	to := target{d, root, t, opts.Overwrite}
	err = t.run(ctx, len(files), opts.Parallel, func(ctx context.Context, i int) error {
		return about(files[i].Path, to.fetch(ctx, files[i]))
	})
	return t.done, errors.Join(err, syncFolders(root, files))
}

// syncFolders makes the names of files durable.
func syncFolders(root *os.Root, files []File) error {
	if runtime.GOOS == "windows" { // folders can't be synced there
		return nil
	}
	folders := map[string]bool{}
	for _, f := range files {
		for dir := filepath.Dir(filepath.FromSlash(f.Path)); !folders[dir]; dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		folder, err := root.Open(dir)
		if errors.Is(err, fs.ErrNotExist) { // not come to
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
			return err
		}
	}
	return nil
}

// wanted lists the files to come down.
func (d *Datastore) wanted(ctx context.Context, path string, pick func(string) bool) ([]File, error) {
	path = strings.Trim(path, "/")
	var files []File
	prefix := ""
	if path != "" {
		prefix = path + "/"
		file, err := d.stat(ctx, path)
		if err == nil {
			files = append(files, file)
		} else if !errors.Is(err, azml.ErrNotFound) {
			return nil, err
		}
	}
	for file, err := range d.Files(ctx, prefix, nil) {
		if errors.Is(err, azml.ErrUnsupported) && len(files) > 0 { // a file of what can't be listed
			break
		}
		if err != nil {
			return nil, err
		}
		if pick == nil || pick(file.Path) {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: there is no file %q, and none below it", azml.ErrNotFound, path)
	}
	for _, f := range files {
		if _, err := filepath.Localize(f.Path); err != nil || isPart(filepath.Base(f.Path)) {
			return nil, fmt.Errorf("%w: the datastore has a file %q, which can't be the path of a file below a folder: leave it out by Filter", azml.ErrInvalid, f.Path)
		}
	}
	return files, nil
}

// target is the folder that files come down to.
type target struct {
	d         *Datastore
	root      *os.Root
	t         *transfer
	overwrite bool
}

// Files that are on their way have names of this form.
const (
	partPrefix = ".azml-"
	partSuffix = ".part"
)

func isPart(name string) bool {
	return strings.HasPrefix(name, partPrefix) && strings.HasSuffix(name, partSuffix)
}

// fetch brings one file down.
func (to target) fetch(ctx context.Context, f File) error {
	name := filepath.FromSlash(f.Path)
	if !to.overwrite {
		if there, err := to.root.Lstat(name); err == nil {
			to.t.skipped(f.Path, there.Size(), f.Size)
			return nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	const mode = 0o777 // what the user's umask leaves of it
	if err := to.root.MkdirAll(filepath.Dir(name), mode); err != nil {
		return err
	}
	r, err := to.d.openFile(ctx, f.Path)
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := to.begin(r.File(), filepath.Dir(name))
	if err != nil {
		return err
	}
	size, err := to.fill(p, r)
	if err == nil {
		err = p.finish(to.root, name)
	}
	if err = errors.Join(err, p.close()); err != nil {
		return err
	}
	to.t.moved(size)
	return nil
}

// part is a file on its way, locked by who writes it.
type part struct {
	*os.File
	name string
	lock *flock.Flock
}

// finish gives the file its name. Where an open file can't be renamed, another
// process may do the same in between, with the same bytes.
func (p part) finish(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		if err := p.close(); err != nil {
			return err
		}
	}
	return root.Rename(p.name, name)
}

func (p part) close() error {
	err := p.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	return errors.Join(err, p.lock.Close())
}

// begin opens the file on its way. Its name tells what it is the beginning of,
// so that a download that was cut off is found; one that another process writes
// is left to that.
func (to target) begin(f File, dir string) (part, error) {
	id := hex.EncodeToString(random())
	if f.ETag != "" && f.Size >= 0 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", to.d.record.Token, f.Path, f.ETag, f.Size))
		id = hex.EncodeToString(sum[:idBytes])
	}
	for {
		name := filepath.Join(dir, partPrefix+id+partSuffix)
		const mode = 0o666 // what the user's umask leaves of it
		file, err := to.root.OpenFile(name, os.O_CREATE|os.O_RDWR, mode)
		if err != nil {
			return part{}, err
		}
		lock := flock.New(filepath.Join(to.root.Name(), name))
		ours, err := lock.TryLock()
		if err != nil {
			return part{}, errors.Join(err, file.Close())
		}
		if ours && same(to.root, file, name) {
			return part{file, name, lock}, nil
		}
		if err := errors.Join(file.Close(), lock.Close()); err != nil {
			return part{}, err
		}
		if !ours {
			id = hex.EncodeToString(random())
		}
	}
}

// same tells whether the name is still that of the file: who had the lock before
// may have finished it.
func same(root *os.Root, file *os.File, name string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := root.Stat(name)
	return err == nil && os.SameFile(opened, named)
}

const idBytes = 8

func random() []byte {
	b := make([]byte, idBytes)
	_, _ = rand.Read(b) // never fails
	return b
}

// fill brings what is missing of the file, and makes it durable.
func (to target) fill(p part, r *Reader) (int64, error) {
	have, err := p.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	to.t.advance(have)
	if _, err := r.Seek(have, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.Copy(noted{p, to.t}, r)
	if err == nil && r.Size() >= 0 && have+n != r.Size() {
		err = fmt.Errorf("%w: it has %d bytes, %d came", azml.ErrUnavailable, r.Size(), have+n)
	}
	if err == nil {
		err = p.Sync()
	}
	return have + n, err
}

// noted is a file of which the progress is told.
type noted struct {
	io.Writer
	t *transfer
}

// Write implements io.Writer.
func (w noted) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.t.advance(int64(n))
	return n, err
}
