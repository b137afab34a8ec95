package compute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// CheckOptions are the options of Target.Check.
type CheckOptions struct {
	// Try also starts, on another target than this machine, a job that does nothing, in the target's own image where it has
	// images, and waits for its end: so it is found that an image can't be pulled, that a
	// pod is not admitted, or that there is no room, for which ctx bounds the wait.
	Try bool
}

// Check connects to the target and tells whether it can take runs now. Of a cluster it
// connects to all members but those that are off and have a command that starts them,
// and waits for a sign of life of its scheduler, which comes every few seconds, for ten
// at most. Errors: ErrConflict for a cluster that is stopped or being deleted,
// ErrUnavailable, ErrDenied, ErrUnsupported, with what to do about it; with Try also
// ErrFailed and ErrNotFound, and when ctx ends its error, with what the job waited for.
func (t *Target) Check(ctx context.Context, opts *CheckOptions) (err error) {
	defer t.h.Operation(&ctx, &err, "check", kind, t.Name())()
	if opts == nil {
		opts = &CheckOptions{}
	}
	if t.Type() == TypeLocal {
		return t.h.Local().Check(ctx)
	}
	if t.record.Cluster != nil {
		return t.checkCluster(ctx, opts)
	}
	opened, err := Open(ctx, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if err := rehearsed(ctx, opened); err != nil || !opts.Try {
		return err
	}
	return try(ctx, opened)
}

// rehearsed checks a target, and whether it would take a job where it can tell that.
func rehearsed(ctx context.Context, target backend.Compute) error {
	if err := target.Check(ctx); err != nil {
		return err
	}
	if r, can := backend.As[backend.Rehearser](target); can {
		return r.Rehearse(ctx)
	}
	return nil
}

// openSource opens a target by the driver of its type. Errors: ErrUnsupported.
func openSource(ctx context.Context, h core.Handle, source backend.ComputeSource) (backend.OpenedCompute, error) {
	driver := h.ComputeDriver(source.Type)
	if driver == nil {
		return nil, fmt.Errorf("%w: this program has no driver for compute targets of type %s: give it to the workspace when it is opened (backend/%s, Computes of workspace.OpenOptions)",
			azml.ErrUnsupported, source.Type, strings.ToLower(source.Type))
	}
	source.CacheDir, source.Logger = h.CacheDir(), h.Logger()
	source.Program = func(ctx context.Context, on backend.Platform) (string, error) { return Program(ctx, h, on) }
	source.Agent = func(ctx context.Context, on backend.Platform) (string, error) { return Agent(ctx, h, on) }
	source.Unpacker = func(ctx context.Context, on backend.Platform) (string, error) { return unpacker(ctx, h, on) }
	return driver.Open(ctx, source)
}

// source gives what the driver opens, with the credentials.
func (t *Target) source(ctx context.Context) (backend.ComputeSource, error) {
	source := backend.ComputeSource{Type: t.record.Type, Connection: t.record.Connection}
	if t.record.Secret == "" {
		return source, nil
	}
	text, err := t.h.Secrets().Get(ctx, t.record.Secret)
	if errors.Is(err, azml.ErrNotFound) {
		return source, fmt.Errorf("%w: the credentials of the compute target %s are gone: attach it anew", azml.ErrNotFound, t.Name())
	}
	if err != nil {
		return source, err
	}
	if json.Unmarshal([]byte(text), &source.Credentials) != nil { // its error would quote the secret
		return source, fmt.Errorf("%w: the credentials in the secret %s can't be read: attach the target anew", azml.ErrDamaged, t.record.Secret)
	}
	return source, nil
}
