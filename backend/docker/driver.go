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
	// Host is the engine's socket, such as "unix:///var/run/docker.sock"; empty
	// takes what Docker's own variables say, DOCKER_HOST among them.
	Host string
	// Name keeps the jobs of drivers of one engine apart; "azml" when empty.
	Name string
	// Dir is a folder for what jobs get and write, which is created when it is not
	// there; "azml/docker" in the user's cache folder
	// when empty. All processes that share jobs have the same.
	Dir string
	// Image is the image of jobs that name none.
	Image string
	// User is whom jobs run as, numbers or names of the image; when empty, the
	// image's own user, or where that is root, 65532, who is nobody.
	User string
	// Network is the network of jobs, such as "host" or "none"; the engine's
	// default when empty.
	Network string
	// BuildNetwork is the network in which images are made; the engine's default
	// when empty.
	BuildNetwork string
	// Limits are those of jobs that have none of their own, each by itself.
	Limits backend.Limits
	// Mounts are folders of this machine that all jobs see.
	Mounts []Mount
	// Registries are the logins for pulling images that the engine lacks.
	Registries []Registry
}

// Mount is a folder that jobs see.
type Mount struct {
	// Source is the folder's path on this machine.
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

var (
	_ backend.OpenedCompute = (*Driver)(nil)
	_ backend.Images        = (*Driver)(nil)
	_ backend.Reachable     = (*Driver)(nil)
)

// New gives a driver for an engine, which it doesn't ask yet, and makes its folder
// with mode 0700 when it is not there. Errors: ErrInvalid for an address that is
// none, ErrDenied.
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
	if err := os.MkdirAll(d.opts.Dir, 0o700); err != nil {
		return nil, noFile(err)
	}
	if d.client, err = connect(d.opts.Host); err != nil {
		return nil, err
	}
	return d, nil
}

// connect gives a client of an engine, which it doesn't ask yet.
func connect(host string) (*client.Client, error) {
	from := []client.Opt{client.FromEnv}
	if host != "" {
		from = append(from, client.WithHost(host))
	}
	c, err := client.New(from...)
	if err != nil {
		return nil, fmt.Errorf("%w: Docker engine %q: %w", azml.ErrInvalid, host, err)
	}
	return c, nil
}

// Close closes the connections to the engine. Jobs go on.
func (d *Driver) Close() error { return d.client.Close() }

// Check tells whether the engine answers, is on this machine and runs Linux
// containers. Errors: ErrUnavailable, ErrDenied, ErrUnsupported.
func (d *Driver) Check(ctx context.Context) error {
	if err := d.needLocal(); err != nil {
		return err
	}
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

// needLocal refuses engines that can't mount this machine's folders.
func (d *Driver) needLocal() error {
	if strings.HasPrefix(d.client.DaemonHost(), "unix://") && runtime.GOOS == "linux" {
		return nil
	}
	return fmt.Errorf("%w: Docker engine %s is on another machine, or this one is no Linux: jobs need folders of this machine; attach the other one by SSH, with its engine",
		azml.ErrUnsupported, d.client.DaemonHost())
}

// key names what belongs to a job, whatever characters its ID has.
func (d *Driver) key(id string) string {
	sum := sha256.Sum256([]byte(d.opts.Name + "\x00" + id))
	return hex.EncodeToString(sum[:12])
}

// container gives the name of a job's container.
func (d *Driver) container(id string) string { return "azml-" + d.key(id) }
