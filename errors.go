package azml

import (
	"errors"
	"strings"
)

// The classes of errors. Every error of this module wraps one of them, beside
// the cause it came from, so that errors.Is(err, azml.ErrNotFound) works with
// every backend and errors.As still finds the backend's own error type.
var (
	// ErrNotFound says that the named thing does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a thing of that name exists already.
	ErrExists = errors.New("already exists")
	// ErrConflict says that somebody else changed the thing since it was read,
	// or that its state forbids the change. Read again and decide.
	ErrConflict = errors.New("conflict")
	// ErrInvalid says that an argument, a name or a file given by the caller is
	// not acceptable. The text names it and says what would be.
	ErrInvalid = errors.New("invalid")
	// ErrDenied says that the caller lacks the right to do this.
	ErrDenied = errors.New("permission denied")
	// ErrUnavailable says that a store or a machine did not answer, or answered
	// that it can't now. It is the only class that is worth a retry.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnsupported says that this backend, platform or version can't do it.
	ErrUnsupported = errors.New("unsupported")
	// ErrClosed says that the object was closed or has reached its end.
	ErrClosed = errors.New("closed")
	// ErrDamaged says that stored bytes fail their checksum or can't be read as
	// what they must be. Nothing is changed on meeting it; `azml workspace fsck`
	// lists every damaged object.
	ErrDamaged = errors.New("damaged")
	// ErrFailed says that what was asked for was carried out and ended badly:
	// a run, a build, a deployment. The text says in which phase and how.
	ErrFailed = errors.New("failed")
	// ErrCanceled says that what was waited for was ended on request.
	ErrCanceled = errors.New("canceled")
)

// Classes lists all error classes, in no particular order. The slice is the
// caller's own.
func Classes() []error {
	return []error{ErrNotFound, ErrExists, ErrConflict, ErrInvalid, ErrDenied,
		ErrUnavailable, ErrUnsupported, ErrClosed, ErrDamaged, ErrFailed, ErrCanceled}
}

// ClassOf gives the class that err wraps, nil when it wraps none.
func ClassOf(err error) error {
	for _, class := range Classes() {
		if errors.Is(err, class) {
			return class
		}
	}
	return nil
}

// Error is an error with the operation and the thing it was about.
// It is returned as a plain error; find it with errors.AsType[*azml.Error].
type Error struct {
	// Op is the verb, such as "get" or "register".
	Op string
	// Kind is the kind of thing, such as "model" or "run".
	Kind string
	// Name is the name or ID of the thing, such as "churn:7". It may be empty.
	Name string
	// Class is one of the classes of this package, or context.Canceled or
	// context.DeadlineExceeded when the caller's context ended; never nil.
	Class error
	// Cause is what happened below, nil when the class says it all.
	Cause error
}

// Error gives the text `get model "churn:7": not found: cause`, which names
// the class once, however often it was wrapped below.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Kind != "" {
		b.WriteString(" " + e.Kind)
	}
	if e.Name != "" {
		b.WriteString(` "` + e.Name + `"`)
	}
	b.WriteString(": ")
	class := e.Class.Error()
	if e.Cause == nil {
		b.WriteString(class)
		return b.String()
	}
	cause := e.Cause.Error()
	if !strings.Contains(cause, class) {
		b.WriteString(class + ": ")
	}
	b.WriteString(cause)
	return b.String()
}

// Unwrap gives the class and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Class}
	}
	return []error{e.Class, e.Cause}
}
