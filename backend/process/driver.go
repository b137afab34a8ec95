//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/supervisor"
)

// Options are the options of New.
type Options struct {
	// LeftoverGrace is how long processes that a command leaves behind may
	// still run after SIGTERM before they get SIGKILL. Default 5 seconds;
	// negative means no time.
	LeftoverGrace time.Duration
}

// Driver runs jobs on this machine. It implements backend.Compute, is safe for
// concurrent use, and any number of drivers in any number of processes can
// work in one folder.
type Driver struct {
	dir   string
	grace time.Duration

	mu      sync.Mutex
	closed  bool
	watched map[string]*watch
	watches sync.WaitGroup
}

var _ backend.Compute = (*Driver)(nil)

// New gives a driver that keeps its jobs in dir, which it creates with mode
// 0700 when it is not there. It clears away what crashed calls left in dir
// more than an hour ago. Errors: ErrInvalid, ErrDenied.
func New(dir string, opts *Options) (*Driver, error) {
	if opts == nil {
		opts = &Options{}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, classify(err)
	}
	d := &Driver{dir: abs, grace: opts.LeftoverGrace, watched: map[string]*watch{}}
	if d.grace == 0 {
		d.grace = 5 * time.Second
	}
	return d, d.sweep()
}

// Check tells whether jobs can be started: that the folder can be written and
// that this program can be started as a supervisor. It costs about as much as
// Start. Errors: ErrDenied, ErrUnsupported.
func (d *Driver) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tmp, err := d.scratch()
	if err != nil {
		return classify(err)
	}
	defer os.RemoveAll(tmp)
	files, err := createFiles(tmp, backend.Job{})
	defer files.close()
	if err != nil {
		return classify(err)
	}
	return d.launch(ctx, filepath.Base(tmp), tmp, supervisor.Spec{}, files)
}

// Close stops watching over the jobs that this driver started. They go on, and
// can be reached by their IDs through another driver; those that end before
// this program does stay in the process table until then. Start gives
// ErrClosed afterwards. A driver whose jobs have ended owns nothing, and may be
// dropped without Close.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	for _, w := range d.watched {
		_ = w.answers.Close()
	}
	d.mu.Unlock()
	d.watches.Wait()
	return nil
}

// scratchPrefix begins the names of folders that are no jobs: one being made,
// or one being deleted. No ID begins with a dot.
const scratchPrefix = ".scratch-"

// scratch makes a folder that is no job, and the driver's own again when it was
// removed as the cache that it often lies in.
func (d *Driver) scratch() (string, error) {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(d.dir, scratchPrefix)
}

// sweep deletes old scratch folders.
func (d *Driver) sweep() error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return classify(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), scratchPrefix) || time.Since(info.ModTime()) < time.Hour {
			continue
		}
		if err := os.RemoveAll(filepath.Join(d.dir, e.Name())); err != nil {
			return classify(err)
		}
	}
	return nil
}

// classify gives an error of the file system its class.
func classify(err error) error {
	class := azml.ErrUnavailable
	switch {
	case errors.Is(err, fs.ErrPermission):
		class = azml.ErrDenied
	case errors.Is(err, fs.ErrNotExist):
		class = azml.ErrNotFound
	case errors.Is(err, fs.ErrExist):
		class = azml.ErrExists
	case errors.Is(err, syscall.ENOTDIR):
		class = azml.ErrInvalid
	}
	return fmt.Errorf("%w: %w", class, err)
}
