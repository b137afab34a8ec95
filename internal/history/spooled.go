package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml/internal/core"
)

// Spooled lists the runs that have metrics in spool files on this machine,
// which may not be in the store yet.
func Spooled(h core.Handle) ([]string, error) {
	spool, err := h.SpoolDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(spool, "metrics")
	runs, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []string
	for _, run := range runs {
		files, err := os.ReadDir(filepath.Join(dir, run.Name()))
		if err != nil { // removed meanwhile, or no folder
			continue
		}
		for _, f := range files {
			if strings.HasSuffix(f.Name(), ".spool") {
				ids = append(ids, run.Name())
				break
			}
		}
	}
	return ids, nil
}
