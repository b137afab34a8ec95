package localfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/azml-go/azml"
)

// gone says that the store's folder was moved or removed: what it had is not known
// to be gone, such as when a file system is no longer mounted.
func (t *tree) gone() error {
	return fmt.Errorf("%w: the store's folder %q is gone", azml.ErrUnavailable, t.Name())
}

// fail gives err its class and says which object it is about.
func fail(op, key string, err error) error {
	switch {
	case azml.ClassOf(err) != nil:
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s %q: %w", op, key, err)
	}
	hint, class := classify(err)
	return fmt.Errorf("%w: %s object %q%s: %w", class, op, key, hint, err)
}

// classify gives the class of an error of the operating system, and a hint
// what it means where its own text does not say it.
func classify(err error) (hint string, class error) {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "", azml.ErrNotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return " (is the folder writable for this user?)", azml.ErrDenied
	case errors.Is(err, os.ErrClosed):
		return "", azml.ErrClosed
	case errors.Is(err, syscall.ENOSPC), isQuota(err):
		return " (disk full: make room and try again)", azml.ErrUnavailable
	case errors.Is(err, syscall.ENAMETOOLONG):
		return " (the key is too long for this file system)", azml.ErrInvalid
	}
	return "", azml.ErrUnavailable
}
