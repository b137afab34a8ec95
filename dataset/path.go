package dataset

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Path is a file, a folder or a pattern in a datastore.
type Path struct {
	// Datastore is the datastore's name, empty for the workspace's default. The
	// address of a web server, such as "https://example.org", stands for a datastore
	// without credentials.
	Datastore string
	// Path is the path in it, its parts joined by "/". A folder, with or without
	// "/" at its end, means all files below it. "*" stands for any part of a name,
	// "?" for a character, "**" for any number of folders. Without a datastore it may
	// be the URL of one file on the web, which ParsePath reads.
	Path string
}

// ParsePath reads "azureml://datastores/<name>/paths/<path>", the URL of a file on a
// web server (http, https), or a path in the default datastore. A URL with a user or
// a query is refused: these are credentials often, and a definition is no place for
// them. Errors: ErrInvalid, also for other URLs.
func ParsePath(text string) (Path, error) {
	if datastore.IsURI(text) {
		u, err := datastore.ParseURI(text)
		return Path{u.Datastore, u.Path}, err
	}
	scheme, _, found := strings.Cut(text, "://")
	switch {
	case !found:
		return Path{Path: text}, nil
	case !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https"):
		return Path{}, fmt.Errorf("%w: path %.200q: register the place as a datastore and name azureml://datastores/<name>/paths/<path> instead of a %s URL", azml.ErrInvalid, text, scheme)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		where, _, _ := strings.Cut(text, "?") // what follows may be a secret, and so may a user
		if at := strings.LastIndexByte(where, '@'); at >= 0 {
			where = scheme + "://" + where[at+1:]
		}
		return Path{}, fmt.Errorf("%w: URL %.200q: use http://host/path or https://host/path, without user, query and fragment; register a datastore of type HTTP where credentials are needed", azml.ErrInvalid, where)
	}
	return Path{u.Scheme + "://" + u.Host, strings.TrimPrefix(u.Path, "/")}, nil
}

// onWeb tells whether the datastore is the address of a web server.
func (p Path) onWeb() bool { return strings.Contains(p.Datastore, "://") }

// String gives the URI.
func (p Path) String() string {
	if p.onWeb() {
		return p.Datastore + "/" + (&url.URL{Path: p.Path}).EscapedPath()
	}
	return datastore.URI{Datastore: p.Datastore, Path: p.Path}.String()
}

// maxPaths bounds the paths of a definition.
const maxPaths = 10_000

// resolve checks the paths, names the default datastore, and tells folders from
// files by a "/" at their end, unless nothing is to be looked at.
func resolve(ctx context.Context, h core.Handle, paths []Path, look bool) ([]record.DataPath, error) {
	if len(paths) == 0 || len(paths) > maxPaths {
		return nil, fmt.Errorf("%w: %d paths: give 1 to %d, and use patterns for many files", azml.ErrInvalid, len(paths), maxPaths)
	}
	out := make([]record.DataPath, len(paths))
	for i, p := range paths {
		if p.Datastore == "" || p.onWeb() {
			text := p.Path
			if p.onWeb() {
				text = p.String()
			}
			var err error
			if p, err = ParsePath(text); err != nil {
				return nil, err
			}
		}
		d, err := datastore.Lookup(ctx, h, p.Datastore)
		if err != nil {
			return nil, err
		}
		clean := strings.TrimSuffix(p.Path, "/")
		if clean != "" {
			if err := backend.ValidKey(clean); err != nil {
				return nil, err
			}
			if _, err := path.Match(strings.ReplaceAll(clean, "**", "*"), ""); err != nil {
				return nil, fmt.Errorf("%w: path %.200q: %w", azml.ErrInvalid, p.Path, err)
			}
		}
		out[i] = record.DataPath{Datastore: d.Name(), Path: p.Path}
		if !look || wild(p.Path) || clean == "" || strings.HasSuffix(p.Path, "/") {
			continue
		}
		if _, err := d.Stat(ctx, p.Path, nil); errors.Is(err, azml.ErrNotFound) && d.Type() != datastore.TypeHTTP {
			out[i].Path += "/"
		} else if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// wild tells whether the path is a pattern.
func wild(p string) bool { return strings.ContainsAny(p, "*?[\\") }

// fixedFolder gives the folder before the first wildcard, with "/" at its end, or
// nothing.
func fixedFolder(p string) string {
	if at := strings.IndexAny(p, "*?[\\"); at >= 0 {
		p = p[:at]
	}
	return p[:strings.LastIndexByte(p, '/')+1]
}

// matches tells whether the name fits the pattern, part by part.
func matches(pattern, name []string) bool {
	for i, part := range pattern {
		if part == "**" {
			for skip := 0; skip <= len(name)-i; skip++ {
				if matches(pattern[i+1:], name[i+skip:]) {
					return true
				}
			}
			return false
		}
		if i >= len(name) {
			return false
		}
		if ok, err := path.Match(part, name[i]); !ok || err != nil {
			return false
		}
	}
	return len(pattern) == len(name)
}

// entry is a file that a definition points to.
type entry struct {
	datastore.File
	store *datastore.Datastore
	rel   string // the path by which a dataset of files shows it
}

// uri names the file for people.
func (e entry) uri() string { return e.store.Name() + "/" + e.Path }

// findAny finds out whether each path means a file. Errors: ErrNotFound naming one that
// doesn't.
func findAny(ctx context.Context, h core.Handle, paths []record.DataPath) error {
	for _, p := range paths {
		store, err := datastore.Lookup(ctx, h, p.Datastore)
		if err != nil {
			return err
		}
		l := lister{one: true}
		if err := l.add(ctx, store, p.Path); err != nil {
			return err
		}
		if len(l.entries) == 0 {
			return nothingAt(p)
		}
	}
	return nil
}

func nothingAt(p record.DataPath) error {
	return fmt.Errorf("%w: there is no file at %s", azml.ErrNotFound, Path(p))
}

// list finds the files of the paths, in the order of the paths and by the bytes
// of their own. A file that several paths mean comes once. Errors: ErrNotFound
// naming a path that means no file, unless missing is fine.
func list(ctx context.Context, h core.Handle, paths []record.DataPath, missingOK bool) ([]entry, error) {
	l := lister{base: commonFolder(paths)}
	if len(paths) > 1 {
		l.seen = map[string]bool{}
	}
	for _, p := range paths {
		store, err := datastore.Lookup(ctx, h, p.Datastore)
		if err != nil {
			return nil, err
		}
		before := len(l.entries)
		if err := l.add(ctx, store, p.Path); err != nil {
			return nil, err
		}
		if len(l.entries) == before && !l.repeated && !missingOK {
			return nil, nothingAt(p)
		}
	}
	return l.entries, nil
}

type lister struct {
	entries  []entry
	seen     map[string]bool // nil when there can be no file twice
	repeated bool
	base     string // what the shown paths leave out
	one      bool   // the first file of a path is enough
}

// commonFolder gives the folder that all paths are below, without patterns.
func commonFolder(paths []record.DataPath) string {
	common := ""
	for i, p := range paths {
		folder := fixedFolder(p.Path)
		if i == 0 {
			common = folder
		}
		for !strings.HasPrefix(folder, common) {
			common = strings.TrimSuffix(common, "/")
			common = common[:strings.LastIndexByte(common, '/')+1]
		}
	}
	return common
}

func (l *lister) add(ctx context.Context, store *datastore.Datastore, p string) error {
	l.repeated = false
	switch {
	case wild(p):
		return l.files(ctx, store, fixedFolder(p), strings.Split(p, "/"))
	case isFolder(p):
		return l.files(ctx, store, p, nil)
	}
	file, err := store.Stat(ctx, p, nil)
	if err == nil {
		l.put(store, file)
	}
	return unlessMissing(err)
}

func unlessMissing(err error) error {
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}

// files adds the files with the prefix that fit the pattern, nil for all.
func (l *lister) files(ctx context.Context, store *datastore.Datastore, prefix string, pattern []string) error {
	for file, err := range store.Files(ctx, prefix, nil) {
		if err != nil {
			return err
		}
		if pattern == nil || matches(pattern, strings.Split(file.Path, "/")) {
			l.put(store, file)
			if l.one {
				return nil
			}
		}
	}
	return nil
}

func (l *lister) put(store *datastore.Datastore, file datastore.File) {
	if l.seen != nil {
		key := store.Name() + "/" + file.Path
		if l.seen[key] {
			l.repeated = true
			return
		}
		l.seen[key] = true
	}
	l.entries = append(l.entries, entry{file, store, strings.TrimPrefix(file.Path, l.base)})
}

// total gives the number of bytes of the files, as far as their servers tell.
func total(entries []entry) (bytes int64) {
	for _, e := range entries {
		bytes += max(0, e.Size)
	}
	return bytes
}

// byPath sorts the files by datastore and path.
func byPath(entries []entry) []entry {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b entry) int {
		if c := strings.Compare(a.store.Name(), b.store.Name()); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	return sorted
}
