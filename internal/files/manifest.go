package files

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"
)

// The modes an entry can have. Others are normalised to these by [Batch].
const (
	// ModeFile is the mode of a regular file.
	ModeFile fs.FileMode = 0o644
	// ModeExec is the mode of a regular file that anybody may execute.
	ModeExec fs.FileMode = 0o755
	// ModeLink is the mode of a symbolic link.
	ModeLink = fs.ModeSymlink | 0o777
	// ModeDir is the mode of an empty folder.
	ModeDir = fs.ModeDir | 0o755
)

// Chunk is a part of a file's content.
type Chunk struct {
	// Digest is the SHA-256 of the bytes in lower-case hex.
	Digest string `json:"digest"`
	// Size is the number of bytes, never 0.
	Size int64 `json:"size"`
}

// File is one entry of a manifest: a regular file, a symbolic link or an empty
// folder.
type File struct {
	// Path is the path below the root, parted by "/" ([ValidPath]).
	Path string
	// Mode is one of ModeFile, ModeExec, ModeLink and ModeDir.
	Mode fs.FileMode
	// Size is the number of bytes of a regular file, else 0.
	Size int64
	// Digest is the SHA-256 of the content in lower-case hex, empty for links
	// and folders.
	Digest string
	// Chunks are the parts of the content, in order. An empty file has none.
	Chunks []Chunk
	// Link is the target of a symbolic link ([ValidLink]), else empty.
	Link string
}

// IsRegular tells whether the entry is a regular file.
func (f File) IsRegular() bool { return f.Mode.IsRegular() }

// Equal tells whether both entries have the same path, mode and content. How
// the content was cut into chunks does not matter.
func (f File) Equal(g File) bool {
	return f.Path == g.Path && f.Mode == g.Mode && f.Size == g.Size && f.Digest == g.Digest && f.Link == g.Link
}

// Manifest lists the entries of a folder. The functions of this package never
// change one that they were given.
type Manifest struct {
	// Files are the entries, sorted by the bytes of their paths, without
	// doubles. A folder is listed only if it is empty.
	Files []File
}

// ID gives the SHA-256 of the manifest's canonical bytes in lower-case hex. It
// depends on nothing but the entries: neither on times nor on the system nor
// on the order of adding nor on where the chunks lie.
func (m *Manifest) ID() string { return digestOf(m.encode()).String() }

// Size gives the number of bytes of all files together.
func (m *Manifest) Size() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// Find gives the entry at path.
func (m *Manifest) Find(path string) (File, bool) {
	i, ok := slices.BinarySearchFunc(m.Files, path, func(f File, p string) int { return cmp.Compare(f.Path, p) })
	if !ok {
		return File{}, false
	}
	return m.Files[i], true
}

// Sub gives the entries below the folder prefix, with paths relative to it. An
// empty prefix gives all. When prefix is itself a file, the result holds that
// one file under its last name.
func (m *Manifest) Sub(prefix string) *Manifest {
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix == "" {
		return &Manifest{Files: slices.Clone(m.Files)}
	}
	sub := &Manifest{}
	for _, f := range m.Files {
		if rest, ok := strings.CutPrefix(f.Path, prefix+"/"); ok {
			f.Path = rest
		} else if f.Path == prefix && f.Mode != ModeDir {
			f.Path = prefix[strings.LastIndexByte(prefix, '/')+1:]
		} else {
			continue
		}
		sub.Files = append(sub.Files, f)
	}
	return sub
}

// Under gives the same entries below the folder prefix, the inverse of Sub.
func (m *Manifest) Under(prefix string) *Manifest {
	prefix = strings.TrimSuffix(prefix, "/")
	moved := &Manifest{Files: slices.Clone(m.Files)}
	if prefix == "" {
		return moved
	}
	for i := range moved.Files {
		moved.Files[i].Path = prefix + "/" + moved.Files[i].Path
	}
	return moved
}

// assemble sorts the entries and drops folders that are not empty.
func assemble(byPath map[string]File) *Manifest {
	full := map[string]bool{}
	for p := range byPath {
		for dir := range parents(p) {
			full[dir] = true
		}
	}
	m := &Manifest{Files: make([]File, 0, len(byPath))}
	for p, f := range byPath {
		if f.Mode != ModeDir || !full[p] {
			m.Files = append(m.Files, f)
		}
	}
	slices.SortFunc(m.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return m
}

// Diff gives the entries that only b has, those that only a has, and those (as
// they are in b) whose mode or content differ, each in order of their paths.
func Diff(a, b *Manifest) (added, removed, changed []File) {
	i, j := 0, 0
	for i < len(a.Files) || j < len(b.Files) {
		switch {
		case i == len(a.Files) || j < len(b.Files) && b.Files[j].Path < a.Files[i].Path:
			added = append(added, b.Files[j])
			j++
		case j == len(b.Files) || a.Files[i].Path < b.Files[j].Path:
			removed = append(removed, a.Files[i])
			i++
		default:
			if !a.Files[i].Equal(b.Files[j]) {
				changed = append(changed, b.Files[j])
			}
			i, j = i+1, j+1
		}
	}
	return added, removed, changed
}
