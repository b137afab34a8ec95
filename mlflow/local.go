package mlflow

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// local finds artifacts on this machine by their URIs. What a database names
// may be anywhere, so it opens only what lies below folders that the user has
// named: the source's own, and the one for artifacts.
type local struct {
	own   string // the source's folder
	given string // the folder that the user has named for artifacts, else empty
}

// newLocal makes both folders absolute.
func newLocal(own, given string) (local, error) {
	own, err := filepath.Abs(own)
	if err != nil {
		return local{}, err
	}
	if own, err = filepath.EvalSymlinks(own); err != nil || given == "" {
		return local{own: own}, err
	}
	if given, err = filepath.Abs(given); err != nil {
		return local{}, err
	}
	given, err = filepath.EvalSymlinks(given)
	return local{own, given}, err
}

// proxyScheme is the scheme of artifacts that clients send to their server.
const proxyScheme = "mlflow-artifacts"

// folder gives the folder that holds the artifacts of a URI, empty when there
// is none: then nothing was ever stored. Errors: *unreadable.
func (l local) folder(uri string) (string, error) {
	path, err := l.path(uri)
	if err != nil {
		return "", err
	}
	if found := l.inside(path, l.own); found != "" {
		return found, nil
	}
	if l.given != "" {
		return l.tail(path), nil
	}
	if contains(l.own, path) {
		return "", nil
	}
	if _, err := os.Stat(path); err != nil {
		return "", &unreadable{reason: "artifacts in folders that are not here: name the folder that holds them now", gone: true}
	}
	return "", &unreadable{reason: "artifacts outside of the source's folder: name the folder that holds them"}
}

// path gives the path that a URI means on this machine.
func (l local) path(uri string) (string, error) {
	if filepath.IsAbs(uri) {
		return filepath.Clean(uri), nil
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "" || len(u.Scheme) == 1: // a plain path, or one with a Windows drive
		return filepath.Join(l.own, filepath.FromSlash(uri)), nil
	case u.Scheme == "file":
		return filepath.Clean(filepath.FromSlash(u.Path)), nil
	case u.Scheme == proxyScheme:
		// By default the server that serves them has them beside its database.
		return filepath.Join(l.own, "mlartifacts", filepath.FromSlash(u.Path)), nil
	}
	return "", &unreadable{reason: "artifacts on " + u.Scheme}
}

// inside gives the path without links when it is there and lies below the
// folder, else nothing.
func (l local) inside(path, folder string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil || !contains(folder, real) {
		return ""
	}
	return real
}

func contains(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}

// tail finds below the given folder what has the longest end in common with
// path: whoever has copied a store has another beginning.
func (l local) tail(path string) string {
	if found := l.inside(path, l.given); found != "" {
		return found
	}
	parts := strings.Split(filepath.ToSlash(path), "/")
	for i := range parts {
		rest := filepath.Join(parts[i:]...)
		if rest == "" || !filepath.IsLocal(rest) {
			continue
		}
		if found := l.inside(filepath.Join(l.given, rest), l.given); found != "" {
			return found
		}
	}
	return ""
}

// files yields the files below the folder that holds the artifacts of a URI.
func (l local) files(uri string) iter.Seq2[file, error] {
	return func(yield func(file, error) bool) {
		root, err := l.open(uri)
		if root == nil {
			if err != nil {
				yield(file{}, err)
			}
			return
		}
		defer root.Close()
		err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			f := file{path: path}
			switch info, err := root.Stat(path); {
			case err != nil:
				f.problem = "links that lead nowhere or out of the artifacts' folder"
			case !info.Mode().IsRegular():
				f.problem = "links to folders, and what is no file"
			default:
				f.size = info.Size()
			}
			if !yield(f, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(file{}, err)
		}
	}
}

var errEnough = errors.New("enough")

// open opens the folder that holds the artifacts of a URI, nil when there is
// none.
func (l local) open(uri string) (*os.Root, error) {
	dir, err := l.folder(uri)
	if err != nil || dir == "" {
		return nil, err
	}
	return os.OpenRoot(dir)
}

// read opens one of the files.
func (l local) read(uri, path string) (io.ReadCloser, error) {
	root, err := l.open(uri)
	if root == nil {
		return nil, errors.Join(err, fmt.Errorf("%s: %w", path, fs.ErrNotExist))
	}
	defer root.Close()
	return root.Open(filepath.FromSlash(path))
}

// byStart sorts runs by when they began.
func byStart(runs []run) {
	slices.SortStableFunc(runs, func(a, b run) int { return a.started.Compare(b.started) })
}
