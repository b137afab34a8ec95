package snapshot

import (
	"io/fs"
	"slices"
	"strings"
)

// Options says what Scan does differently. The zero value, or nil, is the
// usual case.
type Options struct {
	// NoDefaults takes virtual environments, caches and workspaces along, too.
	// Version control (.git) still stays out.
	NoDefaults bool
	// Exclude lists files and folders by their operating system paths that are
	// never taken, such as the folder of the opened workspace. Those that do
	// not exist are of no account.
	Exclude []string
	// Require lists files by their slash-separated paths in the source folder, such as
	// the script to run. Scan fails when one is missing, ignored or unreadable.
	Require []string
}

// Plan is what a snapshot of a folder would hold, at the time of Scan. It is
// for reading only.
type Plan struct {
	// Dir is the source folder as it was given to Scan.
	Dir string
	// Entries holds what is taken, in the byte order of the paths. Folders are
	// among them only when nothing in them is taken.
	Entries []Entry
	// Files is the number of files and links among the entries.
	Files int
	// Size is the sum of all file sizes in bytes.
	Size int64
	// Ignored holds what a pattern or a built-in rule left out, in the order
	// of the paths. A folder stands for everything in it, which was not read.
	Ignored []Ignored
	// Skipped holds what could not be taken, in the order of the paths.
	Skipped []Skipped
	// Warnings are sentences for the user, about things that went along in
	// another way than they might expect.
	Warnings []string

	required []string
}

// Entry is one file, link or empty folder of a plan.
type Entry struct {
	// Path is the slash-separated path in the snapshot.
	Path string
	// Mode has the type (regular, link or folder) and the permission bits.
	Mode fs.FileMode
	// Size is the length in bytes of a file, else 0.
	Size int64
	// OSPath is where the content is read from.
	OSPath string
	// Link is the target of a symbolic link with slashes, relative to the
	// link's folder; empty for anything else.
	Link string
}

// Ignored is a file or folder that was left out on purpose.
type Ignored struct {
	// Path is the slash-separated path below the source folder.
	Path string
	// IsDir says that it is a folder, left out with all it holds.
	IsDir bool
	// Reason is "file:line: pattern" or the built-in rule in words.
	Reason string
}

// Skipped is a file or folder that could not be taken.
type Skipped struct {
	// Path is the slash-separated path below the source folder. Bytes that are not
	// UTF-8 are kept: print it with %q.
	Path string
	// Reason says why in words.
	Reason string
}

// IgnoredFolders is the number of folders that were left out unread.
func (p *Plan) IgnoredFolders() int {
	n := 0
	for _, i := range p.Ignored {
		if i.IsDir {
			n++
		}
	}
	return n
}

// Entry finds an entry by its path. It takes logarithmic time.
func (p *Plan) Entry(path string) (Entry, bool) {
	i, ok := p.search(path)
	if !ok {
		return Entry{}, false
	}
	return p.Entries[i], true
}

func (p *Plan) search(path string) (int, bool) {
	return slices.BinarySearchFunc(p.Entries, path, func(e Entry, path string) int {
		return strings.Compare(e.Path, path)
	})
}

func (p *Plan) sort() {
	slices.SortFunc(p.Entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(p.Ignored, func(a, b Ignored) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(p.Skipped, func(a, b Skipped) int { return strings.Compare(a.Path, b.Path) })
}
