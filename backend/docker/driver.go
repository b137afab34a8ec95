package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Options are the options of New.
type Options struct {
	// Host is the engine's address, such as "unix:///var/run/docker.sock" or
	// "tcp://HOST:2376"; empty takes what Docker's own variables say, DOCKER_HOST
	// among them.
	Host string
	// Name keeps the jobs of drivers of one engine apart; "azml" when empty.
	Name string
	// Dir is a folder of this machine for the programs and sockets of jobs, which
	// is created when it is not there; "azml/docker" in the user's cache folder
	// when empty. All processes that share jobs have the same. Its path must be
	// short, some 60 bytes, for those of sockets are.
	Dir string
	// Image is the image of jobs that name none.
	Image string
	// User is whom jobs run as, numbers or names of the image; when empty, the
	// image's own user, or where that is root, 65532, who is nobody.
	User string
	// Network is the network of jobs, such as "host" or "none"; the engine's
	// default when empty.
	Network string
	// Limits are those of jobs that have none of their own, each by itself.
	Limits backend.Limits
	// Mounts are folders that all jobs see.
	Mounts []Mount
}

// Mount is a folder of the engine's machine that jobs see.
type Mount struct {
	// Source is the folder's path on the engine's machine.
	Source string
	// Target is its path in containers.
	Target string
	// ReadOnly says that jobs can't change it.
	ReadOnly bool
}

// Driver runs jobs on a Docker engine. It implements backend.Compute and
// backend.Remote, is safe for concurrent use, and any number of drivers of the
// same name in any number of processes can use one engine.
type Driver struct {
	client *client.Client
	opts   Options
}

var _ backend.Remote = (*Driver)(nil)

// New gives a driver for an engine, which it doesn't ask yet. Errors: ErrInvalid
// for an address that is none.
func New(opts *Options) (*Driver, error) {
	d := &Driver{}
	if opts != nil {
		d.opts = *opts
	}
	if d.opts.Name == "" {
		d.opts.Name = "azml"
	}
	if d.opts.Dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("%w: name a folder for the engine's jobs: %w", azml.ErrInvalid, err)
		}
		d.opts.Dir = filepath.Join(cache, "azml", "docker")
	}
	var err error
	if d.opts.Dir, err = filepath.Abs(d.opts.Dir); err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	from := []client.Opt{client.FromEnv}
	if d.opts.Host != "" {
		from = append(from, client.WithHost(d.opts.Host))
	}
	if d.client, err = client.New(from...); err != nil {
		return nil, fmt.Errorf("%w: Docker engine %q: %w", azml.ErrInvalid, d.opts.Host, err)
	}
	return d, nil
}

// Close closes the connections to the engine. Jobs go on.
func (d *Driver) Close() error { return d.client.Close() }

// Check tells whether the engine answers and runs Linux containers. Errors:
// ErrUnavailable, ErrDenied, ErrUnsupported.
func (d *Driver) Check(ctx context.Context) error {
	platform, err := d.Platform(ctx)
	if err == nil && platform.OS != "linux" {
		return fmt.Errorf("%w: Docker engine %s runs containers of %s, only those of linux will do", azml.ErrUnsupported, d.client.DaemonHost(), platform.OS)
	}
	return err
}

// Platform implements backend.Remote. It is one request.
func (d *Driver) Platform(ctx context.Context) (backend.Platform, error) {
	v, err := d.client.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return backend.Platform{}, classify(ctx, err)
	}
	return backend.Platform{OS: v.Os, Arch: v.Arch}, nil
}

// local tells whether the engine is on this machine, so that it can mount this
// machine's folders.
func (d *Driver) local() bool {
	return strings.HasPrefix(d.client.DaemonHost(), "unix://") && runtime.GOOS == "linux"
}

// key names what belongs to a job, whatever characters its ID has.
func (d *Driver) key(id string) string {
	sum := sha256.Sum256([]byte(d.opts.Name + "\x00" + id))
	return hex.EncodeToString(sum[:12])
}

// container gives the name of a job's container.
func (d *Driver) container(id string) string { return "azml-" + d.key(id) }
