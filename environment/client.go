package environment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

const (
	kind   = "environment"
	prefix = "environments/"
)

// Client registers and finds environments of a workspace. It is safe for
// concurrent use.
type Client struct{ h core.Handle }

// RegisterOptions are the options of Client.Register; there are none so far.
type RegisterOptions struct{}

// GetOptions are the options of Client.Get; there are none so far.
type GetOptions struct{}

// ListOptions are the options of Client.List.
type ListOptions struct {
	// Name keeps the versions of one environment only.
	Name string
	// Latest keeps only the latest version of each name.
	Latest bool
}

// Register stores the spec as a version of its name and gives it back. When
// the latest version has the same content, that one is given and nothing is
// stored; a spec with a Version makes exactly that version. A build context is stored
// first. Errors: ErrInvalid; ErrConflict when the version asked for is there with other
// content, or the folder of a build context was changed since it was read.
func (c *Client) Register(ctx context.Context, spec Spec, _ *RegisterOptions) (_ *Environment, err error) {
	if spec.Name == "" {
		spec.Name = DefaultName
	}
	defer c.h.Operation(&ctx, &err, "register", kind, spec.Name)()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	env, err := c.keep(ctx, spec)
	if err != nil {
		return nil, err
	}
	if spec.Version != "" {
		return c.registerVersion(ctx, env)
	}
	return c.registerNext(ctx, env)
}

func (c *Client) registerVersion(ctx context.Context, env record.Environment) (*Environment, error) {
	stored, err := core.Create(ctx, c.h, ref(env.Name, env.Version), env)
	if errors.Is(err, azml.ErrExists) {
		there, err := core.Get[record.Environment](ctx, c.h, ref(env.Name, env.Version).Key)
		if err != nil {
			return nil, err
		}
		if !SameContent(there.Value, env) {
			return nil, fmt.Errorf("%w: version %q is registered with other content: choose another version or none", azml.ErrConflict, env.Version)
		}
		return &Environment{there.Value}, nil
	}
	if err != nil {
		return nil, err
	}
	return &Environment{stored.Value}, nil
}

// registerNext takes the next integer; whoever is faster takes it away and may
// have registered the same content.
func (c *Client) registerNext(ctx context.Context, env record.Environment) (*Environment, error) {
	for {
		versions, err := c.versions(ctx, env.Name)
		if err != nil {
			return nil, err
		}
		next := 1
		if len(versions) > 0 {
			latest, err := c.Get(ctx, env.Name, versions[0], nil)
			if err != nil {
				return nil, err
			}
			if SameContent(latest.record, env) {
				return latest, nil
			}
			next = highest(versions) + 1
		}
		env.Version = strconv.Itoa(next)
		stored, err := core.Create(ctx, c.h, ref(env.Name, env.Version), env)
		if err == nil {
			return &Environment{stored.Value}, nil
		}
		if !errors.Is(err, azml.ErrExists) {
			return nil, err
		}
	}
}

// versions gives the versions of a name, the latest first: integers from the
// highest down, then others in reverse byte order.
func (c *Client) versions(ctx context.Context, name string) ([]string, error) {
	var versions []string
	for key, err := range c.h.Children(ctx, prefix+name+"/") {
		if err != nil {
			return nil, err
		}
		if version, ok := strings.CutSuffix(key, ".json"); ok {
			versions = append(versions, version)
		}
	}
	slices.SortFunc(versions, func(a, b string) int {
		return cmp.Or(cmp.Compare(number(b), number(a)), cmp.Compare(b, a))
	})
	return versions, nil
}

// number gives the integer that a version is, 0 when it is none or one so
// large that nobody counted up to it.
func number(version string) int {
	n, err := strconv.ParseUint(version, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

func highest(versions []string) int { return number(versions[0]) }

// Get finds a version of the environment, the latest when version is empty:
// the highest integer, or else the last in byte order. Errors: ErrNotFound,
// ErrInvalid.
func (c *Client) Get(ctx context.Context, name, version string, _ *GetOptions) (_ *Environment, err error) {
	defer c.h.Operation(&ctx, &err, "get", kind, ref(name, version).Name)()
	if err := core.EnvironmentName.Check(name); err != nil {
		return nil, err
	}
	if version == "" {
		versions, err := c.versions(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(versions) == 0 {
			return nil, fmt.Errorf("%w: no version of it is registered", azml.ErrNotFound)
		}
		version = versions[0]
	}
	if err := core.EnvironmentVersion.Check(version); err != nil {
		return nil, err
	}
	stored, err := core.Get[record.Environment](ctx, c.h, ref(name, version).Key)
	if err != nil {
		return nil, err
	}
	return &Environment{stored.Value}, nil
}

// List yields environments by name, the versions of each from the latest to
// the oldest.
func (c *Client) List(ctx context.Context, opts *ListOptions) iter.Seq2[*Environment, error] {
	if opts == nil {
		opts = &ListOptions{}
	}
	return func(yield func(*Environment, error) bool) {
		fail := func(err error) {
			core.Wrap(&err, "list", kind, opts.Name)
			yield(nil, err)
		}
		for name, err := range c.names(ctx, opts.Name) {
			if err != nil {
				fail(err)
				return
			}
			versions, err := c.versions(ctx, name)
			if err != nil {
				fail(err)
				return
			}
			for i, version := range versions {
				if i > 0 && opts.Latest {
					break
				}
				e, err := c.Get(ctx, name, version, nil)
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

func (c *Client) names(ctx context.Context, only string) iter.Seq2[string, error] {
	if only == "" {
		return c.h.Children(ctx, prefix)
	}
	return func(yield func(string, error) bool) { yield(only, core.EnvironmentName.Check(only)) }
}

func ref(name, version string) core.Ref {
	id := name
	if version != "" {
		id += ":" + version
	}
	return core.Ref{Kind: kind, Name: id, Key: prefix + name + "/" + version + ".json"}
}
