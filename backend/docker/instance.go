package docker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Where instances have what this machine gives them.
const (
	instanceHome      = "/home/azml"
	instanceJobs      = instanceHome + "/.azml"
	instanceState     = "/run/azml/instance"
	instanceWorkspace = "/workspace"
	instanceProgram   = "/usr/local/bin/azml"
	instancePort      = 8888

	instanceLabel = "azml.instance"
	// instancePatience is for how long a run's calls wait for an instance that is
	// started anew.
	instancePatience = time.Minute
	// stopGrace is the time that what runs in an instance has to end.
	stopGrace = 10 // seconds
)

// instance is a container for development. It is named by its id; its home folder
// and what it says of itself are folders of this machine, so that they outlive it.
type instance struct {
	*Machine
	engine   *Driver
	id       string
	token    string
	packages []string
	idle     time.Duration
	program  func(ctx context.Context, on backend.Platform) (path string, err error)
}

var _ backend.Instance = (*instance)(nil)

// own gives this process's user as containers have it.
func own() string { return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()) }

// Close implements io.Closer.
func (i *instance) Close() error { return errors.Join(i.Machine.Close(), i.engine.Close()) }

// Images implements backend.Instance.
func (i *instance) Images() backend.Images { return i.engine }

// Packages implements backend.Instance.
func (i *instance) Packages() []string { return i.packages }

func (i *instance) name() string { return i.engine.opts.Name }

// dir has the instance's folders.
func (i *instance) dir() string { return filepath.Join(i.engine.opts.Dir, "instances", i.id) }

func (i *instance) homeDir() string  { return filepath.Join(i.dir(), "home") }
func (i *instance) stateDir() string { return filepath.Join(i.dir(), "state") }

// StartInstance implements backend.Instance.
func (i *instance) StartInstance(ctx context.Context, setup backend.InstanceSetup) error {
	if err := i.engine.needLocal(); err != nil {
		return err
	}
	c, err := i.inspect(ctx)
	if errors.Is(err, azml.ErrNotFound) {
		if err = i.create(ctx, setup); err == nil {
			c, err = i.inspect(ctx)
		}
	}
	if err != nil {
		return err
	}
	if !c.State.Running {
		if err := i.begin(ctx, c); err != nil {
			return err
		}
	}
	return i.ready(ctx, setup.Log)
}

// create makes the container.
func (i *instance) create(ctx context.Context, setup backend.InstanceSetup) error {
	program, err := i.installed(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(i.homeDir(), 0o700), os.MkdirAll(i.stateDir(), 0o700), i.giveAway()); err != nil {
		return noFile(err)
	}
	h := &container.HostConfig{Init: new(true), NetworkMode: container.NetworkMode(i.engine.opts.Network), ShmSize: i.engine.opts.Limits.SharedMemory,
		SecurityOpt: []string{"no-new-privileges"}, Resources: resources(i.engine.opts.Limits)}
	bind := func(source, target string, readOnly bool) {
		h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeBind, Source: source, Target: target, ReadOnly: readOnly})
	}
	for _, m := range i.engine.opts.Mounts {
		bind(m.Source, m.Target, m.ReadOnly)
	}
	bind(program, instanceProgram, true)
	bind(i.homeDir(), instanceHome, false)
	bind(i.stateDir(), instanceState, false)
	if setup.Workspace != "" {
		bind(setup.Workspace, instanceWorkspace, false)
	}
	config := &container.Config{Image: setup.Image.Name, User: i.engine.opts.User, Entrypoint: []string{instanceProgram, "instance"}, WorkingDir: instanceHome,
		OpenStdin: true, StdinOnce: true, AttachStdin: true, Env: []string{"HOME=" + instanceHome, "SHELL=/bin/sh", "LANG=C.UTF-8"},
		Labels: map[string]string{instanceLabel: i.id}}
	if !h.NetworkMode.IsHost() {
		port := network.MustParsePort(strconv.Itoa(instancePort) + "/tcp")
		config.ExposedPorts = network.PortSet{port: {}}
		h.PortBindings = network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1")}}}
	}
	_, err = i.engine.client.ContainerCreate(ctx, client.ContainerCreateOptions{Name: i.name(), Config: config, HostConfig: h})
	if err = classify(ctx, err); errors.Is(err, azml.ErrConflict) {
		return nil // somebody else has made it meanwhile
	}
	return limitError(err, backend.Job{Limits: i.engine.opts.Limits})
}

// giveAway makes the folders those of the instance's user, where that is another.
func (i *instance) giveAway() error {
	if i.engine.opts.User == own() {
		return nil
	}
	user, group, _ := strings.Cut(i.engine.opts.User, ":")
	uid, err := strconv.Atoi(user)
	if err != nil {
		return fmt.Errorf("%w: user %q of a compute instance: give numbers, as this machine knows them", azml.ErrInvalid, i.engine.opts.User)
	}
	gid, err := strconv.Atoi(cmp.Or(group, user))
	if err != nil {
		return fmt.Errorf("%w: user %q of a compute instance: give numbers, as this machine knows them", azml.ErrInvalid, i.engine.opts.User)
	}
	return errors.Join(os.Chown(i.homeDir(), uid, gid), os.Chown(i.stateDir(), uid, gid))
}

// installed gives the file of azml that the container mounts. It has its content in
// its name, as jobs have it, so it never changes under an instance.
func (i *instance) installed(ctx context.Context) (string, error) {
	on, err := i.engine.Platform(ctx)
	if err != nil {
		return "", err
	}
	file, err := i.program(ctx, on)
	if err != nil {
		return "", err
	}
	f, err := os.Open(file)
	if err != nil {
		return "", noFile(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", noFile(err)
	}
	content, sum := io.NewSectionReader(f, 0, info.Size()), sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return "", noFile(err)
	}
	name := "azml-" + hex.EncodeToString(sum.Sum(nil)[:16])
	if _, err := i.engine.Install(ctx, name, content); err != nil {
		return "", err
	}
	// Instances run as other users than nobody: those get through by its being mounted alone.
	return filepath.Join(i.engine.programsDir(), name), nil
}

// begin starts the container and tells it what to do.
func (i *instance) begin(ctx context.Context, c container.InspectResponse) error {
	_ = os.Remove(i.statusFile()) // of the time before
	setup, err := json.Marshal(map[string]any{"token": i.token, "home": instanceHome, "jobs": path.Join(instanceJobs, "jobs"), "state": instanceState,
		"idleShutdown": i.idle, "address": i.address(), "port": i.port(), "workspace": workspaceOf(c)})
	if err != nil {
		return err
	}
	input, err := i.engine.client.ContainerAttach(ctx, c.ID, client.ContainerAttachOptions{Stream: true, Stdin: true})
	if err != nil {
		return classify(ctx, err)
	}
	defer input.Close()
	if _, err := i.engine.client.ContainerStart(ctx, c.ID, client.ContainerStartOptions{}); err != nil {
		return limitError(classify(ctx, err), backend.Job{Limits: i.engine.opts.Limits})
	}
	if _, err = input.Conn.Write(setup); err == nil {
		err = input.CloseWrite()
	}
	return classify(ctx, err)
}

// address is where Jupyter listens: only on this machine, by itself or through the
// engine.
func (i *instance) address() string {
	if i.onHost() {
		return "127.0.0.1"
	}
	return "0.0.0.0"
}

func (i *instance) port() int {
	if i.onHost() {
		return 0
	}
	return instancePort
}

func (i *instance) onHost() bool { return container.NetworkMode(i.engine.opts.Network).IsHost() }

func workspaceOf(c container.InspectResponse) string {
	for _, m := range c.Mounts {
		if m.Destination == instanceWorkspace {
			return instanceWorkspace
		}
	}
	return ""
}

// ready waits until Jupyter answers. What does not come to that is stopped.
func (i *instance) ready(ctx context.Context, log io.Writer) error {
	for {
		s, err := i.InstanceStatus(ctx)
		switch {
		case err != nil:
			return err
		case s.Phase == backend.InstanceRunning:
			return nil
		case s.Phase != backend.InstanceSettingUp:
			last, _ := i.logs(context.WithoutCancel(ctx), log) // what it says of itself says more
			return fmt.Errorf("%w: the compute instance ended: %s", azml.ErrFailed, cmp.Or(s.Reason, last))
		}
		select {
		case <-time.After(startPoll):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), i.StopInstance(context.WithoutCancel(ctx)))
		}
	}
}

// statusFile is where an instance says how it is.
func (i *instance) statusFile() string { return filepath.Join(i.stateDir(), "status") }

// StopInstance implements backend.Instance.
func (i *instance) StopInstance(ctx context.Context) error {
	_, err := i.engine.client.ContainerStop(ctx, i.name(), client.ContainerStopOptions{Timeout: new(stopGrace)})
	if err = classify(ctx, err); errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}

// DeleteInstance implements backend.Instance.
func (i *instance) DeleteInstance(ctx context.Context) error {
	_, err := i.engine.client.ContainerRemove(ctx, i.name(), client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err = classify(ctx, err); errors.Is(err, azml.ErrConflict) { // somebody else is removing it
		err = i.engine.waitRemoved(ctx, i.name())
	}
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	if err := os.RemoveAll(i.dir()); err != nil {
		return noFile(err)
	}
	return nil
}

// InstanceStatus implements backend.Instance. It is one request.
func (i *instance) InstanceStatus(ctx context.Context) (backend.InstanceStatus, error) {
	c, err := i.inspect(ctx)
	if errors.Is(err, azml.ErrNotFound) {
		return backend.InstanceStatus{Phase: backend.InstanceMissing}, nil
	}
	if err != nil {
		return backend.InstanceStatus{}, err
	}
	var said struct {
		Port   int
		Idle   bool
		Reason string
	}
	data, err := os.ReadFile(i.statusFile())
	if err == nil {
		err = json.Unmarshal(data, &said)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return backend.InstanceStatus{}, noFile(err)
	}
	s := backend.InstanceStatus{Phase: backend.InstanceStopped, Reason: said.Reason, Idle: said.Idle, Token: i.token}
	s.Since, _ = time.Parse(time.RFC3339Nano, c.State.FinishedAt)
	if !c.State.Running {
		return s, nil
	}
	s.Since, _ = time.Parse(time.RFC3339Nano, c.State.StartedAt)
	if s.Phase = backend.InstanceSettingUp; said.Port != 0 {
		s.Phase, s.URL = backend.InstanceRunning, i.url(c, said.Port)
	}
	return s, nil
}

// url is where Jupyter answers on this machine.
func (i *instance) url(c container.InspectResponse, port int) string {
	where := strconv.Itoa(port)
	if !i.onHost() && c.NetworkSettings != nil {
		for _, b := range c.NetworkSettings.Ports[network.MustParsePort(where+"/tcp")] {
			where = b.HostPort
		}
	}
	return "http://" + net.JoinHostPort("127.0.0.1", where) + "/"
}

// inspect describes the container.
func (i *instance) inspect(ctx context.Context) (container.InspectResponse, error) {
	r, err := i.engine.client.ContainerInspect(ctx, i.name(), client.ContainerInspectOptions{})
	if err != nil {
		return container.InspectResponse{}, classify(ctx, err)
	}
	if r.Container.State == nil {
		return container.InspectResponse{}, fmt.Errorf("%w: the engine says nothing of the compute instance", azml.ErrUnavailable)
	}
	return r.Container, nil
}

// logs copies the last lines of what the instance's programs said, and gives the
// very last.
func (i *instance) logs(ctx context.Context, to io.Writer) (last string, err error) {
	r, err := i.engine.client.ContainerLogs(ctx, i.name(), client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "50"})
	if err != nil {
		return "", classify(ctx, err)
	}
	defer r.Close()
	var text strings.Builder
	both := io.MultiWriter(to, &text)
	if _, err := stdcopy.StdCopy(both, both, r); err != nil {
		return "", classify(ctx, err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	return lines[len(lines)-1], nil
}
