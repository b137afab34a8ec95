package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/azml-go/azml"
)

// RestoreOptions are the options of Store.Restore.
type RestoreOptions struct {
	// Overwrite replaces files and links that are there. Default: one that is
	// there is an error before anything is written.
	Overwrite bool
	// Progress is told the bytes that are in place and the bytes of all. It is
	// called by one goroutine at a time. Default: none.
	Progress func(done, total int64)
}

// Restore writes the entries of the manifest below the folder dir, which is
// made when needed. Nothing is written outside of it, and nothing through a
// symbolic link in it. Each file is written under a temporary name, every
// chunk checked, and then renamed; links are made last. On an error, and when
// ctx ends, files that were finished stay and no other remains. Modes are
// 0644 and 0755 without the bits of the umask. Cost: one request for each
// pack. Errors: ErrInvalid (Validate), ErrExists, ErrDamaged,
// ErrDenied.
func (s *Store) Restore(ctx context.Context, m *Manifest, dir string, opts *RestoreOptions) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return restoreErr(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return restoreErr(dir, err)
	}
	defer func() { _ = root.Close() }()
	r := &restore{s: s, m: m, dir: dir, root: root, total: m.Size(), temp: ".azml-restore-" + rand.Text()}
	if opts != nil {
		r.opts = *opts
	}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("restore to %s: %w", dir, err)
	}
	return nil
}

// restore is one restoring.
type restore struct {
	s     *Store
	m     *Manifest
	dir   string
	root  *os.Root
	opts  RestoreOptions
	temp  string // folder of the files that are being written, below root
	total int64

	mu   sync.Mutex
	done int64
	uses map[digest][]target // where each chunk goes
}

func (r *restore) run(ctx context.Context) error {
	dirs := r.dirs()
	if err := r.checkFree(dirs); err != nil {
		return err
	}
	for _, d := range dirs {
		if err := r.root.Mkdir(d, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return restoreErr(d, err)
		}
	}
	if err := r.root.Mkdir(r.temp, 0o700); err != nil {
		return restoreErr(r.temp, err)
	}
	defer func() { _ = r.root.RemoveAll(r.temp) }()
	if err := r.writeFiles(ctx); err != nil {
		return err
	}
	return r.makeLinks(ctx)
}

// checkFree refuses what is there already, unless it may be replaced. A folder
// that is there must be one itself and no link to one.
func (r *restore) checkFree(dirs []string) error {
	for _, d := range dirs {
		if !filepath.IsLocal(filepath.FromSlash(d)) {
			return fmt.Errorf("%w: %q is no possible name on this system", azml.ErrInvalid, d)
		}
		info, err := r.root.Lstat(d)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return restoreErr(d, err)
		case !info.IsDir():
			return fmt.Errorf("%w: %q is there and no folder", azml.ErrExists, d)
		}
	}
	for _, f := range r.m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return fmt.Errorf("%w: %q is no possible name on this system", azml.ErrInvalid, f.Path)
		}
		if err := r.free(f.Path, f.Mode); err != nil {
			return err
		}
	}
	return nil
}

// free tells whether an entry may be put at path.
func (r *restore) free(path string, mode fs.FileMode) error {
	info, err := r.root.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return restoreErr(path, err)
	case info.IsDir() && mode.IsDir():
		return nil
	case info.IsDir():
		return fmt.Errorf("%w: %q is a folder here; remove it or restore to another place", azml.ErrExists, path)
	case r.opts.Overwrite && !mode.IsDir():
		return nil
	}
	return fmt.Errorf("%w: %q is there; ask for overwriting or restore to another place", azml.ErrExists, path)
}

// dirs lists the folders of all entries, each before what is in it.
func (r *restore) dirs() []string {
	var dirs []string
	seen := map[string]bool{}
	for _, f := range r.m.Files {
		if f.Mode == ModeDir {
			dirs = append(dirs, f.Path)
		}
		for d := range parents(f.Path) {
			if seen[d] {
				break
			}
			seen[d] = true
			dirs = append(dirs, d)
		}
	}
	slices.Sort(dirs)
	return dirs
}

// makeLinks makes the symbolic links, when all files are in place.
func (r *restore) makeLinks(ctx context.Context) error {
	for _, f := range r.m.Files {
		if f.Mode != ModeLink {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		temp := r.temp + "/link"
		if err := r.root.Symlink(filepath.FromSlash(f.Link), temp); err != nil {
			return restoreErr(f.Path, err)
		}
		if err := r.place(temp, f); err != nil {
			return err
		}
	}
	return nil
}

// place moves a finished entry to its path.
func (r *restore) place(temp string, f File) error {
	if err := r.free(f.Path, f.Mode); err != nil {
		return err
	}
	if err := r.root.Rename(temp, f.Path); err != nil {
		return restoreErr(f.Path, err)
	}
	return nil
}

// progress adds bytes that are in place.
func (r *restore) progress(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += n
	if r.opts.Progress != nil {
		r.opts.Progress(r.done, r.total)
	}
}

// restoreErr gives an error of the file system its class.
func restoreErr(path string, err error) error {
	class := azml.ErrUnavailable
	switch {
	case errors.Is(err, fs.ErrPermission):
		class = azml.ErrDenied
	case errors.Is(err, fs.ErrExist):
		class = azml.ErrExists
	}
	return fmt.Errorf("%w: %q: %w", class, path, err)
}
