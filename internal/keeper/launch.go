package keeper

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/image"
	"github.com/azml-go/azml/internal/record"
)

// Ready tells whether the target can take an agent with these limits now: it fails
// at once where a run never would begin. Errors: ErrUnavailable, ErrDenied,
// ErrUnsupported, and ErrNotFound when there is no program for its platform.
func Ready(ctx context.Context, h core.Handle, target backend.Remote, limits backend.Limits) error {
	if err := target.Check(ctx); err != nil {
		return err
	}
	if limits != (backend.Limits{}) {
		limiter, can := backend.As[backend.Limiter](target)
		if !can {
			return fmt.Errorf("%w: it can't hold a run to limits: leave them out, or name a target that runs containers", azml.ErrUnsupported)
		}
		if err := limiter.CheckLimits(ctx, limits); err != nil {
			return err
		}
	}
	on, err := target.Platform(ctx)
	if err != nil {
		return err
	}
	_, err = compute.Agent(ctx, h, on)
	return err
}

// NewAgent draws the ID of an agent's job and its token.
func NewAgent() (a *record.Agent, token string) {
	token, digest := gateway.NewToken()
	const idBytes = 8
	return &record.Agent{Job: "agent-" + core.NewID(idBytes), TokenHash: hex.EncodeToString(digest[:])}, token
}

// launch puts the program on the target and starts the job.
func (k *keeper) launch(ctx context.Context, job, address string, i agent.Instructions) error {
	path, err := k.install(ctx)
	if err != nil {
		return err
	}
	// The agent gives its script what it has of these.
	env := map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	image, err := k.image(ctx, env)
	if err != nil {
		return err
	}
	i.Gateway, i.Location, i.CacheDir, i.SecretsKeyFile = address, "", k.cacheDir, ""
	input, err := i.Encode()
	if err != nil {
		return err
	}
	k.launched = k.h.Now()
	defer k.sayIfLong(ctx, "the agent is being started")()
	return k.start(ctx, backend.Job{ID: job, Command: []string{path, "agent"}, Dir: "/", Input: input, Image: image, Env: env, Nodes: max(k.run.Definition.Nodes, 1),
		Limits: backend.Limits(k.run.Definition.Limits)})
}

// image makes the environment's image where the target has images, unless it is
// there, and notes it. It adds to env what the image sets. The making is written
// into the run's log of its preparation.
func (k *keeper) image(ctx context.Context, env map[string]string) (name string, err error) {
	images, has := backend.As[backend.Images](k.target)
	if !has {
		return "", nil
	}
	ref := k.run.Definition.Environment
	stored, err := core.Get[record.Environment](ctx, k.h, "environments/"+ref.Name+"/"+ref.Version+".json")
	if err != nil {
		return "", fmt.Errorf("read environment %s:%s: %w", ref.Name, ref.Version, err)
	}
	log, err := history.NewLogWriter(ctx, k.h, history.LogKey(k.run, agent.PrepareLog))
	if err != nil {
		return "", err
	}
	began := time.Now()
	made, err := k.build(ctx, images, stored.Value, log)
	switch {
	case err != nil:
	case made.Reused:
		fmt.Fprintf(log, "image %s is there already\n", made.Name)
	default:
		fmt.Fprintf(log, "image %s made in %s\n", made.Name, time.Since(began).Round(time.Millisecond))
	}
	// The agent goes on in this log: what was said must be in it before.
	if err := errors.Join(err, log.Close(context.WithoutCancel(ctx))); err != nil {
		return "", fmt.Errorf("build environment %s:%s: %w", ref.Name, ref.Version, err)
	}
	maps.Copy(env, made.Env)
	if env["HOME"] == "" { // whom jobs run as has no home
		env["HOME"] = images.SharedFolder()
	}
	if k.cacheDir == "" {
		k.cacheDir = images.SharedFolder()
	}
	noted, err := history.Update(ctx, k.h, k.run.ID, core.Quiet, func(r *record.Run) error {
		if !k.keeps(*r) {
			return errTaken
		}
		if r.Agent.Image == made.Name {
			return core.ErrNoChange
		}
		a := *r.Agent
		a.Image = made.Name
		r.Agent = &a
		return nil
	})
	if err == nil {
		k.run = noted.Value
	}
	return made.Name, err
}

// build makes the image within the time that preparing the run may take.
func (k *keeper) build(ctx context.Context, images backend.Images, env record.Environment, log io.Writer) (made backend.Image, err error) {
	what := fmt.Sprintf("the image of environment %s:%s is made, or looked for", env.Name, env.Version)
	defer k.sayIfLong(ctx, what)()
	t := task{limit: k.run.Definition.MaxPrepare, late: "was not done", what: what}
	if builds, has := backend.As[backend.ImageBuilds](k.target); has {
		hash := image.Hash(images, env)
		t.status = func(ctx context.Context) (backend.JobStatus, error) { return builds.BuildStatus(ctx, hash) }
	}
	err = k.inTime(ctx, t, func(ctx context.Context) (err error) {
		made, err = image.Build(ctx, images, env, k.h.Files(), log)
		return err
	})
	return made, err
}

// install puts the program on the target, under a name that says its content.
func (k *keeper) install(ctx context.Context) (string, error) {
	defer k.sayIfLong(ctx, "the agent's program is brought there")()
	on, err := k.target.Platform(ctx)
	if err != nil {
		return "", err
	}
	file, err := compute.Agent(ctx, k.h, on)
	if err != nil {
		return "", err
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	digest, err := compute.ProgramDigest(k.h, f)
	if err != nil {
		return "", err
	}
	const enough = 32 // digits, to tell programs apart
	return k.target.Install(ctx, "azml-"+digest[:enough], programFile{f, info.Size()})
}

// programFile is a program's file. Its content is installed once under its name, so an end
// that comes too early must not be taken for that of the file.
type programFile struct {
	file *os.File
	size int64
}

// Size implements backend.Content.
func (p programFile) Size() int64 { return p.size }

// ReadAt implements backend.Content.
func (p programFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := p.file.ReadAt(b, at)
	if errors.Is(err, io.EOF) && at+int64(n) < p.size {
		err = fmt.Errorf("%w: somebody has written to the program %s while it was being installed: put programs in place by renaming, and submit the run again", azml.ErrConflict, p.file.Name())
	}
	return n, err
}
