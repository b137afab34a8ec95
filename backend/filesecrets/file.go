package filesecrets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/azml-go/azml"
)

// tempPrefix begins the names of temporary files.
const tempPrefix = ".tmp-"

// writeTemp writes a new temporary file of mode 0600, durably.
func writeTemp(dir string, data []byte) (string, error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// replaceFile puts data in the place of the file, all or nothing.
func replaceFile(path string, data []byte) error {
	temp, err := writeTemp(filepath.Dir(path), data)
	if err != nil {
		return err
	}
	if err = os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes names durable; Windows journals them by itself.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// sweep removes temporary files that dead processes left an hour ago.
func sweep(dir string) {
	entries, _ := os.ReadDir(dir) // whatever is wrong, the first use says it
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), tempPrefix) && time.Since(fi.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// fileError gives an error of the operating system its class.
func fileError(op, path string, err error) error {
	class, hint := azml.ErrUnavailable, ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		class = azml.ErrNotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		class = azml.ErrDenied
	case errors.Is(err, syscall.ENOTDIR):
		class, hint = azml.ErrInvalid, " (it is not in a folder)"
	case errors.Is(err, syscall.ENOSPC):
		hint = " (disk full: make room and try again)"
	}
	return fmt.Errorf("%w: %s %q%s: %w", class, op, path, hint, err)
}
