package datastore

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/prefixed"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// OwnName is the name of the workspace's own datastore, Azure ML's. It is
// always there, has no record and is deleted with the workspace.
const OwnName = "workspaceblobstore"

const (
	// ownDir is the folder of the own datastore in a local workspace. The store
	// of the workspace's objects, which escapes capitals, has no key for it.
	ownDir = "Datastore"
	// ownPrefix begins its keys in the store of any other workspace.
	ownPrefix = backend.FilesPrefix
)

// reserved tells whether Azure ML keeps the name for a datastore of its own.
func reserved(name string) bool {
	return slices.Contains([]string{OwnName, "workspacefilestore", "workspaceartifactstore", "workspaceworkingdirectory"}, strings.ToLower(name))
}

// own gives the workspace's own datastore.
func own(h core.Handle) *Datastore {
	r := record.Datastore{Name: OwnName, Type: TypeWorkspace, Description: "the workspace's own"}
	if dir := h.Dir(); dir != "" {
		r.Type, r.Connection = TypeFolder, map[string]string{"path": filepath.Join(dir, ownDir)}
	}
	return &Datastore{h: h, record: r}
}

// workspaceFiles are the files of a datastore in the workspace's own store.
type workspaceFiles struct{ backend.Objects }

// openOwn opens the datastore of a workspace that is in no local folder.
func openOwn(h core.Handle) backend.Datastore {
	return workspaceFiles{prefixed.New(h.Objects(), ownPrefix)}
}

// Check implements backend.Datastore.
func (f workspaceFiles) Check(ctx context.Context) error {
	for _, err := range f.List(ctx, &backend.ListOptions{}) {
		return err
	}
	return nil
}

// Unwrap gives the store, for backend.As.
func (f workspaceFiles) Unwrap() any { return f.Objects }

// Close implements io.Closer; the store is the workspace's.
func (workspaceFiles) Close() error { return nil }

// DefaultOptions are the options of Client.Default. There are none yet.
type DefaultOptions struct{}

// Default gives the datastore that is used where none is named. Errors:
// ErrNotFound when it was unregistered.
func (c *Client) Default(ctx context.Context, _ *DefaultOptions) (_ *Datastore, err error) {
	defer c.h.Operation(&ctx, &err, "get default", kind, "")()
	name, err := c.defaultName(ctx)
	if err != nil {
		return nil, err
	}
	return c.Get(ctx, name, nil)
}

// defaultName gives the name of the default datastore.
func (c *Client) defaultName(ctx context.Context) (string, error) {
	stored, err := core.Get[record.Workspace](ctx, c.h, workspaceKey)
	if err != nil {
		return "", err
	}
	if name := stored.Value.DefaultDatastore; name != "" {
		return name, nil
	}
	return OwnName, nil
}

// workspaceKey is the key of the workspace's record.
const workspaceKey = "workspace.json"

// SetDefaultOptions are the options of Client.SetDefault. There are none yet.
type SetDefaultOptions struct{}

// SetDefault makes the datastore the default for all who use the workspace.
// Errors: ErrNotFound, ErrInvalid.
func (c *Client) SetDefault(ctx context.Context, name string, _ *SetDefaultOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "set default", kind, name)()
	if _, err := c.Get(ctx, name, nil); err != nil {
		return err
	}
	stored := name
	if name == OwnName {
		stored = ""
	}
	ref := core.Ref{Kind: "workspace", Name: c.h.Workspace().Name, Key: workspaceKey}
	_, err = core.Update(ctx, c.h, ref, core.Updated(fmt.Sprintf("default datastore %s", name)), func(r *record.Workspace) error {
		if r.DefaultDatastore == stored {
			return core.ErrNoChange
		}
		r.DefaultDatastore = stored
		return nil
	})
	return err
}
