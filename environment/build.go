package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/image"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
)

// Form is what an environment is made into.
type Form string

// The forms of environments.
const (
	// FormInterpreter is an interpreter as it is, with nothing installed.
	FormInterpreter Form = "Interpreter"
	// FormFolder is a virtual or conda environment in a folder of this machine.
	FormFolder Form = "Folder"
	// FormImage is a container image.
	FormImage Form = "Image"
)

// Built is an environment as it is on a machine.
type Built struct {
	// Form is what it is.
	Form Form `json:"form"`
	// Hash is the content hash; of an image, that of what it begins with, too.
	Hash string `json:"hash"`
	// Place is the path of the interpreter, the environment's folder, or the
	// name of the image.
	Place string `json:"place"`
	// Reused tells that it was there already.
	Reused bool `json:"reused"`
	// Size is in bytes, 0 where it was not measured. That of an image is with all
	// that it shares with others.
	Size int64 `json:"size,omitempty"`
	// Created is when it was made, zero for an interpreter.
	Created time.Time `json:"createdOn,omitzero"`
	// LastUsed is when it was given out last, zero for an interpreter.
	LastUsed time.Time `json:"lastUsedOn,omitzero"`
}

// BuildOptions are the options of Client.Build.
type BuildOptions struct {
	// Images makes it an image there; nil makes it a folder of this machine.
	Images backend.Images
	// Log gets what is done and the tools' output, line by line, without secrets;
	// nil discards it.
	Log io.Writer
}

// Build makes the environment as runs use it, unless one of the same content is
// there. A spec that is a reference is looked up; nothing is registered, but a build
// context is stored until garbage collection finds it unused. Of those
// who build the same at the same time, in any process of this machine, one does
// and the others wait. What fails or is cut off leaves nothing. Errors: ErrNotFound
// and ErrInvalid; ErrUnavailable when an index, a channel or the disk was the
// reason.
func (c *Client) Build(ctx context.Context, spec Spec, opts *BuildOptions) (_ Built, err error) {
	defer c.h.Operation(&ctx, &err, "build", kind, spec.Name)()
	if opts == nil {
		opts = &BuildOptions{}
	}
	log := opts.Log
	if log == nil {
		log = io.Discard
	}
	env, err := c.resolve(ctx, spec)
	if err != nil {
		return Built{}, err
	}
	if opts.Images != nil {
		if !spec.IsReference() {
			if env, err = c.keep(ctx, spec); err != nil {
				return Built{}, err
			}
		}
		made, err := image.Build(ctx, opts.Images, env, c.h.Files(), log)
		return ofImage(made), err
	}
	if err := refuseImage(env); err != nil {
		return Built{}, err
	}
	made, err := pyenv.Build(ctx, pyenv.Spec(env.Python), &pyenv.BuildOptions{CacheDir: c.h.CacheDir(), Log: log})
	if err != nil {
		return Built{}, err
	}
	if made.Dir == "" {
		return Built{Form: FormInterpreter, Hash: made.Hash, Place: made.Python, Reused: true}, nil
	}
	now := time.Now()
	return Built{Form: FormFolder, Hash: made.Hash, Place: made.Dir, Reused: made.Reused, Created: now, LastUsed: now}, nil
}

// resolve gives the record of a reference, or what one of the spec would say.
func (c *Client) resolve(ctx context.Context, spec Spec) (record.Environment, error) {
	if !spec.IsReference() {
		return spec.record(), spec.Validate()
	}
	e, err := c.Get(ctx, spec.Name, spec.Version, nil)
	if err != nil {
		return record.Environment{}, err
	}
	return e.record, nil
}

func refuseImage(env record.Environment) error {
	if env.Docker == (record.Docker{}) {
		return nil
	}
	return fmt.Errorf("%w: the environment begins with an image, and this machine runs no containers: name a compute target that does", azml.ErrUnsupported)
}

func ofImage(i backend.Image) Built {
	return Built{Form: FormImage, Hash: i.Hash, Place: i.Name, Reused: i.Reused, Size: i.Size, Created: i.Created, LastUsed: i.LastUsed}
}

// ExplainOptions are the options of Client.Explain.
type ExplainOptions struct {
	// Images is as in BuildOptions.
	Images backend.Images
}

// Explanation says what a run that needs the environment would meet.
type Explanation struct {
	// Ready tells that nothing has to be made.
	Ready bool `json:"ready"`
	// Reason says in words why.
	Reason string `json:"reason"`
	// Hash is the content hash that decides.
	Hash string `json:"hash"`
	// Built is what is there; nil when nothing is.
	Built *Built `json:"built,omitempty"`
}

// Explain tells whether Build would make something, and why. It makes nothing and
// starts no process, but measures the sizes of all folders. Errors: ErrNotFound,
// ErrInvalid.
func (c *Client) Explain(ctx context.Context, spec Spec, opts *ExplainOptions) (_ Explanation, err error) {
	defer c.h.Operation(&ctx, &err, "explain", kind, spec.Name)()
	env, err := c.resolve(ctx, spec)
	if err != nil {
		return Explanation{}, err
	}
	if opts != nil && opts.Images != nil {
		return explainImage(ctx, opts.Images, env)
	}
	if err := refuseImage(env); err != nil {
		return Explanation{}, err
	}
	python := pyenv.Spec(env.Python)
	if python.UserManaged || python.Empty() {
		return Explanation{Ready: true, Hash: env.Hash, Reason: "nothing is to be installed: the first interpreter that fits is used as it is"}, nil
	}
	all, err := pyenv.List(ctx, c.h.CacheDir())
	if err != nil {
		return Explanation{}, err
	}
	for _, there := range all {
		if there.Complete && there.Key == env.Hash {
			b := ofFolder(there)
			return Explanation{Ready: true, Hash: env.Hash, Built: &b, Reason: "a folder of this content hash is in the cache of this machine"}, nil
		}
	}
	return Explanation{Hash: env.Hash, Reason: fmt.Sprintf("none of the %d folders in the cache of this machine is of this content hash", len(all))}, nil
}

func explainImage(ctx context.Context, images backend.Images, env record.Environment) (Explanation, error) {
	made, err := image.Find(ctx, images, env)
	if errors.Is(err, azml.ErrNotFound) {
		return Explanation{Hash: env.Hash, Reason: "the target has no image of this content hash and base"}, nil
	}
	if err != nil {
		return Explanation{}, err
	}
	b := ofImage(made)
	return Explanation{Ready: true, Hash: env.Hash, Built: &b, Reason: "an image of this content hash and base is on the target"}, nil
}

func ofFolder(c pyenv.Cached) Built {
	return Built{Form: FormFolder, Hash: c.Hash, Place: c.Dir, Reused: true, Size: c.Size, Created: c.Created, LastUsed: c.LastUsed}
}

// PruneOptions are the options of Client.Prune.
type PruneOptions struct {
	// Images also removes images there.
	Images backend.Images
}

// Prune removes what Build made on this machine and has not given out since that
// time, for whatever workspace, and lists it. Choose a time before the start of the
// oldest run that goes on: a folder counts as used when it is given out. An image
// that a job has stays. Errors: ErrDenied, ErrUnavailable; what was removed before
// is listed.
func (c *Client) Prune(ctx context.Context, unusedSince time.Time, opts *PruneOptions) (removed []Built, err error) {
	defer c.h.Operation(&ctx, &err, "prune", kind, "")()
	folders, err := pyenv.Prune(ctx, c.h.CacheDir(), unusedSince)
	for _, f := range folders {
		removed = append(removed, ofFolder(f))
	}
	if err != nil || opts == nil || opts.Images == nil {
		return removed, err
	}
	for i, err := range opts.Images.Images(ctx) {
		if err != nil {
			return removed, err
		}
		if i.LastUsed.After(unusedSince) {
			continue
		}
		switch err := opts.Images.RemoveImage(ctx, i.Hash); {
		case errors.Is(err, azml.ErrConflict), errors.Is(err, azml.ErrNotFound):
		case err != nil:
			return removed, err
		default:
			removed = append(removed, ofImage(i))
		}
	}
	return removed, nil
}
