package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/gitignore"
)

// ignoreFiles are the names of ignore files. The first one that the source
// folder holds is the one that counts.
var ignoreFiles = [...]string{".amlignore", ".gitignore"}

// maxIgnoreFile is the size of an ignore file, in bytes, that is not read any
// more, as in git.
const maxIgnoreFile = 100 << 20

// Scan reads the folder dir and says what a snapshot of it would hold. Nothing
// is changed, and no file but the ignore files is read. It costs one system
// call for each file and a few for each folder.
//
// Errors: ErrNotFound when dir or a required file does not exist, ErrInvalid when dir
// is no folder or is excluded itself, or a required file would not be taken,
// ErrDenied when dir can't be read, and those of ctx.
func Scan(ctx context.Context, dir string, opts *Options) (*Plan, error) {
	s := &scanner{ctx: ctx, plan: &Plan{Dir: dir}}
	if opts != nil {
		s.opts = *opts
	}
	top, list, err := s.open(dir)
	if err != nil {
		return nil, err
	}
	if err := s.read(top, list); err != nil {
		return nil, err
	}
	s.plan.sort()
	s.warnLinks()
	s.warnSize()
	if err := s.plan.require(s.opts.Require); err != nil {
		return nil, err
	}
	return s.plan, nil
}

// scanner is one run of Scan.
type scanner struct {
	ctx        context.Context
	opts       Options
	plan       *Plan
	ignoreFile string // the name that counts, or ""
	excluded   []fs.FileInfo
	followed   []fs.FileInfo // folders reached by a link so far
}

// folder is one being read, with those above it.
type folder struct {
	path, osPath string
	info         fs.FileInfo
	up           *folder
	matcher      *gitignore.Matcher
	// root is the path of the nearest folder above that is no ordinary
	// subfolder: the source folder, or one reached by a link. A relative link
	// that leads out of it means something else in the snapshot.
	root string
}

func (f *folder) join(name string) string {
	if f.path == "" {
		return name
	}
	return f.path + "/" + name
}

func (f *folder) isTop() bool { return f.up == nil }

// open reads the source folder itself.
func (s *scanner) open(dir string) (*folder, []fs.DirEntry, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, classify(fmt.Sprintf("source folder %q", dir), err)
	}
	if !info.IsDir() {
		return nil, nil, fmt.Errorf("%w: source %q is a file, give the folder it is in", azml.ErrInvalid, dir)
	}
	for _, path := range s.opts.Exclude {
		if x, err := os.Stat(path); err == nil {
			s.excluded = append(s.excluded, x)
		}
	}
	if isOneOf(info, s.excluded) {
		return nil, nil, fmt.Errorf("%w: source folder %q is the workspace or its cache, give another folder", azml.ErrInvalid, dir)
	}
	list, err := readDir(dir)
	if err != nil {
		return nil, nil, classify(fmt.Sprintf("source folder %q", dir), err)
	}
	top := &folder{osPath: dir, info: info}
	s.ignoreFile = chooseIgnoreFile(list)
	top.matcher = gitignore.New(s.patterns(top, list))
	if reason := contentReason(list); reason != "" {
		s.warn("the source folder itself looks like something that is usually left out (%s)", strings.TrimPrefix(reason, "built-in: "))
	}
	return top, list, nil
}

func classify(what string, err error) error {
	class := azml.ErrUnavailable
	switch {
	case errors.Is(err, fs.ErrNotExist):
		class = azml.ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		class = azml.ErrDenied
	}
	return fmt.Errorf("%w: %s: %w", class, what, err)
}

func isOneOf(info fs.FileInfo, list []fs.FileInfo) bool {
	for _, x := range list {
		if os.SameFile(info, x) {
			return true
		}
	}
	return false
}

// readDir lists a folder, in no order.
func readDir(osPath string) ([]fs.DirEntry, error) {
	f, err := os.Open(osPath)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

func chooseIgnoreFile(list []fs.DirEntry) string {
	for _, name := range ignoreFiles {
		for _, e := range list {
			if e.Name() == name && !e.IsDir() {
				return name
			}
		}
	}
	return ""
}

// patterns reads the folder's own ignore file, when list holds one.
func (s *scanner) patterns(f *folder, list []fs.DirEntry) *gitignore.Patterns {
	for _, e := range list {
		if s.ignoreFile == "" || e.Name() != s.ignoreFile || e.IsDir() {
			continue
		}
		path := f.join(e.Name())
		if !e.Type().IsRegular() {
			s.warn("%q is no regular file and is not read, as git does", path)
			return nil
		}
		if info, err := e.Info(); err == nil && info.Size() > maxIgnoreFile {
			s.warn("%q is larger than 100 MiB and is not read, as git does", path)
			return nil
		}
		data, err := os.ReadFile(filepath.Join(f.osPath, e.Name()))
		if err != nil {
			s.warn("%q can't be read, so nothing is ignored by it: %v", path, plain(err))
			return nil
		}
		return gitignore.Parse(path, data)
	}
	return nil
}

// read takes the contents of one folder.
func (s *scanner) read(f *folder, list []fs.DirEntry) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	before := len(s.plan.Entries)
	for _, e := range list {
		if err := s.take(f, e); err != nil {
			return err
		}
	}
	if len(s.plan.Entries) == before && !f.isTop() {
		s.plan.Entries = append(s.plan.Entries, Entry{Path: f.path, Mode: f.info.Mode(), OSPath: f.osPath})
	}
	return nil
}

// take decides about one name of a folder.
func (s *scanner) take(f *folder, e fs.DirEntry) error {
	name := e.Name()
	path := f.join(name)
	if why := oddName(path); why != "" {
		s.skip(path, why)
		return nil
	}
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		return s.takeLink(f, name)
	case e.IsDir():
		return s.takeFolder(f, e)
	default:
		reason, _ := s.verdict(f.matcher, name, false)
		if reason != "" {
			s.ignore(path, false, reason)
			return nil
		}
		info, err := e.Info()
		if err != nil {
			s.skip(path, plain(err))
			return nil
		}
		s.takeFile(path, filepath.Join(f.osPath, name), info)
	}
	return nil
}

// oddName says why a path can't be part of a manifest, or "".
func oddName(path string) string {
	switch {
	case files.ValidPath(path) == nil:
		return ""
	case !utf8.ValidString(path):
		return "its name is not UTF-8"
	case strings.Contains(path, `\`):
		return "its name holds a backslash, which is no name on every system"
	default:
		return "its path is too long"
	}
}

// takeFile takes a regular file and skips anything else.
func (s *scanner) takeFile(path, osPath string, info fs.FileInfo) {
	mode := info.Mode()
	switch {
	case isOneOf(info, s.excluded):
		s.ignore(path, false, "built-in: excluded")
		return
	case !mode.IsRegular():
		s.skip(path, "it is "+kind(mode))
		return
	case mode.Perm()&0o444 != 0o444:
		// Some may not read it, so try. Most files need no such call.
		file, err := os.Open(osPath)
		if err != nil {
			s.skip(path, plain(err))
			return
		}
		_ = file.Close()
	}
	s.plan.Entries = append(s.plan.Entries, Entry{Path: path, Mode: mode, Size: info.Size(), OSPath: osPath})
	s.plan.Files++
	s.plan.Size += info.Size()
}

// takeFolder takes an ordinary subfolder.
func (s *scanner) takeFolder(f *folder, e fs.DirEntry) error {
	name := e.Name()
	reason, kept := s.verdict(f.matcher, name, true)
	if reason != "" {
		s.ignore(f.join(name), true, reason)
		return nil
	}
	info, err := e.Info()
	if err != nil {
		s.skip(f.join(name), plain(err))
		return nil
	}
	return s.enter(f, name, info, f.root, kept)
}

// enter reads the folder name of f, which is an ordinary one or reached by a
// link.
func (s *scanner) enter(f *folder, name string, info fs.FileInfo, root string, kept bool) error {
	child := &folder{path: f.join(name), osPath: filepath.Join(f.osPath, name), info: info, up: f, root: root}
	if isOneOf(info, s.excluded) {
		s.ignore(child.path, true, "built-in: excluded")
		return nil
	}
	list, err := readDir(child.osPath)
	if err != nil {
		s.skip(child.path, plain(err))
		return nil
	}
	if reason := contentReason(list); reason != "" && !kept {
		s.ignore(child.path, true, reason)
		return nil
	}
	child.matcher = f.matcher.Enter(name, s.patterns(child, list))
	return s.read(child, list)
}

func (s *scanner) ignore(path string, isDir bool, reason string) {
	s.plan.Ignored = append(s.plan.Ignored, Ignored{Path: path, IsDir: isDir, Reason: reason})
}

func (s *scanner) skip(path, reason string) {
	s.plan.Skipped = append(s.plan.Skipped, Skipped{Path: path, Reason: reason})
}

func (s *scanner) warn(format string, args ...any) {
	s.plan.Warnings = append(s.plan.Warnings, fmt.Sprintf(format, args...))
}

// plain says what went wrong without the path, which is told beside it.
func plain(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it vanished while the folder was read"
	case errors.Is(err, azml.ErrConflict):
		return "it kept changing while it was read"
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return "it can't be read: " + err.Error()
}

func kind(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "neither a file nor a folder"
}
