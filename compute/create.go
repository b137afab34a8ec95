package compute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Config says what kind of target to create and where it is. Local is the one kind
// of this package that needs no driver; drivers from elsewhere bring their own.
type Config interface {
	// Source gives what the driver of the kind opens. Errors: ErrInvalid.
	Source() (backend.ComputeSource, error)
}

// Local configures a target that is this machine under a name of its own, for
// example to tell in a run's record whose workstation it ran on.
type Local struct{}

// Source implements Config.
func (Local) Source() (backend.ComputeSource, error) {
	return backend.ComputeSource{Type: string(TypeLocal)}, nil
}

// CreateOptions are the options of Client.Create.
type CreateOptions struct {
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels.
	Tags map[string]string
	// SkipValidation stores the target without connecting to it.
	SkipValidation bool
	// Log gets what is said while a compute instance is made, line by line; nil
	// discards it.
	Log io.Writer
}

// Create stores how to reach a target under a name of 2 to 16 letters, digits or
// "-", the first a letter. It first connects, and stores nothing when that fails.
// Credentials go to the secret store and nowhere else. A compute instance is made
// then and started; one that could not be stays as its record, with the reason, for
// Target.Start to try again or Delete. Errors: ErrExists;
// ErrInvalid for other names and for "local", "amlcompute" and
// "containerinstance", which are reserved; ErrUnavailable and ErrDenied of the
// connection; ErrUnsupported when the workspace was opened without the driver of
// the kind.
func (c *Client) Create(ctx context.Context, name string, config Config, opts *CreateOptions) (_ *Target, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, name)()
	if opts == nil {
		opts = &CreateOptions{}
	}
	source, err := prepare(name, config, opts)
	if err != nil {
		return nil, err
	}
	if _, err := c.h.Objects().Stat(ctx, ref(name).Key); err == nil {
		return nil, errTaken
	} else if !errors.Is(err, azml.ErrNotFound) {
		return nil, err
	}
	members, err := c.members(ctx, config)
	if err != nil {
		return nil, err
	}
	instance, err := c.try(ctx, source, opts.SkipValidation)
	if err != nil {
		return nil, err
	}
	r := record.Compute{Name: name, Type: source.Type, Attached: members == nil, Cluster: members, State: string(StateSucceeded),
		Description: opts.Description, Tags: opts.Tags, Connection: source.Connection}
	if !instance {
		return c.store(ctx, r, source.Credentials)
	}
	r.Attached, r.State = false, string(StateCreating)
	t, err := c.store(ctx, r, source.Credentials)
	if err != nil {
		return nil, err
	}
	if err := t.operate(ctx, OperationCreate, func(i backend.Instance) error { return t.start(ctx, i, &StartOptions{Log: opts.Log}) }); err != nil {
		return nil, err
	}
	return c.Get(ctx, name, nil)
}

var errTaken = fmt.Errorf("%w: choose another name, or delete the target first", azml.ErrExists)

// prepare checks what can be checked without connecting.
func prepare(name string, config Config, opts *CreateOptions) (backend.ComputeSource, error) {
	var none backend.ComputeSource
	if slices.Contains(reserved, strings.ToLower(name)) {
		return none, fmt.Errorf("%w: the name %q is reserved, choose another", azml.ErrInvalid, name)
	}
	if err := core.ComputeName.Check(name); err != nil {
		return none, err
	}
	if config == nil {
		return none, fmt.Errorf("%w: no configuration was given, use compute.Local{} or another", azml.ErrInvalid)
	}
	if err := core.CheckLabels("tags", opts.Tags); err != nil {
		return none, err
	}
	if err := core.CheckText("description", opts.Description); err != nil {
		return none, err
	}
	return config.Source()
}

// members gives what a cluster consists of, and nil for other targets. Its targets
// must be attached; that they answer is the scheduler's business, for they may be
// off.
func (c *Client) members(ctx context.Context, config Config) (*record.Cluster, error) {
	cluster, ok := config.(Cluster)
	if !ok {
		return nil, nil
	}
	r, err := cluster.record()
	if err != nil {
		return nil, err
	}
	for _, m := range r.Members {
		target, err := c.Get(ctx, m.Target, nil)
		if err != nil {
			return nil, err
		}
		if t := target.Type(); t == TypeLocal || t == TypeCluster {
			return nil, fmt.Errorf("%w: member %s is of type %s: nodes are targets that agents run on", azml.ErrInvalid, m.Target, t)
		}
	}
	return r, nil
}

// try opens the target, and connects to it unless that is not wanted. It tells
// whether it is an instance, of which there is only the engine so far.
func (c *Client) try(ctx context.Context, source backend.ComputeSource, skip bool) (instance bool, err error) {
	if source.Type == string(TypeLocal) || source.Type == string(TypeCluster) {
		return false, nil
	}
	opened, err := openSource(ctx, c.h, source)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	i, instance := backend.As[backend.Instance](opened)
	switch {
	case skip:
	case instance:
		_, err = i.InstanceStatus(ctx)
	default:
		err = rehearsed(ctx, opened)
	}
	return instance, err
}

// store writes the credentials and then the record that names them.
func (c *Client) store(ctx context.Context, r record.Compute, credentials backend.Credentials) (_ *Target, err error) {
	if r.Secret, err = core.KeepCredentials(ctx, c.h, SecretPrefix, credentials); err != nil {
		return nil, err
	}
	stored, err := core.Create(ctx, c.h, ref(r.Name), r)
	if err == nil {
		return &Target{c.h, stored.Value}, nil
	}
	if errors.Is(err, azml.ErrExists) {
		err = errTaken
	}
	if !errors.Is(err, azml.ErrUnavailable) { // else it may have been stored
		err = errors.Join(err, core.DropCredentials(ctx, c.h, r.Secret))
	}
	return nil, err
}

// SecretPrefix begins the names of the secrets that hold credentials.
const SecretPrefix = "compute-"
