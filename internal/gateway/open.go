package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/backend/retrying"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// OpenOptions are the options of Open.
type OpenOptions struct {
	// CacheDir is the folder of this machine for environments, working folders and
	// write-ahead files; the user's cache folder when empty.
	CacheDir string
	// Who is the author of changes.
	Who string
	// Logger takes what there is to tell; nil discards it.
	Logger *slog.Logger
}

// What is done through a gateway waits for cutTime while the way is cut: a machine
// elsewhere is out of reach now and then, and its run need not end for that.
const (
	cutTime      = 10 * time.Minute
	longestPause = 2 * time.Second
)

// Open opens the workspace behind a gateway for this process. Scripts run as
// processes of this machine. The Closer closes what is behind the handle, after
// the handle itself was closed. Errors: ErrUnavailable, ErrDenied.
func Open(ctx context.Context, address, token string, opts OpenOptions) (core.Handle, io.Closer, error) {
	client, err := Dial(address, token)
	if err != nil {
		return core.Handle{}, nil, err
	}
	if opts.CacheDir == "" {
		opts.CacheDir = filepath.Join(userCache(), "azml")
	}
	if err := os.MkdirAll(opts.CacheDir, 0o700); err != nil {
		return core.Handle{}, nil, fmt.Errorf("%w: %w", azml.ErrDenied, err)
	}
	retry := &retrying.Options{Attempts: math.MaxInt, Max: longestPause, Elapsed: cutTime, Logger: opts.Logger}
	config := core.Config{Objects: retrying.New(client, retry), Secrets: retrying.NewSecrets(client.Secrets(), retry), Lent: client.lent(retry),
		CacheDir: opts.CacheDir, Private: []string{opts.CacheDir}, Who: opts.Who, Logger: opts.Logger}
	stored, err := core.Get[record.Workspace](ctx, core.New(config), "workspace.json")
	if err != nil {
		return core.Handle{}, nil, errors.Join(err, client.Close())
	}
	config.Workspace = stored.Value
	driver, err := process.New(filepath.Join(opts.CacheDir, "jobs", stored.Value.ID), nil)
	if err != nil {
		return core.Handle{}, nil, errors.Join(err, client.Close())
	}
	config.Local = driver
	return core.New(config), closers{driver, client}, nil
}

// userCache gives the user's cache folder, also where no variable names a home.
func userCache() string {
	if dir, err := os.UserCacheDir(); err == nil {
		return dir
	}
	if u, err := user.Current(); err == nil && u.HomeDir != "" && u.HomeDir != "/" {
		return filepath.Join(u.HomeDir, ".cache")
	}
	return os.TempDir() // a container of a user without a home
}

type closers []io.Closer

// Close closes all.
func (c closers) Close() error {
	var err error
	for _, one := range c {
		err = errors.Join(err, one.Close())
	}
	return err
}
