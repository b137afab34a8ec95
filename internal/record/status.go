package record

import "slices"

// Status is the status of a run.
type Status string

// The statuses of a run, by the names that Azure ML gives them.
const (
	// NotStarted says that the record exists and nothing was submitted yet.
	NotStarted Status = "NotStarted"
	// Starting says that the run was accepted.
	Starting Status = "Starting"
	// Provisioning says that compute is being created for it.
	Provisioning Status = "Provisioning"
	// Preparing says that its environment is being built.
	Preparing Status = "Preparing"
	// Queued says that it waits for a node.
	Queued Status = "Queued"
	// Running says that the user's code is active.
	Running Status = "Running"
	// Finalizing says that the user's code is done and its outputs are collected.
	Finalizing Status = "Finalizing"
	// CancelRequested says that a cancel was accepted and is being carried out.
	CancelRequested Status = "CancelRequested"
	// NotResponding says that heartbeats are missing.
	NotResponding Status = "NotResponding"
	// Completed says that the run ended well.
	Completed Status = "Completed"
	// Failed says that the run ended with an error.
	Failed Status = "Failed"
	// Canceled says that the run was ended on request.
	Canceled Status = "Canceled"
)

// transitions is the table of legal transitions: every pair that is not here
// is an error. Preparing and Queued may come in either order; stages may be
// skipped, never gone back to, but for NotResponding, which can recover, and for a
// run whose nodes were taken away, which is Queued again, also when it had not begun. A run
// that has ended goes on only when somebody resumes it.
var transitions = map[Status][]Status{
	NotStarted:      {Starting, Provisioning, Preparing, Queued, Running, CancelRequested, NotResponding, Failed, Canceled},
	Starting:        {Provisioning, Preparing, Queued, Running, CancelRequested, NotResponding, Failed, Canceled},
	Provisioning:    {Preparing, Queued, Running, CancelRequested, NotResponding, Failed, Canceled},
	Preparing:       {Queued, Running, CancelRequested, NotResponding, Failed, Canceled},
	Queued:          {Preparing, Queued, Running, CancelRequested, NotResponding, Failed, Canceled},
	Running:         {Queued, Finalizing, Completed, CancelRequested, NotResponding, Failed, Canceled},
	Finalizing:      {Completed, CancelRequested, NotResponding, Failed, Canceled},
	CancelRequested: {NotResponding, Completed, Failed, Canceled},
	NotResponding:   {Starting, Provisioning, Preparing, Queued, Running, Finalizing, CancelRequested, Completed, Failed, Canceled},
	Completed:       {Running},
	Failed:          {Running},
	Canceled:        {Running},
}

// Statuses lists all statuses in their usual order.
func Statuses() []Status {
	return []Status{NotStarted, Starting, Provisioning, Preparing, Queued, Running, Finalizing,
		CancelRequested, NotResponding, Completed, Failed, Canceled}
}

// CanBecome tells whether a run of status s may become next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(transitions[s], next) }

// Terminal tells whether a run of status s has ended. A status that this
// version doesn't know is taken as going on.
func (s Status) Terminal() bool { return s == Completed || s == Failed || s == Canceled }
