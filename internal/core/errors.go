package core

import (
	"context"
	"errors"
	"io/fs"

	"github.com/azml-go/azml"
)

// Operation begins a public operation on the thing: *ctx gets the operation's
// span. The function that it gives ends the span and turns *err as Wrap does.
// Public methods with a context defer it once:
//
//	defer h.Operation(&ctx, &err, "get", "model", id)()
func (h Handle) Operation(ctx *context.Context, err *error, op, kind, name string) func() {
	traced, end := h.Telemetry().Start(*ctx, op, kind, name)
	*ctx = traced
	return func() {
		Wrap(err, op, kind, name)
		end(*err)
	}
}

// Wrap turns *err, when not nil, into an *azml.Error with the operation and
// the thing it was about. It is for operations that begin no span: lists, and
// what has no context. An error that says as much already is left alone.
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
