package record

import "time"

// Audit is one line of the audit log, at "audit/<yyyy-mm-dd>/<writer>-<n>.jsonl".
// It is written before the change is made; a change that fails then leaves a
// second line with the same ID and its Failure.
type Audit struct {
	// ID is the line's own ID.
	ID string `json:"id"`
	// Time is when it happened, by the writer's clock.
	Time time.Time `json:"time"`
	// Who is the user, as user@host.
	Who string `json:"who"`
	// From is the process, as "program[pid]@host".
	From string `json:"from"`
	// Op is the verb: create, update, delete.
	Op string `json:"op"`
	// Kind is the kind of resource.
	Kind string `json:"kind"`
	// Name is the resource's name or ID.
	Name string `json:"name"`
	// Detail says what changed, in a few words.
	Detail string `json:"detail,omitempty"`
	// Failure is the class of error of a change that was not made.
	Failure string `json:"failure,omitempty"`
}
