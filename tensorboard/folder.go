package tensorboard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gofrs/flock"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/run"
)

// runFolder finds or makes the folder of a run. A folder that is there is found
// by the run's ID alone, which has no dot: the display name may have changed.
func runFolder(dir string, d run.Details) (string, error) {
	end := "." + shortened(d.RunID)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasSuffix(e.Name(), end) {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	label := d.DisplayName
	if label == "" {
		label = fmt.Sprintf("%s_%d", d.Experiment, d.Number)
	}
	folder := filepath.Join(dir, fileName(label)+end)
	return folder, os.MkdirAll(folder, 0o755)
}

// shortened keeps a run's ID of up to 256 characters within a file name.
func shortened(id string) string {
	const longest, kept = 100, 83
	if len(id) <= longest {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return id[:kept] + "-" + hex.EncodeToString(sum[:8])
}

// fileName makes of a name for people one that every file system takes and
// that they recognise.
func fileName(label string) string {
	const longest = 100
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.,+=@() ", r) {
			return r
		}
		return '_'
	}, label)
	name = strings.TrimLeft(name, ". ")
	for len(name) > longest {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if name == "" {
		return "run"
	}
	return name
}

// lockFolder makes this process the only one that writes to the folder. The
// lock ends with the process.
func lockFolder(dir string) (unlock func(), err error) {
	l := flock.New(filepath.Join(dir, ".export.lock"))
	switch ok, err := l.TryLock(); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%w: another export writes to %s", azml.ErrConflict, dir)
	}
	return func() { _ = l.Unlock() }, nil // it ends with the process at the latest
}
