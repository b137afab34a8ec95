package core

import (
	"context"
	"errors"
	"io/fs"

	"github.com/azml-go/azml"
)

// Wrap turns *err, when not nil, into an *azml.Error with the operation and
// the thing it was about. Public methods defer it once:
//
//	defer core.Wrap(&err, "get", "model", id)
//
// An error that says as much already is left alone.
func Wrap(err *error, op, kind, name string) {
	if *err == nil {
		return
	}
	if e, ok := (*err).(*azml.Error); ok && e.Kind == kind && e.Name == name { //nolint:errorlint // only the outermost counts
		return
	}
	*err = &azml.Error{Op: op, Kind: kind, Name: name, Class: classify(*err), Cause: *err}
}

// classify gives err's class; errors of the file system and of contexts, which
// bring their own, get the class that fits.
func classify(err error) error {
	if class := azml.ClassOf(err); class != nil {
		return class
	}
	for _, c := range []struct{ is, class error }{
		{context.Canceled, context.Canceled},
		{context.DeadlineExceeded, context.DeadlineExceeded},
		{fs.ErrNotExist, azml.ErrNotFound},
		{fs.ErrExist, azml.ErrExists},
		{fs.ErrPermission, azml.ErrDenied},
	} {
		if errors.Is(err, c.is) {
			return c.class
		}
	}
	return azml.ErrUnavailable
}
