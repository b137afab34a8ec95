package image

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

// ignoreFile says what of a build context is not sent.
const ignoreFile = ".dockerignore"

// Folder is a build context as it is in a folder of this machine.
type Folder struct {
	dir string
	// found is what is sent, in order of the paths.
	found []files.File
}

// ScanFolder reads the folder with a Dockerfile at a path in it, but for what its
// .dockerignore names. Nothing is kept but the digests of the files. Errors:
// ErrNotFound, ErrInvalid for what can't be sent, ErrDenied.
func ScanFolder(dir, dockerfile string) (*Folder, error) {
	ignored, err := readIgnoreFile(filepath.Join(dir, ignoreFile))
	if err != nil {
		return nil, err
	}
	s := folderScan{Folder: &Folder{dir: dir}, ignored: ignored, always: []string{dockerfile, ignoreFile}}
	if err := s.walk("", patternmatcher.MatchInfo{}); err != nil {
		return nil, err
	}
	slices.SortFunc(s.found, func(a, b files.File) int { return cmp.Compare(a.Path, b.Path) })
	if !HasFile(s.found, dockerfile) {
		return nil, fmt.Errorf("%w: build context %s has no file %q", azml.ErrNotFound, dir, dockerfile)
	}
	return s.Folder, nil
}

// HasFile tells whether there is a plain file at the path.
func HasFile(found []files.File, path string) bool {
	return slices.ContainsFunc(found, func(f files.File) bool { return f.Path == path && f.IsRegular() })
}

func readIgnoreFile(file string) (*patternmatcher.PatternMatcher, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return patternmatcher.New(nil)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", azml.ErrInvalid, file, err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", azml.ErrInvalid, file, err)
	}
	return ignored, nil
}

// folderScan looks through a folder.
type folderScan struct {
	*Folder
	ignored *patternmatcher.PatternMatcher
	// always are sent whatever is ignored: the engine needs them, and takes those
	// that are ignored out itself.
	always []string
}

// walk looks through the folder of that slash path, which the patterns match as up
// says.
func (s folderScan) walk(dir string, up patternmatcher.MatchInfo) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, filepath.FromSlash(dir)))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		out, match, err := s.ignored.MatchesUsingParentResults(name, up)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", azml.ErrInvalid, ignoreFile, err)
		}
		if entry.IsDir() {
			err = s.folder(name, out, match)
		} else if !out || slices.Contains(s.always, name) {
			err = s.take(name, entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// folder looks through a folder in the folder. Of one that is left out, something
// may be named again, and the Dockerfile may be there.
func (s folderScan) folder(name string, out bool, match patternmatcher.MatchInfo) error {
	before := len(s.found)
	if !out || s.ignored.Exclusions() || strings.HasPrefix(s.always[0], name+"/") {
		if err := s.walk(name, match); err != nil {
			return err
		}
	}
	if !out && len(s.found) == before {
		s.found = append(s.found, files.File{Path: name, Mode: files.ModeDir})
	}
	return nil
}

// take notes what is no folder. Sockets are left out, as Docker does.
func (s folderScan) take(name string, entry fs.DirEntry) error {
	file := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := files.ValidPath(name); err != nil {
		return err
	}
	switch {
	case entry.Type()&fs.ModeSocket != 0:
		return nil
	case entry.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		if err := files.ValidLink(name, filepath.ToSlash(target)); err != nil {
			return fmt.Errorf("%w: name it in %s, or put what it points to in its place", err, ignoreFile)
		}
		s.found = append(s.found, files.File{Path: name, Mode: files.ModeLink, Link: filepath.ToSlash(target)})
		return nil
	case !entry.Type().IsRegular():
		return fmt.Errorf("%w: %s is a %s, which can't be sent: name it in %s", azml.ErrInvalid, file, entry.Type(), ignoreFile)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	mode := files.ModeFile
	if info.Mode()&0o111 != 0 {
		mode = files.ModeExec
	}
	s.found = append(s.found, files.File{Path: name, Mode: mode, Size: size, Digest: hex.EncodeToString(sum.Sum(nil))})
	return nil
}

// Hash gives the content hash of what is sent.
func (f *Folder) Hash() string { return hashOf(f.found) }

// ContextHash gives the content hash of what is stored of a build context.
func ContextHash(m *files.Manifest) string { return hashOf(m.Files) }

// hashOf hashes paths, modes, contents and targets of links.
func hashOf(found []files.File) string {
	sum := sha256.New()
	_, _ = io.WriteString(sum, "azml.buildContext/1\n")
	for _, f := range found {
		_, _ = fmt.Fprintf(sum, "%q %s %s %q\n", f.Path, f.Mode, f.Digest, f.Link)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Store stores what is sent and gives the ID of its manifest. Errors: ErrConflict when
// the folder is not as it was when it was scanned.
func (f *Folder) Store(ctx context.Context, store *files.Store) (manifest string, err error) {
	batch, err := store.NewBatch(ctx, nil)
	if err != nil {
		return "", err
	}
	defer batch.Abort()
	for _, one := range f.found {
		switch one.Mode {
		case files.ModeDir:
			err = batch.AddDir(one.Path)
		case files.ModeLink:
			err = batch.AddLink(one.Path, one.Link)
		default:
			err = batch.AddFile(ctx, one.Path, filepath.Join(f.dir, filepath.FromSlash(one.Path)))
		}
		if err != nil {
			return "", err
		}
	}
	id, stored, _, err := batch.CommitManifest(ctx)
	if err == nil && ContextHash(stored) != f.Hash() {
		err = fmt.Errorf("%w: the build context %s was changed meanwhile: read it again", azml.ErrConflict, f.dir)
	}
	return id, err
}

// contextOf gives the build context of an environment, nil when it has none.
func contextOf(env record.Environment, store *files.Store) *backend.BuildContext {
	c := env.Docker.BuildContext
	if c == nil {
		return nil
	}
	return &backend.BuildContext{Dockerfile: c.Dockerfile, Write: func(ctx context.Context, w io.Writer) error {
		m, err := store.Manifest(ctx, c.Files)
		if err != nil {
			return fmt.Errorf("build context: %w", err)
		}
		return writeTar(ctx, w, store, m)
	}}
}

// writeTar writes the files as an archive, which is the same for the same files.
func writeTar(ctx context.Context, w io.Writer, store *files.Store, m *files.Manifest) error {
	archive := tar.NewWriter(w)
	for _, f := range m.Files {
		header := tar.Header{Name: f.Path, Typeflag: tar.TypeReg, Mode: int64(f.Mode.Perm()), Size: f.Size, Format: tar.FormatPAX}
		switch f.Mode {
		case files.ModeDir:
			header.Typeflag, header.Name = tar.TypeDir, f.Path+"/"
		case files.ModeLink:
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.Link
		}
		if err := archive.WriteHeader(&header); err != nil {
			return err
		}
		if !f.IsRegular() {
			continue
		}
		if err := copyFile(ctx, archive, store, f); err != nil {
			return err
		}
	}
	return archive.Close()
}

func copyFile(ctx context.Context, w io.Writer, store *files.Store, f files.File) error {
	r, err := store.Open(ctx, f)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}
