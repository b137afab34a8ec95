package rundata

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/azml-go/azml/internal/atomicfile"
	"github.com/azml-go/azml/internal/core"
)

// What was downloaded is kept below the cache folder, so that the same data is
// fetched once for all runs of this machine:
//
//	data/<workspace>/<key>/files/   the files
//	data/<workspace>/<key>/list     what they are, when all are there
//	data/<workspace>/<key>/filling  locked by who fetches
//	data/<workspace>/<key>/used     locked, shared, by runs that use them
//
// A file is there whole or not at all, so a fetch that was cut off goes on.

// keptFor is how long what no run uses is kept.
const keptFor = 14 * 24 * time.Hour

const (
	filesName   = "files"
	listName    = "list"
	fillingName = "filling"
	usedName    = "used"
	folderMode  = 0o755
)

// kept is data on this machine that a run uses.
type kept struct {
	dir   string
	found bool // all of it was there
	used  *flock.Flock
}

// release lets go of it.
func (k *kept) release() error { return k.used.Close() }

// keep gives the folder of the data with the key, which fill brings unless it is
// there as it was.
func keep(ctx context.Context, h core.Handle, key string, fill func(ctx context.Context, dir string) error) (_ *kept, err error) {
	base := filepath.Join(keptDir(h), key)
	k := &kept{dir: filepath.Join(base, filesName)}
	if k.used, err = lock(ctx, base, usedName, (*flock.Flock).TryRLockContext); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.release())
		}
	}()
	filling, err := lock(ctx, base, fillingName, (*flock.Flock).TryLockContext)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, filling.Close()) }()
	list := filepath.Join(base, listName)
	if k.found, err = intact(list, k.dir); err != nil {
		return nil, err
	}
	if k.found {
		now := time.Now()
		return k, os.Chtimes(list, now, now)
	}
	if err := os.Remove(list); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(k.dir, folderMode); err != nil {
		return nil, err
	}
	if err := fill(ctx, k.dir); err != nil {
		return nil, err
	}
	return k, writeList(list, k.dir)
}

func keptDir(h core.Handle) string {
	return filepath.Join(h.CacheDir(), "data", h.Workspace().ID)
}

// lockEvery is the time between two looks at a lock that another has.
const lockEvery = 50 * time.Millisecond

// lock takes a lock of the folder. The folder may be removed while it is waited for.
func lock(ctx context.Context, base, name string, take func(*flock.Flock, context.Context, time.Duration) (bool, error)) (*flock.Flock, error) {
	for {
		if err := os.MkdirAll(base, folderMode); err != nil {
			return nil, err
		}
		l := flock.New(filepath.Join(base, name))
		_, err := take(l, ctx, lockEvery)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", l.Path(), err), l.Close())
		}
		ours, err := l.Stat()
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		if there, err := os.Stat(l.Path()); err == nil && os.SameFile(ours, there) {
			return l, nil
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
}

// keptFile is a line of the list.
type keptFile struct {
	// Path is the path below the folder.
	Path string `json:"path"`
	// Size is the number of bytes.
	Size int64 `json:"size"`
	// Modified is the file's time, in nanoseconds since 1970.
	Modified int64 `json:"modified"`
}

// scan gives the plain files of the folder.
func scan(dir string) (map[string]keptFile, error) {
	found := map[string]keptFile{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		found[rel] = keptFile{rel, info.Size(), info.ModTime().UnixNano()}
		return err
	})
	return found, err
}

// intact tells whether all files are there as the list says. Those that are not are
// removed, so that they are fetched anew: a script has changed them.
func intact(list, dir string) (bool, error) {
	data, err := os.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	found, err := scan(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	whole := true
	for line := range bytes.Lines(data) {
		var f keptFile
		if err := json.Unmarshal(line, &f); err != nil {
			return false, os.RemoveAll(dir)
		}
		if found[f.Path] != f {
			whole = false
			continue
		}
		delete(found, f.Path)
	}
	for path := range found { // changed, or none of ours
		whole = false
		if err := os.Remove(filepath.Join(dir, path)); err != nil {
			return false, err
		}
	}
	return whole, nil
}

// writeList says that all files are there.
func writeList(list, dir string) error {
	found, err := scan(dir)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for path, f := range found {
		if strings.HasPrefix(filepath.Base(path), ".azml-") { // what a fetch that was killed has left
			if err := os.Remove(filepath.Join(dir, path)); err != nil {
				return err
			}
			continue
		}
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
	}
	return atomicfile.Write(list, text.Bytes(), 0o600)
}

// Sweep removes what was downloaded to this machine and no run has used for long.
func Sweep(h core.Handle) error {
	entries, err := os.ReadDir(keptDir(h))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		if err := sweep(filepath.Join(keptDir(h), e.Name()), time.Now().Add(-keptFor)); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what was last used before that time and is not used now.
func sweep(base string, before time.Time) error {
	for _, name := range []string{listName, fillingName, usedName} { // the first that is there tells
		info, err := os.Stat(filepath.Join(base, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.ModTime().After(before) {
			return nil
		}
		break
	}
	used := flock.New(filepath.Join(base, usedName))
	free, err := used.TryLock()
	if err != nil || !free {
		return errors.Join(err, used.Close())
	}
	return errors.Join(os.RemoveAll(base), used.Close())
}
