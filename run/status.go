package run

import (
	"github.com/azml-go/azml/internal/record"
)

// Status is where a run is. Statuses that this version doesn't know are kept
// as they are and taken as going on.
type Status string

// The statuses of a run, in their usual order, by Azure ML's names. Some may be
// skipped.
const (
	// StatusNotStarted says that the record exists and nothing was submitted yet.
	StatusNotStarted = Status(record.NotStarted)
	// StatusStarting says that the run was accepted.
	StatusStarting = Status(record.Starting)
	// StatusProvisioning says that compute is being created for it.
	StatusProvisioning = Status(record.Provisioning)
	// StatusPreparing says that its environment is being built.
	StatusPreparing = Status(record.Preparing)
	// StatusQueued says that it waits for a node.
	StatusQueued = Status(record.Queued)
	// StatusRunning says that the user's code is active.
	StatusRunning = Status(record.Running)
	// StatusFinalizing says that the user's code is done and its outputs are
	// being collected.
	StatusFinalizing = Status(record.Finalizing)
	// StatusCancelRequested says that a cancel was accepted and is being carried out.
	StatusCancelRequested = Status(record.CancelRequested)
	// StatusNotResponding says that heartbeats are missing; the run may recover.
	StatusNotResponding = Status(record.NotResponding)
	// StatusCompleted says that the run ended well.
	StatusCompleted = Status(record.Completed)
	// StatusFailed says that the run ended with an error.
	StatusFailed = Status(record.Failed)
	// StatusCanceled says that the run was ended on request.
	StatusCanceled = Status(record.Canceled)
)

// Statuses lists all statuses in their usual order. The slice is the caller's.
func Statuses() []Status {
	var all []Status
	for _, s := range record.Statuses() {
		all = append(all, Status(s))
	}
	return all
}

// Terminal tells whether a run of the status has ended: Completed, Failed or
// Canceled. Only Run.Resume takes it up again.
func (s Status) Terminal() bool { return record.Status(s).Terminal() }

// CanBecome tells whether a run of status s may become next.
func (s Status) CanBecome(next Status) bool { return record.Status(s).CanBecome(record.Status(next)) }
