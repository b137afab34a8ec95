package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	// lockPoll is how often a process looks whether another has finished
	// installing.
	lockPoll = 100 * time.Millisecond
	// failureKept is how long a failed installation is not tried again, so
	// that a hundred tests don't each wait for a network that isn't there.
	failureKept = 10 * time.Minute
)

// cacheVariable names the environment variable that moves the cache.
const cacheVariable = "AZML_TEST_CACHE"

// cache is the folder of installed things.
type cache struct {
	dir string
}

// openCache finds the cache's folder, and creates it.
func openCache() (cache, error) {
	dir := os.Getenv(cacheVariable)
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			base = os.TempDir()
		}
		dir = filepath.Join(base, "azml-test")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return cache{}, err
	}
	return cache{dir}, os.MkdirAll(dir, 0o755)
}

// KeepCache keeps the cache where it is, and Go's, for a process whose tests move the
// user's cache folder: what they need is neither installed nor compiled anew.
func KeepCache() error {
	c, err := openCache()
	if err != nil {
		return err
	}
	const compiled = "GOCACHE"
	if user, err := os.UserCacheDir(); err == nil && os.Getenv(compiled) == "" {
		if err := os.Setenv(compiled, filepath.Join(user, "go-build")); err != nil {
			return err
		}
	}
	return os.Setenv(cacheVariable, c.dir)
}

// installed gives the folder of that name, filled by install unless an earlier
// call has done so, in this process or another. A folder that was left half
// filled is emptied first. A failure is remembered for a while, unless again
// is set.
func (c cache) installed(ctx context.Context, name string, again bool, install func(dir string) error) (string, error) {
	dir := filepath.Join(c.dir, name)
	if exists(dir + ".done") {
		return dir, nil
	}
	unlock, err := c.lock(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir + ".done") {
		return dir, nil
	}
	if err := c.failed(name); err != nil && !again {
		return "", err
	}
	return dir, c.fill(ctx, name, dir, install)
}

func (c cache) fill(ctx context.Context, name, dir string, install func(dir string) error) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := install(dir); err != nil {
		if ctx.Err() == nil {
			err = errors.Join(err, os.WriteFile(c.failure(name), []byte(err.Error()), 0o644))
		}
		return errors.Join(err, os.RemoveAll(dir))
	}
	return os.WriteFile(dir+".done", nil, 0o644)
}

// failed tells of a failure to install that is not long ago.
func (c cache) failed(name string) error {
	info, err := os.Stat(c.failure(name))
	if err != nil || time.Since(info.ModTime()) > failureKept {
		return nil
	}
	reason, err := os.ReadFile(c.failure(name))
	return errors.Join(err, fmt.Errorf("failed at %s, tried again after %s: %s", info.ModTime().Format(time.TimeOnly), failureKept, reason))
}

func (c cache) failure(name string) string {
	return filepath.Join(c.dir, name+".failed")
}

// lock waits until no other process holds the lock of that name. The lock ends
// with the process.
func (c cache) lock(ctx context.Context, name string) (unlock func(), err error) {
	l := flock.New(filepath.Join(c.dir, name+".lock"))
	if _, err := l.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("waiting for another installation of %s: %w", name, err)
	}
	return func() { _ = l.Unlock() }, nil // it ends with the process at the latest
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
