package snapshot

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// manyBytes is the size from which a snapshot takes long enough to say so.
const manyBytes = 25 << 20

// Offender is a file or folder that makes a plan large.
type Offender struct {
	// Path is the slash-separated path.
	Path string
	// IsDir says that it is a folder.
	IsDir bool
	// Size is the sum of its file sizes in bytes.
	Size int64
	// Files is the number of files in it, 1 for a file.
	Files int
}

// IgnoreLine is the line of an ignore file in the source folder that leaves
// out exactly this file or folder.
func (o Offender) IgnoreLine() string {
	var b strings.Builder
	b.WriteByte('/')
	for i := range len(o.Path) {
		switch c := o.Path[i]; c {
		case '*', '?', '[', '\\', ' ':
			b.WriteString(`\` + string(rune(c)))
		case '\n', '\r':
			b.WriteByte('?') // an ignore file can't spell it
		default:
			b.WriteByte(c)
		}
	}
	if o.IsDir {
		b.WriteByte('/')
	}
	return b.String()
}

// Largest gives the n files and folders that add most to the plan's size, the
// largest first. None of them lies in another, and a folder that is large only
// because of one thing in it is told by that thing.
func (p *Plan) Largest(n int) []Offender {
	top := p.tree()
	var found []Offender
	for _, c := range top.children {
		found = append(found, c.narrow())
	}
	slices.SortFunc(found, func(a, b Offender) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Path, b.Path))
	})
	return found[:min(n, len(found))]
}

// node is a file or folder with its sums.
type node struct {
	Offender
	children []*node
}

// narrow goes down while one child holds nearly all.
func (n *node) narrow() Offender {
	for _, c := range n.children {
		if c.Size*10 >= n.Size*9 && c.Size > 0 {
			return c.narrow()
		}
	}
	return n.Offender
}

// tree sums the sizes up for every folder.
func (p *Plan) tree() *node {
	top := &node{Offender: Offender{IsDir: true}}
	folders := map[string]*node{".": top}
	var folderOf func(dir string) *node
	folderOf = func(dir string) *node {
		if n, ok := folders[dir]; ok {
			return n
		}
		n := &node{Offender: Offender{Path: dir, IsDir: true}}
		folders[dir] = n
		up := folderOf(path.Dir(dir))
		up.children = append(up.children, n)
		return n
	}
	for _, e := range p.Entries {
		if !e.Mode.IsRegular() {
			continue
		}
		dir := path.Dir(e.Path)
		parent := folderOf(dir)
		parent.children = append(parent.children, &node{Offender: Offender{Path: e.Path, Size: e.Size, Files: 1}})
		for at := dir; ; at = path.Dir(at) {
			folders[at].Size += e.Size
			folders[at].Files++
			if at == "." {
				break
			}
		}
	}
	return top
}

// warnSize says what makes a large plan large, and how to leave it out.
func (s *scanner) warnSize() {
	if s.plan.Size <= manyBytes {
		return
	}
	s.warn("the source folder has %s in %d files, which may take a while the first time", megabytes(s.plan.Size), s.plan.Files)
	name := cmp.Or(s.ignoreFile, ignoreFiles[0])
	for _, o := range s.plan.Largest(3) {
		if o.Size*20 >= s.plan.Size {
			s.warn("%q has %s; the line %q in %s leaves it out", o.Path, megabytes(o.Size), o.IgnoreLine(), name)
		}
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
