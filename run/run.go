package run

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

const kind = "run"

// SystemPrefix begins the names of the metrics that the library itself logs of
// the machine on which a script runs.
const SystemPrefix = agent.SystemPrefix

// Run is a run. It holds the record as it was last read; methods that change
// the run keep it up to date, Refresh reads it again. It is safe for
// concurrent use.
type Run struct {
	h  core.Handle
	id string

	live    atomic.Pointer[live] // set once this process logs to the run
	indexed index.Summaries      // of a run that a search has found

	hidden hidden // secrets that this process was given for the run

	mu     sync.Mutex
	stored core.Stored[record.Run]
}

// Details is what a run's record says.
type Details struct {
	// RunID is the run's ID.
	RunID string `json:"runId"`
	// Experiment is the name of the run's experiment.
	Experiment string `json:"experiment"`
	// Number counts the experiment's runs from 1.
	Number int `json:"runNumber"`
	// Type is "azml.run" for a run logged in process, "azureml.scriptrun" for a
	// submitted script.
	Type string `json:"runType"`
	// ParentRunID is the run that this is a child of, empty when it is none.
	ParentRunID string `json:"parentRunId,omitempty"`
	// RootRunID is the topmost run above, the run's own ID when it is no child.
	RootRunID string `json:"rootRunId"`
	// DisplayName is a name for people.
	DisplayName string `json:"displayName,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Status is where the run is.
	Status Status `json:"status"`
	// Reason says in words why it is there.
	Reason string `json:"statusReason,omitempty"`
	// WaitsFor says what it waits for, when it does.
	WaitsFor string `json:"waitsFor,omitempty"`
	// Since is when Status began.
	Since time.Time `json:"statusSince"`
	// History holds every status the run has had, oldest first.
	History []Transition `json:"history"`
	// Created is when the run was created.
	Created time.Time `json:"createdUtc"`
	// CreatedBy is who created it, as user@host.
	CreatedBy string `json:"createdBy"`
	// Started is when the user's code began, zero before.
	Started time.Time `json:"startTimeUtc,omitzero"`
	// Ended is when the run reached its last status, zero before.
	Ended time.Time `json:"endTimeUtc,omitzero"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// Properties are labels that never change once set.
	Properties map[string]string `json:"properties,omitempty"`
	// Params are the run's parameters.
	Params map[string]string `json:"params,omitempty"`
	// SnapshotID is the ID of the source folder's snapshot, empty when none
	// was taken.
	SnapshotID string `json:"snapshotId,omitempty"`
	// Script is the submitted script; empty for a command or a run in process.
	Script string `json:"script,omitempty"`
	// Arguments are the script's arguments.
	Arguments []string `json:"arguments,omitempty"`
	// Command is the submitted command, when no script was given.
	Command []string `json:"command,omitempty"`
	// Target is the compute target of a submitted script.
	Target string `json:"target,omitempty"`
	// Environment is the environment of a submitted script, as "name:version".
	Environment string `json:"environment,omitempty"`
	// Limits are what a submitted script was to have of its target.
	Limits backend.Limits `json:"limits,omitzero"`
	// Secrets are the names of the secrets that a submitted script gets.
	Secrets []string `json:"secrets,omitempty"`
	// Error says why the run failed, nil when it did not.
	Error *Failure `json:"error,omitempty"`
	// Warnings are what went wrong without failing the run.
	Warnings []string `json:"warnings,omitempty"`
	// Deleted is when an MLflow client deleted the run, zero when it is there.
	// Lists leave it out, and it can be restored.
	Deleted time.Time `json:"deletedTime,omitzero"`
}

// Transition is one step of a run's history.
type Transition struct {
	// Status is the status that began.
	Status Status `json:"status"`
	// Time is when it began.
	Time time.Time `json:"time"`
	// Reason says why.
	Reason string `json:"reason,omitempty"`
}

// Failure says why a run failed.
type Failure struct {
	// Code is "UserError" when the user's code or environment failed, else
	// "SystemError".
	Code string `json:"code"`
	// Message says what happened, in a few lines at most.
	Message string `json:"message"`
	// Phase is the status in which it happened.
	Phase Status `json:"phase,omitempty"`
	// ExitCode is the script's exit code, nil when it had none.
	ExitCode *int `json:"exitCode,omitempty"`
	// LastLines are the last lines of the script's output.
	LastLines []string `json:"lastLines,omitempty"`
	// Stack is the stack trace of a panic of a run in process.
	Stack string `json:"stack,omitempty"`
}

// ID gives the run's ID.
func (r *Run) ID() string { return r.id }

// ExperimentName gives the name of the run's experiment.
func (r *Run) ExperimentName() string { return r.record().Experiment }

// Number gives the run's number in its experiment, from 1.
func (r *Run) Number() int { return r.record().Number }

// ParentID gives the ID of the run that this is a child of, "" for none.
func (r *Run) ParentID() string { return r.record().Parent }

// SnapshotID gives the ID of the source folder's snapshot, "" for none.
func (r *Run) SnapshotID() string { return r.record().Snapshot }

// Status gives the status as it was last read.
func (r *Run) Status() Status { return Status(r.record().Status) }

// Details gives a copy of the record as it was last read.
func (r *Run) Details() Details {
	rec := r.record()
	d := Details{RunID: rec.ID, Experiment: rec.Experiment, Number: rec.Number, Type: rec.Type, ParentRunID: rec.Parent,
		RootRunID: rec.Root, DisplayName: rec.DisplayName, Description: rec.Description, Status: Status(rec.Status),
		Reason: rec.Reason, WaitsFor: rec.WaitsFor, Since: rec.Since, Created: rec.Created, CreatedBy: rec.CreatedBy,
		Started: rec.Started, Ended: rec.Ended, Tags: maps.Clone(rec.Tags), Properties: maps.Clone(rec.Properties),
		Params: maps.Clone(rec.Params), SnapshotID: rec.Snapshot, Warnings: slices.Clone(rec.Warnings), Deleted: rec.Deleted, Error: failure(rec.Error)}
	for _, t := range rec.History {
		d.History = append(d.History, Transition{Status(t.Status), t.Time, t.Reason})
	}
	if def := rec.Definition; def != nil {
		d.Script, d.Arguments, d.Command, d.Target = def.Script, slices.Clone(def.Arguments), slices.Clone(def.Command), def.Compute
		d.Environment = def.Environment.Name + ":" + def.Environment.Version
		d.Limits = backend.Limits(def.Limits)
		d.Secrets = slices.Clone(def.Secrets)
	}
	return d
}

func failure(e *record.RunError) *Failure {
	if e == nil {
		return nil
	}
	return &Failure{Code: e.Code, Message: e.Message, Phase: Status(e.Phase), ExitCode: e.ExitCode,
		LastLines: slices.Clone(e.LastLines), Stack: e.Stack}
}

// Refresh reads the record again. It also looks whether the process that
// answers for the run is still there; a run whose process is gone becomes
// Failed with that reason. Errors: ErrNotFound when it was deleted, ErrDamaged.
func (r *Run) Refresh(ctx context.Context) (err error) {
	defer r.h.Operation(&ctx, &err, "get", kind, r.id)()
	stored, err := r.read(ctx)
	if err != nil {
		return err
	}
	if stored, err = agent.Reap(ctx, r.h, stored); err != nil {
		return err
	}
	r.keep(stored)
	return nil
}

// read reads the record. Errors: ErrNotFound also when the run was deleted and
// another has got its ID.
func (r *Run) read(ctx context.Context) (core.Stored[record.Run], error) {
	stored, err := history.Get(ctx, r.h, r.id)
	if err == nil {
		err = history.SameLife(stored.Value, r.record().Life)
	}
	return stored, err
}

// transition takes the step, unless another run has got the ID.
func (r *Run) transition(ctx context.Context, step history.Step) (core.Stored[record.Run], error) {
	step.Life = r.record().Life
	return history.Transition(ctx, r.h, r.id, step)
}

// record gives the last read record. Its maps and slices are never changed.
func (r *Run) record() record.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored.Value
}

// keep takes over a record that was read or written, unless it is older than
// what we have.
func (r *Run) keep(stored core.Stored[record.Run]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stored.Value.Life == r.stored.Value.Life && !stored.Value.Modified.Before(r.stored.Value.Modified) {
		r.stored = stored
	}
}
