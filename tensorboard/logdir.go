package tensorboard

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/tfevents"
)

// folder is a folder with event files: what TensorBoard calls a run.
type folder struct {
	name  string // relative to the imported folder, with slashes
	base  string // its last part, also for the imported folder itself
	files []eventFile
	first [sha256.Size]byte // of the first record
}

// eventFile is one event file as it was found; what it grows by comes with the
// next import.
type eventFile struct {
	name string // relative to the imported folder, with slashes
	path string
	size int64
}

// findFolders lists the folders with events below logdir by path.
func findFolders(logdir string) ([]folder, error) {
	root, err := filepath.EvalSymlinks(logdir)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return nil, err
	}
	byName := map[string][]eventFile{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.Contains(d.Name(), "tfevents") {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		name = filepath.ToSlash(name)
		dir, _, _ := cutLast(name)
		byName[dir] = append(byName[dir], eventFile{name, path, info.Size()})
		return err
	})
	if err != nil {
		return nil, err
	}
	var folders []folder
	for name, files := range byName {
		f := folder{name: name, base: filepath.Base(filepath.Join(root, name)), files: files}
		switch ok, err := f.begin(); {
		case err != nil:
			return nil, err
		case ok:
			folders = append(folders, f)
		}
	}
	if len(folders) == 0 {
		return nil, fmt.Errorf("%w: no event files below it; TensorBoard's have \"tfevents\" in their names", azml.ErrNotFound)
	}
	slices.SortFunc(folders, func(a, b folder) int { return strings.Compare(a.name, b.name) })
	return folders, nil
}

// cutLast cuts a slash path before its last part; the folder of a name alone is
// ".".
func cutLast(name string) (dir, last string, found bool) {
	if at := strings.LastIndexByte(name, '/'); at >= 0 {
		return name[:at], name[at+1:], true
	}
	return ".", name, false
}

// begin reads the first record, passing over files that have none yet; false
// when none has.
func (f *folder) begin() (bool, error) {
	slices.SortFunc(f.files, func(a, b eventFile) int { return strings.Compare(a.name, b.name) })
	for i, file := range f.files {
		data, err := firstRecord(file.path)
		if err == nil {
			f.first, f.files = sha256.Sum256(data), f.files[i:]
			return true, nil
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, azml.ErrDamaged) {
			return false, err
		}
	}
	return false, nil
}

func firstRecord(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return tfevents.NewReader(file).Next()
}

// runID gives the ID of the folder's run in an experiment.
func (f *folder) runID(experiment string) string {
	_, file, _ := cutLast(f.files[0].name)
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q %x", experiment, f.base, file, f.first)
	return "tensorboard-" + hex.EncodeToString(sum.Sum(nil)[:10])
}

// size gives the bytes of the folder's files.
func (f *folder) size() (sum int64) {
	for _, file := range f.files {
		sum += file.size
	}
	return sum
}

// content names what is in the folder now: event files only grow.
func (f *folder) content() string {
	sum := sha256.New()
	for _, file := range f.files {
		_, name, _ := cutLast(file.name)
		fmt.Fprintf(sum, "%q %d\n", name, file.size)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
