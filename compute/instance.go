package compute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/image"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
)

// notebookPackages are what every compute instance has.
var notebookPackages = []string{"jupyterlab", "mlflow-skinny"}

// StartOptions are the options of Target.Start and Target.Restart.
type StartOptions struct {
	// Log gets what is said while an image is made and the instance starts, line by
	// line; nil discards it.
	Log io.Writer
}

// StopOptions are the options of Target.Stop; there are none so far.
type StopOptions struct{}

// Start starts a compute instance that was stopped, and returns when its notebook
// server answers. What could not be made before is made now. A cluster gives nodes to
// the runs that wait for it again. Starting what is started does nothing. Errors:
// ErrUnsupported for other targets; ErrFailed, ErrUnavailable.
func (t *Target) Start(ctx context.Context, opts *StartOptions) (err error) {
	defer t.h.Operation(&ctx, &err, "start", kind, t.Name())()
	if t.Type() == TypeCluster {
		return t.hold(ctx, false)
	}
	return t.operate(ctx, OperationStart, func(i backend.Instance) error { return t.start(ctx, i, opts) })
}

// Stop stops a compute instance, which ends all kernels, terminals and runs on it.
// Its files stay. A cluster gives no nodes to runs any more: those that have nodes go on,
// the others wait until it is started, and its scheduler stops each node that has no
// run, within seconds after Stop has returned. Stopping what is stopped does nothing.
// Errors: as of Start.
func (t *Target) Stop(ctx context.Context, _ *StopOptions) (err error) {
	defer t.h.Operation(&ctx, &err, "stop", kind, t.Name())()
	if t.Type() == TypeCluster {
		return t.hold(ctx, true)
	}
	return t.operate(ctx, OperationStop, func(i backend.Instance) error { return i.StopInstance(ctx) })
}

// Restart is Stop and Start.
func (t *Target) Restart(ctx context.Context, opts *StartOptions) (err error) {
	defer t.h.Operation(&ctx, &err, "restart", kind, t.Name())()
	return t.operate(ctx, OperationRestart, func(i backend.Instance) error {
		if err := i.StopInstance(ctx); err != nil {
			return err
		}
		return t.start(ctx, i, opts)
	})
}

// NotebookURLOptions are the options of Target.NotebookURL; there are none so far.
type NotebookURLOptions struct{}

// NotebookURL gives the address of a running compute instance's notebook server,
// with the token that gets in: whoever sees it can do there what its user can.
// Errors: ErrUnsupported for a target that is none; ErrConflict when it does not run.
func (t *Target) NotebookURL(ctx context.Context, _ *NotebookURLOptions) (link string, err error) {
	defer t.h.Operation(&ctx, &err, "open", kind, t.Name())()
	err = t.instance(ctx, func(i backend.Instance) error {
		s, err := i.InstanceStatus(ctx)
		if err != nil {
			return err
		}
		if s.Phase != backend.InstanceRunning {
			return fmt.Errorf("%w: the compute instance is %s: start it", azml.ErrConflict, s.Phase)
		}
		link = s.URL + "?token=" + url.QueryEscape(s.Token)
		return nil
	})
	return link, err
}

// instance opens the target for the time of do. Errors: ErrUnsupported when it is no
// compute instance.
func (t *Target) instance(ctx context.Context, do func(backend.Instance) error) (err error) {
	none := fmt.Errorf("%w: it is no compute instance: it is there or not by itself", azml.ErrUnsupported)
	if t.Type() == TypeLocal || t.Type() == TypeCluster {
		return none
	}
	opened, err := Open(ctx, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	i, ok := backend.As[backend.Instance](opened)
	if !ok {
		return none
	}
	return do(i)
}

// start makes the image, unless it is there, and starts the instance.
func (t *Target) start(ctx context.Context, i backend.Instance, opts *StartOptions) error {
	log := io.Discard
	if opts != nil && opts.Log != nil {
		log = opts.Log
	}
	setup := backend.InstanceSetup{Log: log, Workspace: t.h.Dir()}
	s, err := i.InstanceStatus(ctx)
	if err != nil {
		return err
	}
	if s.Phase == backend.InstanceMissing {
		python := pyenv.Spec{Pip: append(append([]string{}, notebookPackages...), i.Packages()...)}
		setup.Image, err = image.Build(ctx, i.Images(), record.Environment{Python: record.Python(python), Hash: python.Hash()}, nil, log)
		if err != nil {
			return err
		}
	}
	return i.StartInstance(ctx, setup)
}

// operate does something with an instance, and notes before and after that it does.
// What others do at the same time is not kept from; the last word is noted.
func (t *Target) operate(ctx context.Context, name OperationName, do func(backend.Instance) error) error {
	return t.instance(ctx, func(i backend.Instance) error {
		if err := t.note(ctx, name, OperationInProgress, nil); err != nil {
			return err
		}
		err := do(i)
		status := OperationSucceeded
		if err != nil {
			status = OperationStatus(name + "Failed")
		}
		return errors.Join(err, t.note(context.WithoutCancel(ctx), name, status, err))
	})
}

// note writes the operation into the record.
func (t *Target) note(ctx context.Context, name OperationName, status OperationStatus, cause error) error {
	op := &record.ComputeOperation{Name: string(name), Status: string(status), Trigger: string(TriggerUser), Time: t.h.Now()}
	if cause != nil {
		op.Error = cause.Error()
	}
	note := core.Quiet
	if status == OperationInProgress {
		note = core.Updated(string(name))
	}
	_, err := core.Update(ctx, t.h, ref(t.Name()), note, func(r *record.Compute) error {
		r.LastOperation = op
		if status != OperationInProgress && name != OperationDelete && name != OperationStop {
			r.State = string(StateSucceeded)
			if cause != nil && r.State != string(StateSucceeded) {
				r.State = string(StateFailed)
			}
		}
		return nil
	})
	return err
}
