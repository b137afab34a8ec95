//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/azml-go/azml"
)

// Listen implements backend.Remote by a Unix socket, which the user's own
// processes alone can reach. Errors: ErrConflict while another process listens
// for the job, ErrDenied.
func (d *Driver) Listen(ctx context.Context, id string) (net.Listener, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if err := validID(id); err != nil {
		return nil, "", err
	}
	path := d.socket(id)
	if err := makeSockets(filepath.Dir(path)); err != nil {
		return nil, "", err
	}
	lock, err := lockFile(path + lockSuffix)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, "", fmt.Errorf("%w: another process listens for job %q", azml.ErrConflict, id)
	}
	if err != nil {
		return nil, "", classify(err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a process that died
		return nil, "", errors.Join(classify(err), lock.Close())
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("%w: %w", azml.ErrUnavailable, err), lock.Close())
	}
	return &listener{Listener: l, lock: lock}, "unix:" + path, nil
}

// listener gives its place free when it is closed, and leaves nothing there.
type listener struct {
	net.Listener
	lock *os.File
	once sync.Once
}

// Close ends the listening.
func (l *listener) Close() error {
	err := l.Listener.Close()
	l.once.Do(func() {
		_ = os.Remove(l.lock.Name()) // who takes the lock looks whether its file is still there
		err = errors.Join(err, l.lock.Close())
	})
	return err
}

// socketsDir is where the sockets of a user are. A socket's path has a hundred
// bytes at most, which the driver's own folder may take by itself.
func socketsDir() string { return "/tmp/azml-" + strconv.Itoa(os.Getuid()) }

const lockSuffix = ".lock"

// socket gives the path of the job's socket, which says the driver's folder, too.
func (d *Driver) socket(id string) string {
	return filepath.Join(socketsDir(), hash(d.dir+"\x00"+id))
}

// makeSockets makes the folder, and refuses one that others can write to.
func makeSockets(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return classify(err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return classify(err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Getuid() || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: the folder %s is not this user's alone: somebody else has made it, remove it", azml.ErrDenied, dir)
	}
	return nil
}

// lockFile opens and locks a file, and gives EWOULDBLOCK while another has it.
func lockFile(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		locked, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Lstat(path); err == nil && os.SameFile(locked, there) {
			return f, nil
		}
		_ = f.Close() // it was removed meanwhile
	}
}

// removeSocket takes away what listeners of the job have left, unless one still
// listens.
func (d *Driver) removeSocket(id string) error {
	path := d.socket(id)
	if _, err := os.Lstat(path + lockSuffix); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := lockFile(path + lockSuffix)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return classify(err)
	}
	defer lock.Close()
	for _, name := range []string{path, path + lockSuffix} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return classify(err)
		}
	}
	return nil
}
