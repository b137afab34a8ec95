package docker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/jobset"
)

// Labels of containers.
const (
	driverLabel = "azml.driver"
	jobLabel    = "azml.job"
)

// Status implements backend.Compute. It is one request.
func (d *Driver) Status(ctx context.Context, id string) (backend.JobStatus, error) {
	c, err := d.inspect(ctx, id)
	if err != nil {
		return backend.JobStatus{}, err
	}
	return status(c), nil
}

// inspect describes the container of a job.
func (d *Driver) inspect(ctx context.Context, id string) (container.InspectResponse, error) {
	r, err := d.client.ContainerInspect(ctx, d.container(id), client.ContainerInspectOptions{})
	if err != nil {
		err = classify(ctx, err)
		if errors.Is(err, azml.ErrNotFound) {
			err = fmt.Errorf("%w: job %q", azml.ErrNotFound, id)
		}
		return container.InspectResponse{}, err
	}
	if r.Container.State == nil || r.Container.Config == nil {
		return container.InspectResponse{}, fmt.Errorf("%w: the engine says nothing of job %q", azml.ErrUnavailable, id)
	}
	return r.Container, nil
}

// startPatience is how long a process may take from making a container to
// starting it. Later it is dead.
const startPatience = 5 * time.Minute

// status reads the description of a container.
func status(c container.InspectResponse) backend.JobStatus {
	s := backend.JobStatus{ID: c.Config.Labels[jobLabel], State: backend.JobRunning}
	s.Started, _ = time.Parse(time.RFC3339Nano, c.State.StartedAt)
	switch c.State.Status {
	case container.StateCreated:
		s.Reason = "it is being started"
		s.Started, _ = time.Parse(time.RFC3339Nano, c.Created)
		if time.Since(s.Started) > startPatience {
			s.State, s.Reason = backend.JobLost, "the starting process died before the command ran"
		}
	case container.StatePaused:
		s.Reason = "its container is paused"
	case container.StateRemoving:
		s.State, s.Reason = backend.JobLost, "its container is being removed"
	case container.StateExited, container.StateDead:
		s.Ended, _ = time.Parse(time.RFC3339Nano, c.State.FinishedAt)
		setEnd(&s, c)
	}
	return s
}

// setEnd says how a container ended. Codes above 128 are those of signals.
func setEnd(s *backend.JobStatus, c container.InspectResponse) {
	code := c.State.ExitCode
	n := syscall.Signal(code - 128)
	switch {
	case c.State.OOMKilled:
		s.State, s.Reason = backend.JobKilled, "it ran out of memory"
		if c.HostConfig != nil && c.HostConfig.Memory > 0 {
			s.Reason += fmt.Sprintf(": its limit was %d bytes", c.HostConfig.Memory)
		}
	case n > 0 && n <= lastSignal:
		s.State, s.Reason = backend.JobKilled, fmt.Sprintf("killed by signal %d (%s)", n, n)
	default:
		s.State, s.ExitCode, s.Reason = backend.JobExited, code, c.State.Error
	}
}

// lastSignal is the greatest number of a signal of Linux.
const lastSignal = 64

// Wait implements backend.Compute. It is two requests, of which the first is
// answered when the job has ended. Errors: also ErrUnavailable, when the engine
// stops meanwhile.
func (d *Driver) Wait(ctx context.Context, id string) (backend.JobStatus, error) {
	for {
		s, err := d.Status(ctx, id)
		if err != nil || s.State != backend.JobRunning {
			return s, err
		}
		if err := d.waitExit(ctx, id, s.Started); err != nil {
			return backend.JobStatus{}, err
		}
	}
}

// startPoll is how often a job that is being started by another process is
// looked at.
const startPoll = 100 * time.Millisecond

// waitExit waits until the container is not running. The engine takes one that
// was not started yet for such a one.
func (d *Driver) waitExit(ctx context.Context, id string, started time.Time) error {
	w := d.client.ContainerWait(ctx, d.container(id), client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case <-w.Result:
	case err := <-w.Error:
		return classify(ctx, err)
	case <-ctx.Done():
		return ctx.Err()
	}
	if time.Since(started) > startPoll {
		return nil
	}
	select {
	case <-time.After(startPoll):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// List implements backend.Compute. It is one request, and one for each job.
func (d *Driver) List(ctx context.Context) iter.Seq2[backend.JobStatus, error] {
	return jobset.List(ctx, d.ids, d.Status)
}

// ids gives the IDs of all jobs, sorted.
func (d *Driver) ids(ctx context.Context) ([]string, error) {
	list, err := d.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", driverLabel+"="+d.opts.Name)})
	if err != nil {
		return nil, classify(ctx, err)
	}
	var ids []string
	for _, c := range list.Items {
		if id := c.Labels[jobLabel]; slices.ContainsFunc(c.Names, func(name string) bool { return strings.TrimPrefix(name, "/") == d.container(id) }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
