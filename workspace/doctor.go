package workspace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// Level says how bad a finding is, in Azure ML's words.
type Level string

// The levels.
const (
	// LevelInformation is of what is as it should be.
	LevelInformation Level = "Information"
	// LevelWarning is of what works and should be looked at.
	LevelWarning Level = "Warning"
	// LevelError is of what does not work.
	LevelError Level = "Error"
)

// Finding is one thing that Doctor has found.
type Finding struct {
	// Check names what was looked at: "conditions", "permissions", "clock",
	// "latency", "secrets", "folders", "protection".
	Check string `json:"check"`
	// Level says how bad it is.
	Level Level `json:"level"`
	// Message says what was found.
	Message string `json:"message"`
	// Fix says what to do about it; empty when there is nothing to do.
	Fix string `json:"fix,omitempty"`
}

// Doctor looks whether the workspace's stores and this machine's folders do what
// a workspace needs, and says what to fix: whether conditions of writes are
// honoured, what the caller may do, how much this machine's clock differs from
// the store's, how long requests take, whether secrets can be kept and folders
// written to, and how deleted objects and secrets are kept. It makes and deletes
// objects whose keys begin with "probe-", and a secret "azml-doctor"; some
// thirty requests. In a key vault that secret's deletion may have to be undone
// first, which can take a minute.
//
// What does not work is a finding and no error. Errors: the context's.
func (w *Workspace) Doctor(ctx context.Context) (_ []Finding, err error) {
	defer w.h.Operation(&ctx, &err, "examine", kind, w.Name())()
	d := &doctor{h: w.h, vault: w.vault, recorded: w.recorded, stored: w.record().Vault}
	for _, check := range []struct {
		name string
		look func(context.Context)
	}{
		{"conditions", d.conditions}, {"permissions", d.permissions}, {"clock", d.clock}, {"latency", d.latency},
		{"secrets", d.secrets}, {"folders", d.folders}, {"protection", d.protection},
	} {
		d.check = check.name
		if check.look(ctx); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return d.findings, nil
}

// doctor gathers findings.
type doctor struct {
	h        core.Handle
	check    string
	findings []Finding

	unwritable bool            // so checks that write would only say so again
	written    []time.Duration // how long writes took
	read       []time.Duration // how long reads took
	skews      []time.Duration // how much the store's clock was ahead, at the least

	vault       string // that was named when the workspace was opened
	recorded    string // that it was opened with because its record alone names it
	stored      string // the one that its record names now
	secretsKept *kept  // what was told while there was a secret
}

func (d *doctor) find(level Level, fix, format string, args ...any) {
	d.findings = append(d.findings, Finding{d.check, level, fmt.Sprintf(format, args...), fix})
}

func (d *doctor) fine(format string, args ...any) { d.find(LevelInformation, "", format, args...) }

// broken finds what a request has failed with.
func (d *doctor) broken(what string, err error) {
	d.find(LevelError, remedy(err), "%s: %v", what, err)
}

// remedies say what to do about an error of a store, by its class.
var remedies = map[error]string{
	azml.ErrDenied: `give the caller the right to: a folder must be writable, a Blob container needs the role "Storage Blob Data Contributor" ` +
		`or a signature with the permissions racwdl, a key vault the role "Key Vault Secrets Officer"`,
	azml.ErrUnavailable: "look at the network, the name of the place, and whether its service is up; then try again",
	azml.ErrUnsupported: "use another store",
	azml.ErrNotFound:    "look whether the folder or container is still there",
	azml.ErrDamaged:     "restore it from a copy; azml workspace fsck lists everything that is damaged",
}

func remedy(err error) string {
	if fix, ok := remedies[azml.ClassOf(err)]; ok {
		return fix
	}
	return "see the message"
}

// conditions tries whether the object store honours the conditions of writes.
func (d *doctor) conditions(ctx context.Context) {
	switch err := probe(ctx, d.h.Objects()); {
	case err == nil:
		d.fine("the object store honours the conditions of writes")
	case errors.Is(err, azml.ErrUnsupported):
		d.find(LevelError, "move the workspace to another store: changes get lost in this one", "%v", err)
	default:
		d.unwritable = true
		d.broken("the conditions of writes could not be tried", err)
	}
}

// kept is how a store keeps what was deleted, as far as it tells.
type kept struct {
	backend.Protection
	err error
}

// keeps asks a store how it keeps what was deleted. It gives nil for one that
// keeps nothing by itself: a folder, whose copies are its owner's to make.
func keeps(ctx context.Context, store any) *kept {
	protector, ok := backend.As[backend.Protector](store)
	if !ok {
		return nil
	}
	p, err := protector.Protection(ctx)
	return &kept{p, err}
}

// protection tells how the stores keep what was deleted.
func (d *doctor) protection(ctx context.Context) {
	d.protectionOf("objects", keeps(ctx, d.h.Objects()), "switch on soft delete for blobs in the storage account's data protection, for a week or more")
	if d.secretsKept == nil {
		d.secretsKept = keeps(ctx, d.h.Secrets())
	}
	d.protectionOf("secrets", d.secretsKept, "switch on soft delete of the key vault")
}

func (d *doctor) protectionOf(what string, k *kept, fix string) {
	switch {
	case k == nil:
	case errors.Is(k.err, azml.ErrUnsupported), errors.Is(k.err, azml.ErrDenied):
		d.fine("whether deleted %s can be had back is not known: %v", what, k.err)
	case k.err != nil:
		d.broken("the protection of "+what, k.err)
	case k.SoftDelete == 0 && k.Versions:
		d.fine("deleted and replaced %s can be had back: they stay as versions", what)
	case k.SoftDelete == 0:
		d.find(LevelWarning, fix, "deleted %s can't be had back, nor can replaced ones", what)
	case k.Versions:
		d.fine("deleted %s can be had back for %d days, and so can replaced ones", what, days(k.SoftDelete))
	default:
		d.fine("deleted %s can be had back for %d days, replaced ones can't", what, days(k.SoftDelete))
	}
}

func days(t time.Duration) int { return int(t.Hours() / 24) }
