package compute

import (
	"context"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// InstanceState is what a compute instance does.
type InstanceState string

// The states of compute instances, by Azure ML's names.
const (
	// InstanceCreating says that its image is made, or it itself.
	InstanceCreating InstanceState = "Creating"
	// InstanceCreateFailed says that it could not be made.
	InstanceCreateFailed InstanceState = "CreateFailed"
	// InstanceStarting says that it is being started.
	InstanceStarting InstanceState = "Starting"
	// InstanceSettingUp says that it runs, and its notebook server is on the way.
	InstanceSettingUp InstanceState = "SettingUp"
	// InstanceRunning says that its notebook server answers.
	InstanceRunning InstanceState = "Running"
	// InstanceJobRunning is InstanceRunning while runs go on there.
	InstanceJobRunning InstanceState = "JobRunning"
	// InstanceRestarting says that it is stopped and will be started.
	InstanceRestarting InstanceState = "Restarting"
	// InstanceStopping says that it is being stopped.
	InstanceStopping InstanceState = "Stopping"
	// InstanceStopped says that it does not run.
	InstanceStopped InstanceState = "Stopped"
	// InstanceDeleting says that it is being deleted.
	InstanceDeleting InstanceState = "Deleting"
	// InstanceUnknown says that whatever runs it does not answer.
	InstanceUnknown InstanceState = "Unknown"
)

// OperationName is something that is done with a compute instance.
type OperationName string

// The operations, by Azure ML's names.
const (
	// OperationCreate makes it and starts it.
	OperationCreate OperationName = "Create"
	// OperationStart starts it.
	OperationStart OperationName = "Start"
	// OperationStop stops it.
	OperationStop OperationName = "Stop"
	// OperationRestart stops it and starts it.
	OperationRestart OperationName = "Restart"
	// OperationDelete deletes it.
	OperationDelete OperationName = "Delete"
)

// OperationStatus is how an operation went. One that failed has the operation's
// name and "Failed", such as "StartFailed".
type OperationStatus string

// The statuses of operations that did not fail.
const (
	// OperationInProgress says that it goes on, or that its process died.
	OperationInProgress OperationStatus = "InProgress"
	// OperationSucceeded says that it is done.
	OperationSucceeded OperationStatus = "Succeeded"
)

// Trigger is who wanted an operation.
type Trigger string

// The triggers of operations.
const (
	// TriggerUser says that somebody asked for it.
	TriggerUser Trigger = "User"
	// TriggerIdleShutdown says that nobody used the instance for its time.
	TriggerIdleShutdown Trigger = "IdleShutdown"
)

// Operation is what was done last with a compute instance.
type Operation struct {
	// Name is what.
	Name OperationName `json:"operationName"`
	// Status is how it went.
	Status OperationStatus `json:"operationStatus"`
	// Trigger is who wanted it.
	Trigger Trigger `json:"operationTrigger"`
	// Time is when the status began.
	Time time.Time `json:"operationTime"`
	// Error says what went wrong; empty when nothing did.
	Error string `json:"error,omitempty"`
}

// Instance is how a compute instance is.
type Instance struct {
	// State is what it does.
	State InstanceState `json:"state"`
	// Reason says in words why, where there is something to say.
	Reason string `json:"reason,omitempty"`
	// Since is when it was started, or stopped; zero where that is not known.
	Since time.Time `json:"since,omitzero"`
	// URL is where its notebook server answers those who have the token; empty unless
	// it runs.
	URL string `json:"url,omitempty"`
	// LastOperation is what was done last.
	LastOperation Operation `json:"lastOperation"`
}

// InstanceOptions are the options of Target.Instance; there are none so far.
type InstanceOptions struct{}

// Instance tells how the compute instance is now, also when the target was read
// before that. Errors: ErrUnsupported for a target that is none; ErrNotFound when it
// was deleted.
func (t *Target) Instance(ctx context.Context, _ *InstanceOptions) (state Instance, err error) {
	defer t.h.Operation(&ctx, &err, "get", kind, t.Name())()
	err = t.instance(ctx, func(i backend.Instance) error {
		stored, err := core.Get[record.Compute](ctx, t.h, ref(t.Name()).Key) // what others have done since
		if err != nil {
			return err
		}
		s, err := i.InstanceStatus(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if state = stateOf(stored.Value, s, t.h.Now()); err != nil {
			state.State, state.Reason = InstanceUnknown, err.Error()
		}
		if state.State == InstanceRunning && runsJobs(ctx, i) {
			state.State = InstanceJobRunning
		}
		return nil
	})
	return state, err
}

// operationPatience is after how long an operation that says no more is taken for
// one whose process has died.
const operationPatience = time.Hour

// stateOf gives the state that record and machine make together: what is going on by
// the record, as long as the machine is not there yet.
func stateOf(r record.Compute, s backend.InstanceStatus, now time.Time) Instance {
	state := Instance{State: InstanceState(s.Phase), Reason: s.Reason, Since: s.Since, URL: s.URL}
	if r.LastOperation != nil {
		o := *r.LastOperation
		state.LastOperation = Operation{OperationName(o.Name), OperationStatus(o.Status), Trigger(o.Trigger), o.Time, o.Error}
	}
	op := &state.LastOperation
	if s.Idle && s.Since.After(op.Time) {
		*op = Operation{OperationStop, OperationSucceeded, TriggerIdleShutdown, s.Since, ""}
	}
	going := map[OperationName]InstanceState{OperationCreate: InstanceCreating, OperationStart: InstanceStarting, OperationRestart: InstanceRestarting,
		OperationStop: InstanceStopping, OperationDelete: InstanceDeleting}[op.Name]
	alive := op.Status == OperationInProgress && now.Sub(op.Time) < operationPatience
	switch {
	case s.Phase == backend.InstanceSettingUp, s.Phase == backend.InstanceRunning && op.Name != OperationStop && op.Name != OperationDelete:
	case alive:
		state.State = going
	case s.Phase == backend.InstanceMissing:
		state.State = InstanceCreateFailed
	}
	if state.Reason == "" && state.State != InstanceRunning {
		state.Reason = op.Error
	}
	return state
}

// runsJobs tells whether runs go on; what can't be asked runs none.
func runsJobs(ctx context.Context, i backend.Instance) bool {
	jobs, ok := backend.As[backend.Compute](i)
	if !ok {
		return false
	}
	for job, err := range jobs.List(ctx) {
		if err != nil || job.State == backend.JobRunning {
			return err == nil
		}
	}
	return false
}
