package folder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// body is a range of an open file.
type body struct {
	*io.SectionReader
	io.Closer
}

// Get opens the file, or a range of it. Its Body is an io.ReaderAt, too. A file
// that is replaced meanwhile stays the one that was opened; one that somebody
// writes to in place is read as it is. Errors: ErrNotFound, ErrInvalid.
func (s *Store) Get(ctx context.Context, path string, opts *backend.GetOptions) (*backend.Object, error) {
	root, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name, err := local(path)
	if err != nil {
		return nil, err
	}
	// A pipe would wait for a writer, so what it is is asked first.
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, fail(err)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, fail(err)
	}
	if info, err = file.Stat(); err != nil {
		return nil, errors.Join(fail(err), file.Close())
	}
	if opts.Offset > info.Size() || opts.Offset < 0 {
		return nil, errors.Join(fmt.Errorf("%w: offset %d of a file of %d bytes", azml.ErrInvalid, opts.Offset, info.Size()), file.Close())
	}
	length := info.Size() - opts.Offset
	if opts.Length > 0 {
		length = min(length, opts.Length)
	}
	return &backend.Object{Info: describe(path, info), Body: body{io.NewSectionReader(file, opts.Offset, length), file}}, nil
}

// List yields the files in byte order of their paths. It reads a folder when it
// comes to it, all of it at once.
func (s *Store) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		root, err := s.open(ctx)
		if err == nil {
			defer root.Close()
			l := lister{ctx: ctx, root: root, opts: *opts, yield: yield}
			base := opts.Prefix[:strings.LastIndexByte(opts.Prefix, '/')+1]
			if base == "" || backend.ValidKey(strings.TrimSuffix(base, "/")) == nil { // else no path begins so
				err = l.walk(base)
			}
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(backend.Info{}, fail(err))
		}
	}
}

// errStop ends a walk because the caller wants no more.
var errStop = errors.New("stop")

// lister is one ranging over a List.
type lister struct {
	ctx   context.Context //nolint:containedctx // one listing, one context
	root  *os.Root
	opts  backend.ListOptions
	yield func(backend.Info, error) bool
}

// entry is a file, or a folder, whose path then ends in "/": that gives it its
// place in the order of paths.
type entry struct {
	path string
	info fs.FileInfo // nil for a folder
}

// walk lists the folder base, which is empty or ends in "/".
func (l *lister) walk(base string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := l.entries(base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := l.visit(e); err != nil {
			return err
		}
	}
	return nil
}

// visit lists a file, a common prefix, or what is in a folder.
func (l *lister) visit(e entry) error {
	after := e.path > l.opts.StartAfter
	isFolder := e.info == nil
	switch {
	case isFolder && (l.opts.Delimiter == "" || len(e.path) <= len(l.opts.Prefix)):
		if !after && !strings.HasPrefix(l.opts.StartAfter, e.path) {
			return nil
		}
		return l.walk(e.path)
	case !after:
		return nil
	case isFolder:
		there, err := l.holdsFile(e.path)
		if err != nil || !there {
			return err
		}
		return l.give(backend.Info{Key: e.path, IsPrefix: true})
	}
	return l.give(describe(e.path, e.info))
}

func (l *lister) give(info backend.Info) error {
	if !l.yield(info, nil) {
		return errStop
	}
	return nil
}

// holdsFile tells whether there is a file in the folder or below it.
func (l *lister) holdsFile(base string) (bool, error) {
	inner := lister{ctx: l.ctx, root: l.root, opts: backend.ListOptions{Prefix: base}}
	found := false
	inner.yield = func(backend.Info, error) bool { found = true; return false }
	if err := inner.walk(base); err != nil && !errors.Is(err, errStop) {
		return false, err
	}
	return found, nil
}

// entries gives what in the folder can be in the listing, in order of paths. A
// folder that is gone has nothing in it.
func (l *lister) entries(base string) ([]entry, error) {
	dir, err := l.root.Open(cmp.Or(filepath.FromSlash(strings.TrimSuffix(base, "/")), "."))
	if errors.Is(err, fs.ErrNotExist) && base != "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if info, err := dir.Stat(); err != nil || !info.IsDir() { // a file has nothing below it
		return nil, err
	}
	names, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	list := make([]entry, 0, len(names))
	for _, d := range names {
		e, ok, err := l.entry(base, d)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.path, b.path) })
	return list, nil
}

// entry makes an entry of what was read, unless it is not to be listed.
func (l *lister) entry(base string, d fs.DirEntry) (e entry, ok bool, err error) {
	e.path = base + d.Name()
	if isTemp(d.Name()) || backend.ValidKey(e.path) != nil {
		return e, false, nil
	}
	if d.IsDir() {
		e.path += "/"
		return e, strings.HasPrefix(e.path, l.opts.Prefix) || strings.HasPrefix(l.opts.Prefix, e.path), nil
	}
	if !strings.HasPrefix(e.path, l.opts.Prefix) {
		return e, false, nil
	}
	switch {
	case d.Type().IsRegular():
		e.info, err = d.Info()
	case d.Type()&fs.ModeSymlink != 0:
		if e.info, err = l.root.Stat(filepath.FromSlash(e.path)); err != nil {
			return e, false, nil // it leads out, or to nothing
		}
	default:
		return e, false, nil
	}
	if errors.Is(err, fs.ErrNotExist) { // gone meanwhile
		return e, false, nil
	}
	return e, err == nil && e.info.Mode().IsRegular(), err
}
