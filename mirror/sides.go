package mirror

import (
	"cmp"
	"errors"

	"github.com/azml-go/azml/internal/core"
)

// sideError is an error that says which of the two workspaces it is about.
type sideError struct {
	side  string
	where string
	cause error
}

// Error implements error.
func (e *sideError) Error() string { return "the " + e.side + ", " + e.where + ": " + e.cause.Error() }

// Unwrap gives the cause.
func (e *sideError) Unwrap() error { return e.cause }

// ofSource makes an error one of the source.
func (s *syncer) ofSource(err error) error { return sided("source", s.src, err) }

// ofDestination makes an error one of the destination.
func (s *syncer) ofDestination(err error) error { return sided("destination", s.dst, err) }

// ofSide makes an error of a store one of the workspace that the store is of.
func (s *syncer) ofSide(err error) error {
	of, ok := errors.AsType[*core.StoreError](err)
	switch {
	case !ok:
		return err
	case of.Workspace == s.src.Workspace().ID:
		return s.ofSource(err)
	}
	return s.ofDestination(err)
}

// sided says which side an error is about, unless it says so already.
func sided(side string, h core.Handle, err error) error {
	if _, ok := errors.AsType[*sideError](err); ok || err == nil {
		return err
	}
	return &sideError{side, cmp.Or(h.Location(), "workspace "+h.Workspace().Name), err}
}
