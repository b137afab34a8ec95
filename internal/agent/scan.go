package agent

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// fileMark tells one state of a file from another.
type fileMark struct {
	Size     int64
	Modified time.Time
	Last     ending `json:",omitempty"` // of what was streamed of it
}

// fileSet holds the files below a folder, by slash path.
type fileSet map[string]fileMark

// scan notes the files that are below outputs and logs before the script
// starts: they came with the snapshot, and only what the script changes or adds
// is the run's.
func (d *drive) scan() (err error) {
	if d.before, err = filesIn(d.codeDir(), "outputs"); err != nil {
		return err
	}
	if d.streamed, err = filesIn(d.codeDir(), "logs"); err != nil {
		return err
	}
	for path, mark := range d.streamed {
		if mark.Last, err = endingOf(filepath.Join(d.codeDir(), filepath.FromSlash(path)), mark.Size); err != nil {
			return err
		}
		d.streamed[path] = mark
	}
	return d.noteEarlier()
}

// filesIn lists the files below a folder of root.
func filesIn(root, dir string) (fileSet, error) {
	set := fileSet{}
	err := walk(root, dir, func(path string, info fs.FileInfo) error {
		if info.Mode().IsRegular() {
			set[path] = fileMark{Size: info.Size(), Modified: info.ModTime()}
		}
		return nil
	})
	return set, err
}

// walk calls visit for everything below root/dir that is no folder, with its
// slash path from root. Files that vanish meanwhile are passed over; symbolic
// links are not followed.
func walk(root, dir string, visit func(path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(filepath.Join(root, dir), func(osPath string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		path, err := filepath.Rel(root, osPath)
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(path), info)
	})
}

// changed tells whether the file is new or another than before.
func (s fileSet) changed(path string, info fs.FileInfo) bool {
	before, ok := s[path]
	return !ok || before.Size != info.Size() || !before.Modified.Equal(info.ModTime())
}

func (s fileSet) has(path string) bool { _, ok := s[path]; return ok }
