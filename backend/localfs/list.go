package localfs

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/azml-go/azml/backend"
)

// List yields the objects in byte order of their keys. It reads a folder when
// it comes to it, all of it at once, and yields its objects as they were then: one
// that took the place of another in that folder meanwhile is there when that is not;
// with a delimiter it looks into the folders below only until it sees that one
// is not empty. An object costs one lstat, without the way to its folder.
// Errors: ErrDenied, ErrUnavailable, ErrClosed.
func (s *Store) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		l := lister{Store: s, ctx: ctx, opts: *opts, yield: yield}
		base := opts.Prefix[:strings.LastIndexByte(opts.Prefix, '/')+1]
		if base != "" && backend.ValidKey(strings.TrimSuffix(base, "/")) != nil {
			base = "" // no key begins so, but the context may be done
		}
		err := l.walk(base)
		if err != nil && !errors.Is(err, errStop) {
			yield(backend.Info{}, fail("list", opts.Prefix, err))
		}
	}
}

// errStop ends a walk because the caller wants no more.
var errStop = errors.New("stop")

// lister is one ranging over a List.
type lister struct {
	*Store
	ctx   context.Context
	opts  backend.ListOptions
	yield func(backend.Info, error) bool
}

// walk lists the folder for keys that begin with base.
func (l *lister) walk(base string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := l.entries(base, l.wanted)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		if err := l.visit(e); err != nil {
			return err
		}
	}
	return nil
}

// wanted tells whether keys that begin with key, or it alone, can be in the
// listing.
func (l *lister) wanted(key string) bool {
	within := strings.HasPrefix(key, l.opts.Prefix)
	return within || strings.HasPrefix(l.opts.Prefix, key)
}

// visit lists an object, a common prefix, or what is in a folder.
func (l *lister) visit(e entry) error {
	after := e.key > l.opts.StartAfter
	switch {
	case !strings.HasPrefix(e.key, l.opts.Prefix):
		return nil
	case e.folder && l.opts.Delimiter == "":
		if !after && !strings.HasPrefix(l.opts.StartAfter, e.key) {
			return nil
		}
		return l.walk(e.key)
	case !after:
		return nil
	case e.folder:
		if ok, err := l.hasObject(e.path); !ok {
			return err
		}
		return l.give(backend.Info{Key: e.key, IsPrefix: true})
	}
	return l.give(infoOf(e.key, e.info))
}

func (l *lister) give(info backend.Info) error {
	if !l.yield(info, nil) {
		return errStop
	}
	return nil
}

// entry is an object, or the folder of keys that share a beginning; its key
// then ends in "/", which gives it its place in the order of keys.
type entry struct {
	key, path string
	folder    bool
	info      fs.FileInfo // of an object
}

// entries gives what is in the folder for keys that begin with base, in order
// of keys. A folder that is not there has no entries.
func (s *Store) entries(base string, wanted func(key string) bool) ([]entry, error) {
	list, err := s.appendEntries(nil, base, folderPath(base), "", wanted)
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	return list, err
}

// appendEntries reads the folder at dir. Its names continue start, which is
// not empty within a segment that was cut into parts.
func (s *Store) appendEntries(list []entry, base, dir, start string, wanted func(key string) bool) ([]entry, error) {
	names, err := s.readDir(dir)
	if err != nil {
		return list, err
	}
	list = slices.Grow(list, len(names))
	for _, d := range names {
		raw, isPart := decodeName(d.Name())
		segment := start + raw
		if isPart && d.IsDir() && wanted(base+segment) {
			if list, err = s.appendEntries(list, base, dir+d.Name()+"/", segment, wanted); err != nil {
				return list, err
			}
			continue
		}
		e := entry{key: base + segment, path: dir + d.Name(), folder: d.IsDir()}
		if !e.named(base, segment) || !d.IsDir() && !d.Type().IsRegular() || !wanted(e.key) {
			continue
		}
		if !e.folder {
			e.info, err = d.Info() // known from reading the folder
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return list, err
			}
		}
		list = append(list, e)
	}
	return list, nil
}

// named tells whether the entry has exactly the name that its key leads to,
// and completes the key. Other files are not the store's.
func (e *entry) named(base, segment string) bool {
	k := file
	if e.folder {
		k = folder
	}
	if backend.ValidKey(e.key) != nil || folderPath(base)+segmentPath(segment, k) != e.path {
		return false
	}
	if e.folder {
		e.key += "/"
	}
	return true
}

// mostReads is how often the names of a folder that changes are read again.
const mostReads = 10

// readDir reads a folder, which has nothing when it is not there, or is deleted while it is
// read. Reading its names and looking at each of them takes two steps, between which one may
// take the place of another: the names are read again, so that the new one is looked at, too.
func (s *Store) readDir(dir string) ([]fs.DirEntry, error) {
	f, err := s.root.Open(cmp.Or(dir, "."))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	for range mostReads {
		if err != nil {
			break
		}
		var news []string
		if news, err = unknown(f, entries); len(news) == 0 {
			break
		}
		entries, err = s.look(entries, dir, news)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// unknown reads the names in an open folder once more, and gives those that are not among
// the entries. Mostly there are none, and both are in the same order.
func unknown(f *os.File, entries []fs.DirEntry) ([]string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	for i, name := range names {
		if i == len(entries) || entries[i].Name() != name {
			known := make(map[string]bool, len(entries))
			for _, e := range entries {
				known[e.Name()] = true
			}
			return slices.DeleteFunc(names, func(name string) bool { return known[name] }), err
		}
	}
	return nil, err
}

// look adds the entries of those names that are still there.
func (s *Store) look(entries []fs.DirEntry, dir string, names []string) ([]fs.DirEntry, error) {
	for _, name := range names {
		info, err := s.root.Lstat(dir + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return entries, err
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	return entries, nil
}

// hasObject tells whether there is any file in the folder or below: one left
// empty by a crash is no common prefix.
func (s *Store) hasObject(dir string) (bool, error) {
	f, err := s.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	for {
		names, err := f.ReadDir(1) // each name costs an lstat
		for _, d := range names {
			found := d.Type().IsRegular()
			if d.IsDir() {
				if found, err = s.hasObject(dir + "/" + d.Name()); err != nil {
					return false, err
				}
			}
			if found {
				return true, nil
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}
