//go:build linux

package layer

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// whiteout begins the names of entries that say that a file is gone, by the rules of
// OCI images.
const whiteout = ".wh."

// Tree is what a file system has, by path.
type Tree struct {
	root  string
	skip  map[string]bool
	files map[string]stamp
}

// stamp tells whether a file has changed: whatever changes one, changes its ctime.
type stamp struct {
	changed  time.Time
	modified time.Time
	mode     fs.FileMode
	size     int64
}

// Take looks at all files below root but those of other mounts and of skipped folders.
func Take(root string, skip ...string) (Tree, error) {
	t := Tree{root: filepath.Clean(root), skip: map[string]bool{}, files: map[string]stamp{}}
	for _, dir := range skip {
		t.skip[dir] = true
	}
	if err := t.skipMounts(); err != nil {
		return t, err
	}
	err := filepath.WalkDir(t.root, func(path string, e fs.DirEntry, err error) error {
		if t.skip[path] && e != nil && e.IsDir() {
			return fs.SkipDir
		}
		if errors.Is(err, fs.ErrNotExist) || t.skip[path] || path == t.root {
			return nil // gone meanwhile, or none of the tree's
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			t.files[path] = stampOf(info)
		}
		return err
	})
	return t, err
}

// skipMounts leaves out what else is mounted.
func (t Tree) skipMounts() error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		const place = 4 // of the point of mounting
		fields := strings.Fields(lines.Text())
		if len(fields) > place {
			if at := unescape(fields[place]); at != t.root {
				t.skip[at] = true
			}
		}
	}
}

// unescape gives a path of mountinfo, in which blanks are octal numbers.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{modified: info.ModTime(), mode: info.Mode(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.changed = time.Unix(sys.Ctim.Unix())
	}
	return s
}

// WriteChanges writes what has changed from the tree to another, taken later, as a
// layer, a compressed tar archive.
func WriteChanges(to io.Writer, before, after Tree) error {
	packed, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := &writer{tar: tar.NewWriter(packed), root: before.root, links: map[uint64]string{}}
	for _, path := range slices.Sorted(maps.Keys(after.files)) {
		if was, ok := before.files[path]; ok && was == after.files[path] {
			continue
		}
		if err := w.add(path); err != nil {
			return err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before.files)) {
		_, there := after.files[path]
		_, folder := after.files[filepath.Dir(path)]
		if !there && (folder || filepath.Dir(path) == before.root) {
			if err := w.gone(path); err != nil {
				return err
			}
		}
	}
	return errors.Join(w.tar.Close(), packed.Close())
}

// writer writes entries of an archive.
type writer struct {
	tar   *tar.Writer
	root  string
	links map[uint64]string // the first name of each file that has several
}

// name gives the name of a path in the archive.
func (w *writer) name(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, w.root), "/")
}

func (w *writer) add(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	if info.Mode()&fs.ModeSocket != 0 {
		return nil // nobody listens in an image
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name = w.name(path)
	if info.IsDir() {
		h.Name += "/"
	}
	h.Uname, h.Gname = "", ""
	if sys, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() && sys.Nlink > 1 {
		if first, ok := w.links[sys.Ino]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return w.tar.WriteHeader(h)
		}
		w.links[sys.Ino] = h.Name
	}
	if err := w.tar.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w.tar, f)
	return err
}

func (w *writer) gone(path string) error {
	dir, base := filepath.Split(w.name(path))
	return w.tar.WriteHeader(&tar.Header{Name: dir + whiteout + base, Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)})
}
