//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/azml-go/azml/backend"
)

var (
	_ backend.Remote    = (*Driver)(nil)
	_ backend.Reachable = (*Driver)(nil)
)

// Address implements backend.Reachable, for jobs of this machine.
func (d *Driver) Address(ctx context.Context, id string) (string, error) {
	_, err := d.Status(ctx, id)
	return "127.0.0.1", err
}

// Platform implements backend.Remote: this machine's.
func (d *Driver) Platform(ctx context.Context) (backend.Platform, error) {
	return backend.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}, ctx.Err()
}

// programsDir is the folder of programs. No ID begins with a dot.
const programsDir = ".programs"

// Install implements backend.Remote: it copies the program into the driver's
// folder. Errors: ErrInvalid for names that can't be those of jobs, ErrDenied.
func (d *Driver) Install(ctx context.Context, name string, program backend.Content) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := validID(name); err != nil {
		return "", err
	}
	path := filepath.Join(d.dir, programsDir, folder(name))
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", classify(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", classify(err)
	}
	tmp, err := d.scratch()
	if err != nil {
		return "", classify(err)
	}
	defer os.RemoveAll(tmp)
	written := filepath.Join(tmp, "program")
	if err := writeProgram(written, program); err != nil {
		return "", classify(err)
	}
	if err := os.Rename(written, path); err != nil {
		return "", classify(err)
	}
	return path, nil
}

// writeProgram writes a file that can be run as soon as it is closed. No child
// may be forked meanwhile: it would hold the file open for writing until its own
// exec, and the kernel refuses to run such a file.
func writeProgram(path string, program backend.Content) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700) // a program that is run
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.NewSectionReader(program, 0, program.Size()))
	return errors.Join(err, f.Sync(), f.Close())
}
