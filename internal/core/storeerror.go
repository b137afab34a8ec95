package core

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/azml-go/azml/backend"
)

// StoreError is an error of a workspace's object store. Its text is the store's; who works
// with two workspaces finds by it whose store it was.
type StoreError struct {
	// Workspace is the ID of the workspace.
	Workspace string
	// Cause is the store's error.
	Cause error
}

// Error gives the store's text.
func (e *StoreError) Error() string { return e.Cause.Error() }

// Unwrap gives the store's error.
func (e *StoreError) Unwrap() error { return e.Cause }

// marked makes StoreErrors of a store's errors.
type marked struct {
	backend.Objects
	workspace string
}

// mark marks an error. One of another workspace, from which what is written here was being
// read, stays that one's.
func (m marked) mark(err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // the end of a body as it is
		return err
	}
	if _, ok := errors.AsType[*StoreError](err); ok {
		return err
	}
	return &StoreError{m.workspace, err}
}

// Unwrap gives the store inside, for backend.As.
func (m marked) Unwrap() any { return m.Objects }

// Get implements backend.Objects.
func (m marked) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	object, err := m.Objects.Get(ctx, key, opts)
	if err != nil {
		return nil, m.mark(err)
	}
	if !capable(object.Body) {
		object.Body = markedBody{object.Body, m}
	}
	return object, nil
}

// capable tells a body that can do more than be read, as those of local stores; what goes
// wrong with it names its file.
func capable(body io.Reader) bool {
	_, at := body.(io.ReaderAt)
	_, to := body.(io.WriterTo)
	return at || to
}

// Put implements backend.Objects.
func (m marked) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	info, err := m.Objects.Put(ctx, key, content, opts)
	return info, m.mark(err)
}

// Append implements backend.Objects.
func (m marked) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	info, err := m.Objects.Append(ctx, key, offset, data)
	return info, m.mark(err)
}

// Stat implements backend.Objects.
func (m marked) Stat(ctx context.Context, key string) (backend.Info, error) {
	info, err := m.Objects.Stat(ctx, key)
	return info, m.mark(err)
}

// Delete implements backend.Objects.
func (m marked) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	return m.mark(m.Objects.Delete(ctx, key, opts))
}

// List implements backend.Objects.
func (m marked) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		for info, err := range m.Objects.List(ctx, opts) {
			if !yield(info, m.mark(err)) {
				return
			}
		}
	}
}

// markedBody marks the errors of a body.
type markedBody struct {
	io.ReadCloser
	of marked
}

// Read implements io.Reader.
func (b markedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	return n, b.of.mark(err)
}
