package scoring

import (
	"fmt"
	"strings"
)

// The phases of starting a scoring script, as StartError names them.
const (
	// PhaseStart is the start of the interpreter.
	PhaseStart = "start"
	// PhaseImport is the import of the entry script.
	PhaseImport = "import"
	// PhaseCheck is the look at the script's init and run functions.
	PhaseCheck = "check"
	// PhaseInit is the call of the script's init().
	PhaseInit = "init"
)

// StartError says why a scoring script did not come up. Find it with
// errors.AsType[*StartError].
type StartError struct {
	// Phase is where it ended: one of the Phase constants.
	Phase string
	// Script is the entry script's path, empty for a model without one.
	Script string
	// ExitCode is the worker's exit code: 3 when the script failed, -1 when a
	// signal ended the worker or it never ran.
	ExitCode int
	// Exception is the script's exception in one line, empty when the worker
	// ended without one.
	Exception string
	// LastLines are the last lines of the worker's log, the oldest first.
	LastLines []string
	// Class is the azml error class: ErrInvalid for a script's failure,
	// ErrNotFound without an interpreter, ErrUnavailable when time ran out.
	Class error
	// Cause is the error below, nil when there is none.
	Cause error
}

// Error gives one line for the failure and one for each last line of the log.
func (e *StartError) Error() string {
	var b strings.Builder
	what := "scoring script " + e.Script
	if e.Script == "" {
		what = "the model"
	}
	fmt.Fprintf(&b, "%v: %s failed in phase %s", e.Class, what, e.Phase)
	switch {
	case e.Exception != "":
		fmt.Fprintf(&b, ": %s", e.Exception)
	case e.Cause != nil:
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	if e.Phase != PhaseStart {
		fmt.Fprintf(&b, " (exit code %d)", e.ExitCode)
	}
	for _, line := range e.LastLines {
		b.WriteString("\n  | " + line)
	}
	return b.String()
}

// Unwrap gives the class and the cause.
func (e *StartError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Class}
	}
	return []error{e.Class, e.Cause}
}
