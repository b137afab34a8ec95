package pyenv

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Cached is an environment in a cache folder.
type Cached struct {
	// Key names it in the cache: the content hash, with a suffix when an
	// interpreter was asked for by name.
	Key string
	// Hash is the content hash of its spec; empty when it is not complete.
	Hash string
	// Dir is its folder; empty when it is not complete.
	Dir string
	// Python is its version of Python, such as "3.11.7".
	Python string
	// Complete tells that it can be used; else it is being built, or its
	// builder was killed.
	Complete bool
	// Created is when it was built.
	Created time.Time
	// LastUsed is when Build gave it out last.
	LastUsed time.Time
	// Size is the bytes of its files.
	Size int64
}

// List lists the environments in a cache folder (see BuildOptions.CacheDir) in
// order of their keys. It walks all their files for the sizes. A cache that
// isn't there is empty. Errors: ErrDenied, ErrUnavailable, and that of ctx.
func List(ctx context.Context, dir string) ([]Cached, error) {
	dir, err := cacheDir(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(dir, "envs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, azmlIO("list the cache of Python environments", err)
	}
	var out []Cached
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if entry.IsDir() {
			out = append(out, slot{cache: dir, key: entry.Name()}.describe(ctx))
		}
	}
	return out, nil
}

// describe tells about the slot. Files that vanish meanwhile don't count.
func (s slot) describe(ctx context.Context) Cached {
	c := Cached{Key: s.key, Size: treeSize(ctx, s.dir())}
	if m, ok := s.marker(); ok {
		c.Hash, c.Python, c.Created, c.Complete = m.Hash, m.Version, m.Created, true
		c.Dir = filepath.Join(s.dir(), m.Dir)
	}
	c.LastUsed = s.lastUsed()
	return c
}

// lastUsed is the marker's modification time, or the folder's while there is
// no marker.
func (s slot) lastUsed() time.Time {
	for _, path := range []string{filepath.Join(s.dir(), markerName), s.dir()} {
		if info, err := os.Stat(path); err == nil {
			return info.ModTime()
		}
	}
	return time.Time{}
}

func treeSize(ctx context.Context, dir string) int64 {
	var size int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return ctx.Err()
		}
		if info, err := entry.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}

// remove takes the marker away first, so that a removal that was interrupted
// leaves nothing that looks complete. The lock is held.
func (s slot) remove() error {
	err := os.Remove(filepath.Join(s.dir(), markerName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return azmlIO("remove a Python environment", err)
	}
	return s.clear()
}

// Prune removes the environments that Build has not given out since that time,
// and what killed builders left behind, and lists what it removed. It skips
// what is being built. An environment counts as used when it is given out, not
// while a process runs in it, so choose a time before the start of the oldest
// run. Errors as Remove; what was removed before the error is listed.
func Prune(ctx context.Context, dir string, unusedSince time.Time) ([]Cached, error) {
	dir, err := cacheDir(dir)
	if err != nil {
		return nil, err
	}
	all, err := List(ctx, dir)
	if err != nil {
		return nil, err
	}
	var removed []Cached
	for _, c := range all {
		gone, err := slot{cache: dir, key: c.Key}.prune(ctx, unusedSince)
		if err != nil {
			return removed, err
		}
		if gone {
			removed = append(removed, c)
		}
	}
	return removed, nil
}

// errBusy stops waiting for a lock.
var errBusy = errors.New("being built")

// prune removes the slot when nobody builds it and nobody has used it since.
func (s slot) prune(ctx context.Context, unusedSince time.Time) (bool, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	unlock, err := s.lock(ctx, func() { cancel(errBusy) })
	if errors.Is(err, errBusy) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unlock()
	if _, complete := s.marker(); complete && s.lastUsed().After(unusedSince) {
		return false, nil
	}
	return true, s.remove()
}
