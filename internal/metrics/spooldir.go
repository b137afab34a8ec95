package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
)

const (
	spoolSuffix   = ".spool"
	lockSuffix    = ".lock"
	damagedSuffix = ".damaged"
)

// spoolDir is the folder of a log's spool files, "<writer>-<number>.spool",
// and locks, "<writer>.lock". Numbers of a writer count up from 0; files are
// deleted from the front when they have been shipped.
type spoolDir string

func (d spoolDir) file(writer string, number uint32) string {
	return filepath.Join(string(d), fmt.Sprintf("%s-%06d%s", writer, number, spoolSuffix))
}

func (d spoolDir) lock(writer string) string {
	return filepath.Join(string(d), writer+lockSuffix)
}

// list gives the numbers of the spool files of each writer, in order. A writer
// with a lock only has none. A folder that is not there is empty.
func (d spoolDir) list() (map[string][]uint32, error) {
	if d == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(string(d))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: read spool folder of metrics: %w", azml.ErrUnavailable, err)
	}
	files := make(map[string][]uint32)
	for _, e := range entries {
		if writer, ok := strings.CutSuffix(e.Name(), lockSuffix); ok && validWriterID(writer) {
			files[writer] = append(files[writer], nil...)
		}
		if writer, number, ok := parseSpoolName(e.Name()); ok {
			files[writer] = append(files[writer], number)
		}
	}
	for _, numbers := range files {
		slices.Sort(numbers)
	}
	return files, nil
}

// snapshot is list at one moment: reading a folder is not atomic, so a writer
// that makes files meanwhile may seem to lack one in the middle. Then it looks
// again; what still lacks after a few times is lost.
func (d spoolDir) snapshot() (map[string][]uint32, error) {
	for try := 0; ; try++ {
		files, err := d.list()
		if err != nil || try == 5 || whole(files) {
			return files, err
		}
	}
}

// removeEmpty deletes the folder when nothing is in it. A writer that is about
// to make its lock there makes the folder again, too: see newLock.
func (d spoolDir) removeEmpty() {
	info, err := os.Lstat(string(d))
	if err == nil && info.IsDir() { // Remove deletes a link, whatever is behind it
		_ = os.Remove(string(d)) // fails when it is not empty
	}
}

func whole(files map[string][]uint32) bool {
	for _, numbers := range files {
		if len(numbers) > 0 && int(numbers[len(numbers)-1]-numbers[0]) != len(numbers)-1 {
			return false
		}
	}
	return true
}

func parseSpoolName(name string) (writer string, number uint32, ok bool) {
	base, ok := strings.CutSuffix(name, spoolSuffix)
	if !ok {
		return "", 0, false
	}
	writer, digits, ok := strings.Cut(base, "-")
	n, err := strconv.ParseUint(digits, 10, 32)
	return writer, uint32(n), ok && err == nil && validWriterID(writer)
}
