package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// terminate asks every process of a container to end, also those that are
// stopped. It runs as the job's user, who can't have become another.
const terminate = "kill -TERM -1; kill -CONT -1"

// Cancel implements backend.Compute. The container, and all that runs in it, ends
// with the job's command, or by force.
func (d *Driver) Cancel(ctx context.Context, id string, grace time.Duration) error {
	deadline := time.Now().Add(grace)
	c, err := d.inspect(ctx, id)
	if err != nil || status(c).State != backend.JobRunning {
		return err
	}
	if c.State.Paused {
		_, err := d.client.ContainerUnpause(ctx, c.ID, client.ContainerUnpauseOptions{})
		if err != nil {
			return classify(ctx, err)
		}
	}
	patience, stop := context.WithDeadline(ctx, deadline)
	defer stop()
	d.terminate(patience, c.ID)
	if _, err := d.Wait(patience, id); err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	_, err = d.client.ContainerKill(ctx, c.ID, client.ContainerKillOptions{Signal: "KILL"})
	if err = classify(ctx, err); err != nil && !errors.Is(err, azml.ErrConflict) { // a conflict says that it has ended
		return err
	}
	_, err = d.Wait(ctx, id)
	return err
}

// terminate sends SIGTERM. It fails when the container ends meanwhile, or has no
// room for one more process, which force is for.
func (d *Driver) terminate(ctx context.Context, containerID string) {
	e, err := d.client.ExecCreate(ctx, containerID, client.ExecCreateOptions{Cmd: []string{"/bin/sh", "-c", terminate}, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return
	}
	a, err := d.client.ExecAttach(ctx, e.ID, client.ExecAttachOptions{})
	if err != nil {
		return
	}
	defer a.Close()
	defer context.AfterFunc(ctx, a.Close)()
	_, _ = io.Copy(io.Discard, a.Reader) // it has run when this ends
}

// Remove implements backend.Compute. It takes away, too, what listening for a job
// has made that has no container.
func (d *Driver) Remove(ctx context.Context, id string) error {
	c, err := d.inspect(ctx, id)
	if errors.Is(err, azml.ErrNotFound) {
		if left := os.RemoveAll(d.jobDir(id)); left != nil {
			err = errors.Join(err, noFile(left))
		}
	}
	if err != nil {
		return err
	}
	if status(c).State == backend.JobRunning {
		return fmt.Errorf("%w: job %q runs: cancel it first", azml.ErrConflict, id)
	}
	return d.discard(ctx, c.ID, id)
}

// discard removes a container, running or not, and the job's folder.
func (d *Driver) discard(ctx context.Context, containerID, id string) error {
	_, err := d.client.ContainerRemove(ctx, containerID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err = classify(ctx, err); errors.Is(err, azml.ErrConflict) { // somebody else is removing it
		err = d.waitRemoved(ctx, containerID)
	}
	if err != nil {
		return err
	}
	if err := os.RemoveAll(d.jobDir(id)); err != nil {
		return noFile(err)
	}
	return nil
}

// waitRemoved waits until the container is gone.
func (d *Driver) waitRemoved(ctx context.Context, id string) error {
	w := d.client.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	select {
	case <-w.Result:
		return nil
	case err := <-w.Error:
		if err = classify(ctx, err); errors.Is(err, azml.ErrNotFound) {
			return nil
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
