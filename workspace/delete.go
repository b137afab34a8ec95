package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// DeleteOptions are the options of Workspace.Delete.
type DeleteOptions struct {
	// DeleteSecrets deletes every secret of the secret store, too. It is for
	// stores that hold nothing else; those of a local workspace always go. A key
	// vault that the workspace's record alone names must be named by Vault.
	DeleteSecrets bool
	// Vault is the URL of the key vault that the workspace's secrets are in. Nothing
	// is deleted when they are in another one. It may be empty.
	Vault string
	// Kept, when not nil, is called with each thing that stays: the key of an
	// object that is none of a workspace, or "secret " and the name of a secret.
	Kept func(what string)
}

// Delete deletes the workspace with all its objects and the secrets that its
// records name, which are the credentials of datastores and compute targets and the
// keys of endpoints, and closes it. Other objects stay, and so do other secrets, unless opts say
// otherwise. A local workspace goes with all its secrets, and with its folder unless
// other objects are there. There is no way back. The secrets go first, so that a store of
// them that can't be reached leaves a workspace that can be deleted again, and then the
// record, so that no one opens it meanwhile. A delete that is cut off after that
// leaves objects behind, in which neither Open nor Create makes a workspace. Errors:
// ErrInvalid for a key vault that is to be named, or is another one; those of both stores.
func (w *Workspace) Delete(ctx context.Context, opts *DeleteOptions) (err error) {
	defer w.h.Operation(&ctx, &err, "delete", kind, w.Name())()
	if opts == nil {
		opts = &DeleteOptions{}
	}
	if err := w.checkEmptied(opts); err != nil {
		return err
	}
	tell := opts.Kept
	if tell == nil {
		tell = func(string) {}
	}
	dir := w.h.Dir()
	if dir == "" { // those of a folder go with it
		if err := w.deleteSecrets(ctx, opts.DeleteSecrets, tell); err != nil {
			return err
		}
	}
	if err := core.Delete(ctx, w.h, ref(w.Name()), ""); err != nil {
		return err
	}
	kept, err := w.deleteObjects(ctx, tell)
	if err != nil {
		return err
	}
	if err := w.Close(ctx); err != nil || dir == "" {
		return err
	}
	if kept > 0 {
		dir = filepath.Join(dir, secretsDir)
	}
	return os.RemoveAll(dir)
}

// checkEmptied gives an error when the vault is not the one that the caller means:
// who writes to the object store may have put any into the record.
func (w *Workspace) checkEmptied(opts *DeleteOptions) error {
	vault := cmp.Or(w.vault, w.recorded)
	switch {
	case opts.Vault != "" && opts.Vault != vault:
		return fmt.Errorf("%w: the secrets of the workspace are not in the key vault %s but in %s: nothing was deleted", azml.ErrInvalid, opts.Vault, cmp.Or(vault, "its own store"))
	case opts.DeleteSecrets && opts.Vault == "" && w.recorded != "":
		return fmt.Errorf("%w: the record of the workspace alone names the key vault %s, and whoever writes to the workspace may have put it there: if all secrets of that vault are to go, name it by --vault, by ?vault= in the workspace's URL (-w, AZML_WORKSPACE, config.json), or by DeleteOptions.Vault", azml.ErrInvalid, vault)
	}
	return nil
}

// namedSecrets gives the secrets that records name, in small letters. Damaged
// records are passed over.
func (w *Workspace) namedSecrets(ctx context.Context) (map[string]bool, error) {
	names := map[string]bool{}
	for _, prefix := range []string{"datastores/", "compute/", core.EndpointPrefix} {
		for child, err := range w.h.Children(ctx, prefix) {
			if err != nil {
				return nil, err
			}
			if !strings.HasSuffix(child, ".json") {
				continue
			}
			secrets, err := w.secretsIn(ctx, prefix+child)
			if err != nil {
				return nil, err
			}
			for _, secret := range secrets {
				names[strings.ToLower(secret)] = true
			}
		}
	}
	return names, nil
}

// secretsIn gives the names of secrets in the record of a datastore, a compute target
// or an endpoint.
func (w *Workspace) secretsIn(ctx context.Context, key string) (names []string, err error) {
	switch {
	case strings.HasPrefix(key, core.EndpointPrefix):
		var stored core.Stored[record.Endpoint]
		stored, err = core.Get[record.Endpoint](ctx, w.h, key)
		names = []string{stored.Value.KeySecret("primary"), stored.Value.KeySecret("secondary")}
	case strings.HasPrefix(key, "compute/"):
		var stored core.Stored[record.Compute]
		stored, err = core.Get[record.Compute](ctx, w.h, key)
		names = []string{stored.Value.Secret}
	default:
		var stored core.Stored[record.Datastore]
		stored, err = core.Get[record.Datastore](ctx, w.h, key)
		names = []string{stored.Value.Secret}
	}
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrDamaged) || errors.Is(err, azml.ErrUnsupported) {
		return nil, nil
	}
	return names, err
}

// deleteObjects deletes the workspace's objects and gives how many others there
// are.
func (w *Workspace) deleteObjects(ctx context.Context, tell func(what string)) (kept int, err error) {
	for info, err := range w.h.Objects().List(ctx, &backend.ListOptions{}) {
		if err != nil {
			return kept, err
		}
		if !other(info.Key) && shapeOf(info.Key) == nil {
			kept++
			tell(info.Key)
			continue
		}
		if err := w.h.Objects().Delete(ctx, info.Key, &backend.DeleteOptions{}); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return kept, err
		}
	}
	return kept, nil
}

// deleteSecrets deletes the secrets that records name, or all, and tells of the others. It
// begins when nothing is in the way of deleting the workspace after them.
func (w *Workspace) deleteSecrets(ctx context.Context, all bool, tell func(what string)) error {
	going, kept, err := w.doomedSecrets(ctx, all)
	if err == nil && len(going) > 0 {
		err = probe(ctx, w.h.Objects())
	}
	if err != nil {
		return fmt.Errorf("nothing was deleted: %w", err)
	}
	for _, name := range going {
		if err := w.h.Secrets().Delete(ctx, name); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return fmt.Errorf("the workspace is there, and some of its secrets may not be: delete it again: %w", err)
		}
	}
	for _, name := range kept {
		tell("secret " + name)
	}
	return nil
}

// doomedSecrets gives the secrets that are to go and those that stay.
func (w *Workspace) doomedSecrets(ctx context.Context, all bool) (going, kept []string, err error) {
	named, err := w.namedSecrets(ctx)
	if err != nil {
		return nil, nil, err
	}
	for name, err := range w.h.Secrets().List(ctx) {
		switch {
		case errors.Is(err, azml.ErrUnsupported): // a workspace without a secret store
			return nil, nil, nil
		case err != nil:
			return nil, nil, w.withoutVault(err)
		case all || named[strings.ToLower(name)]:
			going = append(going, name)
		default:
			kept = append(kept, name)
		}
	}
	return going, kept, nil
}

// withoutVault says of an error of the key vault what to do when there is no such vault any
// more.
func (w *Workspace) withoutVault(err error) error {
	if cmp.Or(w.vault, w.recorded) == "" {
		return err
	}
	return fmt.Errorf("%w (if the vault is gone for good: azml workspace update --vault \"\", and leave ?vault= out of the URL)", err)
}
