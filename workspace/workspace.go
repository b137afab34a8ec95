package workspace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/token"
)

// Workspace is an opened workspace. It is safe for concurrent use.
type Workspace struct {
	h        core.Handle
	driver   *process.Driver
	location string // a folder or a URL
	vault    string // that was named when it was opened
	recorded string // the vault that it was opened with because its record names it
	close    func() error

	mu     sync.Mutex
	stored core.Stored[record.Workspace]
}

func (w *Workspace) record() record.Workspace {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stored.Value
}

// VaultSource says who named a workspace's key vault.
type VaultSource string

// The sources.
const (
	// VaultSourceCaller is of a vault that who opened the workspace named.
	VaultSourceCaller VaultSource = "caller"
	// VaultSourceRecord is of a vault that the record alone names, which anybody
	// may have written who writes to the object store.
	VaultSourceRecord VaultSource = "record"
)

// Details is what the workspace's record says, and how it was opened.
type Details struct {
	// ID is a UUID.
	ID string `json:"id"`
	// Name is the workspace's name.
	Name string `json:"name"`
	// FriendlyName is a name for people, of any form.
	FriendlyName string `json:"friendlyName,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Location is the folder of a local workspace, else Config.Location.
	Location string `json:"location,omitempty"`
	// Vault is the URL of the key vault with its secrets, where it is known.
	Vault string `json:"vault,omitempty"`
	// VaultSource says who named it.
	VaultSource VaultSource `json:"vaultSource,omitempty"`
	// CacheDir is the folder of this machine for what can be made again.
	CacheDir string `json:"cacheDir"`
	// Created is when it was created.
	Created time.Time `json:"creationTime"`
	// CreatedBy is who created it, as user@host.
	CreatedBy string `json:"createdBy"`
}

// Name gives the workspace's name.
func (w *Workspace) Name() string { return w.record().Name }

// ID gives the workspace's ID, a UUID.
func (w *Workspace) ID() string { return w.record().ID }

// Details gives a copy of the record as it was when the workspace was opened
// or last updated through this object.
func (w *Workspace) Details() Details {
	r := w.record()
	vault, source := w.vaultOf(r)
	return Details{ID: r.ID, Name: r.Name, FriendlyName: r.FriendlyName, Description: r.Description, Tags: maps.Clone(r.Tags),
		Location: w.location, Vault: vault, VaultSource: source, CacheDir: w.h.CacheDir(), Created: r.Created, CreatedBy: r.CreatedBy}
}

// vaultOf gives the vault of the workspace with the record, and who named it.
func (w *Workspace) vaultOf(r record.Workspace) (string, VaultSource) {
	switch {
	case w.vault != "" && (r.Vault == "" || r.Vault == w.vault):
		return w.vault, VaultSourceCaller
	case r.Vault != "":
		return r.Vault, VaultSourceRecord
	}
	return "", ""
}

// Experiments leads to the experiments.
func (w *Workspace) Experiments() *experiment.Client { return experiment.NewClient(w.h) }

// Runs leads to the runs of all experiments.
func (w *Workspace) Runs() *run.Client { return run.NewClient(w.h) }

// Models leads to the model registry.
func (w *Workspace) Models() *model.Client { return model.NewClient(w.h) }

// Environments leads to the environments.
func (w *Workspace) Environments() *environment.Client { return environment.NewClient(w.h) }

// Compute leads to the compute targets.
func (w *Workspace) Compute() *compute.Client { return compute.NewClient(w.h) }

// Endpoints leads to the endpoints.
func (w *Workspace) Endpoints() *endpoint.Client { return endpoint.NewClient(w.h) }

// Datastores leads to the places where data lies.
func (w *Workspace) Datastores() *datastore.Client { return datastore.NewClient(w.h) }

// Datasets leads to references to data, versioned.
func (w *Workspace) Datasets() *dataset.Client { return dataset.NewClient(w.h) }

// Tokens leads to the access tokens of the workspace's servers.
func (w *Workspace) Tokens() *token.Client { return token.NewClient(w.h) }

// Update says what to change about the workspace; zero fields leave things as
// they are.
type Update struct {
	// FriendlyName replaces the friendly name, unless it is nil.
	FriendlyName *string
	// Description replaces the description, unless it is nil.
	Description *string
	// SetTags adds tags or replaces their values.
	SetTags map[string]string
	// RemoveTags removes tags; missing ones are passed over.
	RemoveTags []string
	// Vault replaces the URL of the key vault with the workspace's secrets, unless
	// it is nil; an empty one leaves it to who opens the workspace. It counts from
	// the next time that the workspace is opened. Secrets are not moved.
	Vault *string
}

// Update changes the workspace's record and gives the changed details. Errors:
// ErrInvalid; ErrUnsupported for the vault of a local workspace, whose secrets
// are in its folder.
func (w *Workspace) Update(ctx context.Context, change Update) (_ Details, err error) {
	defer w.h.Operation(&ctx, &err, "update", kind, w.Name())()
	if err := w.checkVault(change.Vault); err != nil {
		return Details{}, err
	}
	stored, err := core.Update(ctx, w.h, ref(w.Name()), core.Updated("names, description, tags or key vault"), func(r *record.Workspace) error {
		if change.FriendlyName != nil {
			r.FriendlyName = *change.FriendlyName
		}
		if change.Description != nil {
			r.Description = *change.Description
		}
		if change.Vault != nil {
			r.Vault = *change.Vault
		}
		r.Tags = core.ChangeLabels(r.Tags, change.SetTags, change.RemoveTags)
		if err := core.CheckText("friendly name", r.FriendlyName); err != nil {
			return err
		}
		if err := core.CheckText("description", r.Description); err != nil {
			return err
		}
		return core.CheckLabels("tags", r.Tags)
	})
	if err != nil {
		return Details{}, err
	}
	w.mu.Lock()
	w.stored = stored
	w.mu.Unlock()
	return w.Details(), nil
}

// checkVault gives an error for what can't be the vault of the workspace.
func (w *Workspace) checkVault(vault *string) error {
	if vault == nil {
		return nil
	}
	if w.h.Dir() != "" {
		return fmt.Errorf("%w: the secrets of a local workspace are in its folder, not in a key vault", azml.ErrUnsupported)
	}
	if u, err := url.Parse(*vault); *vault != "" && (err != nil || u.Host == "" || *vault != "https://"+strings.ToLower(u.Host)) {
		return fmt.Errorf("%w: not the URL of a key vault: give one such as https://contoso.vault.azure.net, in small letters and without a path, a query or a user", azml.ErrInvalid)
	}
	return nil
}

// Close ends the use of the workspace by this process. It waits until
// submitted runs have ended, or ctx has: then it cancels them. Runs that are
// logged in process and not yet completed fail, and endpoints that this
// process serves stop.
func (w *Workspace) Close(ctx context.Context) (err error) {
	defer w.h.Operation(&ctx, &err, "close", kind, w.Name())()
	return errors.Join(w.h.Close(ctx), w.driver.Close(), w.close())
}
