package agent

import "github.com/azml-go/azml/internal/record"

// The codes of a run's error.
const (
	userError   = "UserError"
	systemError = "SystemError"
)

// failure is an error with what goes into the run's record.
type failure struct {
	record.RunError
	cause error
}

// Error implements error.
func (f *failure) Error() string { return f.Message }

// Unwrap gives the cause.
func (f *failure) Unwrap() error { return f.cause }

// systemError makes a failure of what is not the script's fault.
func (d *drive) systemError(err error) *failure {
	return &failure{record.RunError{Code: systemError, Message: err.Error(), Phase: string(d.status)}, err}
}
