package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml/internal/core"
)

// Spooled tells whether the run has metrics in spool files on this machine,
// which may not be in the store yet.
func Spooled(h core.Handle, id string) (bool, error) { return spooled(h, runSpools, id) }

// ModelSpooled is Spooled for a logged model.
func ModelSpooled(h core.Handle, id string) (bool, error) { return spooled(h, modelSpools, id) }

// SpooledRuns gives the IDs of all runs that have a folder for spool files on
// this machine. Cost: the reading of one folder.
func SpooledRuns(h core.Handle) ([]string, error) {
	spool, err := h.SpoolDir()
	if err != nil {
		return nil, err
	}
	folders, err := os.ReadDir(filepath.Join(spool, runSpools))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	ids := make([]string, len(folders))
	for i, f := range folders {
		ids[i] = f.Name()
	}
	return ids, err
}

func spooled(h core.Handle, spools, id string) (bool, error) {
	spool, err := h.SpoolDir()
	if err != nil {
		return false, err
	}
	files, err := os.ReadDir(filepath.Join(spool, spools, id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".spool") {
			return true, nil
		}
	}
	return false, err
}
