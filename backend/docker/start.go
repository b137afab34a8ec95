package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Start implements backend.Compute. An image that the engine lacks is pulled.
// Errors: also ErrNotFound when there is no such image, ErrUnsupported for limits
// that the engine can't keep.
func (d *Driver) Start(ctx context.Context, job backend.Job) error {
	if err := errors.Join(check(job), d.needLocal()); err != nil {
		return err
	}
	job.Image = cmp.Or(job.Image, d.opts.Image)
	if job.Image == "" {
		return fmt.Errorf("%w: job %q has no image, and the target no default: name one", azml.ErrInvalid, job.ID)
	}
	user, err := d.user(ctx, job.Image)
	if err != nil {
		return err
	}
	id, err := d.create(ctx, job, user)
	if err != nil {
		return err
	}
	if err = d.run(ctx, id, job); err != nil {
		return errors.Join(err, d.discard(context.WithoutCancel(ctx), id, job.ID))
	}
	return nil
}

// nobody is who has no rights at all.
const nobody = "65532:65532"

// user gives whom jobs of the image run as, once the engine has it.
func (d *Driver) user(ctx context.Context, image string) (string, error) {
	info, err := d.image(ctx, image)
	if err != nil || d.opts.User != "" {
		return d.opts.User, err
	}
	own := ""
	if info.Config != nil {
		own = info.Config.User
	}
	if name, _, _ := strings.Cut(own, ":"); name == "" || name == "0" || name == "root" {
		return nobody, nil
	}
	return own, nil
}

// create makes the job's container. Its name is the lock: the first one has it.
func (d *Driver) create(ctx context.Context, job backend.Job, user string) (string, error) {
	if err := d.makeFiles(job.ID); err != nil {
		return "", noFile(err)
	}
	c, err := d.client.ContainerCreate(ctx, client.ContainerCreateOptions{Name: d.container(job.ID), HostConfig: d.hostConfig(job), Config: &container.Config{
		Image: job.Image, User: user, Entrypoint: []string{shell, path.Join(jobFolder, scriptFile)}, WorkingDir: "/",
		Labels:    map[string]string{driverLabel: d.opts.Name, jobLabel: job.ID},
		OpenStdin: len(job.Input) > 0, StdinOnce: len(job.Input) > 0, AttachStdin: len(job.Input) > 0,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}})
	if err = classify(ctx, err); errors.Is(err, azml.ErrConflict) {
		return "", fmt.Errorf("%w: job %q", azml.ErrExists, job.ID)
	}
	if err != nil {
		if _, there := d.inspect(context.WithoutCancel(ctx), job.ID); errors.Is(there, azml.ErrNotFound) {
			_ = os.RemoveAll(d.jobDir(job.ID)) // the other error counts
		}
		return "", fmt.Errorf("job %q: %w", job.ID, limitError(err, job))
	}
	for _, warning := range c.Warnings {
		if strings.Contains(warning, "iscarded") { // of a limit
			err = fmt.Errorf("%w: job %q: %s", azml.ErrUnsupported, job.ID, warning)
			return "", errors.Join(err, d.discard(context.WithoutCancel(ctx), c.ID, job.ID))
		}
	}
	return c.ID, nil
}

// makeFiles makes what the engine mounts, and leaves as it is what another start
// of the same job has made.
func (d *Driver) makeFiles(id string) error {
	if err := d.makeDirs(id); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(d.jobDir(id), outputFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o666), f.Close()) // jobs run as anybody
}

// hostConfig says what the container gets of its machine.
func (d *Driver) hostConfig(job backend.Job) *container.HostConfig {
	l := d.limits(job.Limits)
	h := &container.HostConfig{
		Init: new(true), NetworkMode: container.NetworkMode(d.opts.Network), ShmSize: l.SharedMemory, SecurityOpt: []string{"no-new-privileges"},
		LogConfig: container.LogConfig{Type: "none"}, Resources: resources(l),
	}
	for _, m := range d.opts.Mounts {
		h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	for target, m := range map[string]mount.Mount{
		programsFolder:                   {Source: d.programsDir(), ReadOnly: true},
		sharedFolder:                     {Source: d.sharedDir()},
		jobFolder:                        {Source: d.jobDir(job.ID), ReadOnly: true},
		path.Join(jobFolder, outputFile): {Source: filepath.Join(d.jobDir(job.ID), outputFile)},
	} {
		m.Type, m.Target = mount.TypeBind, target
		h.Mounts = append(h.Mounts, m)
	}
	return h
}

// run starts the container and hands it the input.
func (d *Driver) run(ctx context.Context, id string, job backend.Job) error {
	program, err := d.program(ctx, id, job)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.jobDir(job.ID), scriptFile), script(job, program), 0o444); err != nil { // jobs run as anybody
		return noFile(err)
	}
	if len(job.Input) == 0 {
		return d.start(ctx, id, job)
	}
	input, err := d.client.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: true})
	if err != nil {
		return classify(ctx, err)
	}
	defer input.Close()
	if err := d.start(ctx, id, job); err != nil {
		return err
	}
	if _, err = io.Copy(input.Conn, strings.NewReader(string(job.Input))); err == nil {
		err = input.CloseWrite()
	}
	return classify(ctx, err)
}

func (d *Driver) start(ctx context.Context, id string, job backend.Job) error {
	_, err := d.client.ContainerStart(ctx, id, client.ContainerStartOptions{})
	return limitError(classify(ctx, err), job)
}

// program finds the command in the container and checks what starts it.
func (d *Driver) program(ctx context.Context, container string, job backend.Job) (string, error) {
	for _, needed := range []string{shell, envProgram} {
		if mode, err := d.stat(ctx, container, needed); err != nil || !isProgram(mode) {
			return "", cmp.Or(err, fmt.Errorf("%w: job %q: image %s has no %s, which jobs are started by", azml.ErrInvalid, job.ID, job.Image, needed))
		}
	}
	if mode, err := d.stat(ctx, container, job.Dir); err != nil || !mode.IsDir() {
		return "", cmp.Or(err, fmt.Errorf("%w: job %q: folder %s is not there", azml.ErrInvalid, job.ID, job.Dir))
	}
	name, dirs := job.Command[0], []string{""}
	if !strings.Contains(name, "/") {
		dirs = strings.Split(job.Env["PATH"], ":")
	}
	for _, dir := range dirs {
		file := path.Join(dir, name)
		if !path.IsAbs(file) {
			file = path.Join(job.Dir, file)
		}
		mode, err := d.stat(ctx, container, file)
		if err != nil {
			return "", err
		}
		if isProgram(mode) && !strings.Contains(file, "=") { // env would take that for a variable
			return file, nil
		}
	}
	return "", fmt.Errorf("%w: job %q: no program %q in image %s (PATH %q)", azml.ErrInvalid, job.ID, name, job.Image, job.Env["PATH"])
}

func isProgram(mode os.FileMode) bool { return mode.IsRegular() && mode&0o111 != 0 }

// stat gives the mode of what is at the path in a container, which need not run;
// os.ModeIrregular when nothing is.
func (d *Driver) stat(ctx context.Context, container, file string) (os.FileMode, error) {
	const links = 10
	for range links {
		r, err := d.client.ContainerStatPath(ctx, container, client.ContainerStatPathOptions{Path: file})
		if err = classify(ctx, err); errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
			return os.ModeIrregular, nil
		}
		if err != nil {
			return 0, err
		}
		if r.Stat.Mode&os.ModeSymlink == 0 || r.Stat.LinkTarget == "" {
			return r.Stat.Mode, nil
		}
		file = r.Stat.LinkTarget
	}
	return os.ModeIrregular, nil
}
