package dataset

import (
	"slices"
	"strings"

	"github.com/azml-go/azml/internal/record"
)

// Reach is what some definitions point to. It is for packages that let others read
// that much and no more; the zero Reach is nothing.
type Reach struct {
	paths   []record.DataPath
	queries []record.DataQuery
}

// Add adds what the definition points to.
func (r *Reach) Add(def record.DataDefinition) {
	r.paths = append(r.paths, def.Paths...)
	if def.Query != nil {
		r.queries = append(r.queries, *def.Query)
	}
}

// AddPath adds a file, a folder or a pattern of a datastore.
func (r *Reach) AddPath(datastore, path string) {
	r.paths = append(r.paths, record.DataPath{Datastore: datastore, Path: path})
}

// Datastore tells whether something in the datastore is within.
func (r *Reach) Datastore(name string) bool {
	return slices.ContainsFunc(r.paths, func(p record.DataPath) bool { return p.Datastore == name }) ||
		slices.ContainsFunc(r.queries, func(q record.DataQuery) bool { return q.Datastore == name })
}

// Query tells whether the query of the datastore is within.
func (r *Reach) Query(datastore, text string) bool {
	return slices.ContainsFunc(r.queries, func(q record.DataQuery) bool { return q.Datastore == datastore && q.Text == text })
}

// File tells whether the file with the path is within. A path with a part that
// leads elsewhere, such as "..", never is.
func (r *Reach) File(datastore, path string) bool {
	if leadsElsewhere(path) {
		return false
	}
	return slices.ContainsFunc(r.paths, func(p record.DataPath) bool { return p.Datastore == datastore && means(p.Path, path) })
}

// List tells whether files with the prefix may be within.
func (r *Reach) List(datastore, prefix string) bool {
	return slices.ContainsFunc(r.paths, func(p record.DataPath) bool {
		return p.Datastore == datastore && (wild(p.Path) || isFolder(p.Path)) && strings.HasPrefix(prefix, fixedFolder(p.Path))
	})
}

// Contains tells whether all that the definition points to is within, by the paths of
// folders and files alone.
func (r *Reach) Contains(def record.DataDefinition) bool {
	if def.Query != nil {
		return r.Query(def.Query.Datastore, def.Query.Text)
	}
	return len(def.Paths) > 0 && !slices.ContainsFunc(def.Paths, func(p record.DataPath) bool { return !r.File(p.Datastore, p.Path) })
}

func leadsElsewhere(path string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(path, func(c rune) bool { return c == '/' || c == '\\' }), func(part string) bool { return part == "." || part == ".." })
}

// isFolder tells whether the path of a definition is that of a folder.
func isFolder(p string) bool { return p == "" || strings.HasSuffix(p, "/") }

// means tells whether a definition with the path p points to the file.
func means(p, file string) bool {
	switch {
	case wild(p):
		return matches(strings.Split(p, "/"), strings.Split(file, "/"))
	case isFolder(p):
		return strings.HasPrefix(file, p)
	}
	return p == file
}
