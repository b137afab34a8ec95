//go:build linux || darwin

package supervisor

import (
	"strconv"
	"time"
)

// Beginning is what a supervisor adds to the job's record when the command runs.
type Beginning struct {
	// Supervisor is the supervisor's own process ID.
	Supervisor int `json:"supervisor,omitempty"`
	// PID is the command's process ID.
	PID int `json:"pid,omitempty"`
	// Birth is the kernel's start time of PID. With Boot it says whether PID still means
	// the same process. Both are empty where the system doesn't tell.
	Birth uint64 `json:"birth,omitempty"`
	// Boot is the ID of the machine's present boot.
	Boot string `json:"boot,omitempty"`
	// Started is when the command was started.
	Started time.Time `json:"started,omitzero"`
}

// End is what a supervisor adds when no process of the job is left.
type End struct {
	// ExitCode is the command's.
	ExitCode int `json:"exit_code,omitempty"`
	// Signal is what has killed the command, 0 for none.
	Signal int `json:"signal,omitempty"`
	// Cancelled says that the end was asked for before.
	Cancelled bool `json:"cancelled,omitempty"`
	// Ended is when.
	Ended time.Time `json:"ended,omitzero"`
}

// line gives the fields as a line of JSON. It is written by hand, for encoding/json is
// initialised late.
func (b Beginning) line() []byte {
	return []byte(`{"supervisor":` + strconv.Itoa(b.Supervisor) + `,"pid":` + strconv.Itoa(b.PID) + `,"birth":` + strconv.FormatUint(b.Birth, 10) +
		`,"boot":` + strconv.Quote(b.Boot) + `,"started":"` + b.Started.Format(time.RFC3339Nano) + "\"}\n")
}

// line is Beginning's.
func (e End) line() []byte {
	return []byte(`{"exit_code":` + strconv.Itoa(e.ExitCode) + `,"signal":` + strconv.Itoa(e.Signal) + `,"cancelled":` + strconv.FormatBool(e.Cancelled) +
		`,"ended":"` + e.Ended.Format(time.RFC3339Nano) + "\"}\n")
}
