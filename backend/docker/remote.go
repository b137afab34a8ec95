package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// Where jobs find what this machine gives them.
const (
	programsFolder = "/run/azml/programs"
	jobFolder      = "/run/azml/job"
	sharedFolder   = jobs.SharedFolder
	scriptFile     = "start"
	outputFile     = "output"
	socketFile     = "socket"
)

// programsDir has the programs of all jobs.
func (d *Driver) programsDir() string { return filepath.Join(d.opts.Dir, "programs") }

// sharedDir is what the jobs of this driver's name share.
func (d *Driver) sharedDir() string { return filepath.Join(d.opts.Dir, "shared", d.opts.Name) }

// jobDir has the files of a job.
func (d *Driver) jobDir(id string) string { return filepath.Join(d.opts.Dir, "jobs", d.key(id)) }

// makeDirs makes the folders that a job sees. Whatever user its container has may
// go through them; other users of this machine may not get there.
func (d *Driver) makeDirs(id string) error {
	err := errors.Join(os.MkdirAll(filepath.Dir(d.jobDir(id)), 0o700), os.MkdirAll(d.programsDir(), 0o700), os.MkdirAll(d.jobDir(id), 0o700),
		os.MkdirAll(d.sharedDir(), 0o700))
	return errors.Join(err, os.Chmod(d.programsDir(), 0o755), os.Chmod(d.jobDir(id), 0o755), os.Chmod(d.sharedDir(), 0o777|os.ModeSticky)) // d.opts.Dir is closed to others
}

// Near implements backend.Near: containers have folders of this machine.
func (d *Driver) Near() bool { return d.needLocal() == nil }

// programName is what programs may be called.
var programName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*$`)

// Install implements backend.Remote: programs are files of this machine, in a
// folder that all jobs see. Errors: ErrInvalid for a name that is none of a file,
// ErrDenied, ErrUnavailable; ErrUnsupported when the engine is on another machine.
func (d *Driver) Install(ctx context.Context, name string, program backend.Content) (string, error) {
	if err := d.needLocal(); err != nil {
		return "", err
	}
	if !programName.MatchString(name) {
		return "", fmt.Errorf("%w: %q is no name of a program: letters, digits, \"-\", \"_\" and \".\", not first, are", azml.ErrInvalid, name)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	installed := path.Join(programsFolder, name)
	file := filepath.Join(d.programsDir(), name)
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return installed, err
	}
	err := os.MkdirAll(d.programsDir(), 0o700)
	if err == nil {
		err = install(file, program)
	}
	if err != nil {
		return "", noFile(err)
	}
	return installed, nil
}

// install writes a program whole or not at all.
func install(file string, program backend.Content) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, io.NewSectionReader(program, 0, program.Size()))
	err = errors.Join(err, f.Chmod(0o555), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	return err
}

// Listen implements backend.Remote, with a socket in a folder that this job's
// container alone sees. Whoever listens anew takes the place of who did before.
// Errors: ErrDenied, ErrUnavailable; ErrUnsupported when the engine is on another
// machine.
func (d *Driver) Listen(ctx context.Context, id string) (net.Listener, string, error) {
	if err := d.needLocal(); err != nil {
		return nil, "", err
	}
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if err := d.makeDirs(id); err != nil {
		return nil, "", noFile(err)
	}
	l, err := listen(ctx, filepath.Join(d.jobDir(id), socketFile))
	if err != nil {
		return nil, "", noFile(err)
	}
	return l, "unix:" + path.Join(jobFolder, socketFile), nil
}

// listen makes a socket that takes the place of one that is there. The listener
// leaves it behind when it is closed, for by then it may be another's. Paths of
// sockets have to be short; the one by the open folder is.
func listen(ctx context.Context, file string) (net.Listener, error) {
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	own := fmt.Sprintf("%s-%d", file, os.Getpid())
	_ = os.Remove(own) // of a dead process
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(own)))
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	err = os.Chmod(own, 0o777) // only the job's container gets there
	if err == nil {
		err = os.Rename(own, file)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(own))
	}
	return l, nil
}
