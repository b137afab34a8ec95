package dataset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// definitionPrefix begins the keys of the records of saved definitions.
const definitionPrefix = "dataset-definitions/"

func definitionRef(id string) core.Ref {
	return core.Ref{Kind: "dataset definition", Name: id, Key: definitionPrefix + id + ".json"}
}

// RegisterOptions are the options of Dataset.Register.
type RegisterOptions struct {
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels that can be changed later.
	Tags map[string]string
	// CreateNewVersion makes the next version when the name is taken; without it
	// that is an error.
	CreateNewVersion bool
	// Digests reads all files and notes the SHA-256 of their contents, so that
	// Check sees changes that sizes, times and ETags don't show.
	Digests bool
	// Labels says that the rows are labels of the items of another dataset; package
	// label writes and reads them.
	Labels *Labels
}

// Labels says whose items the rows of a table are labels of.
type Labels struct {
	// Of is that dataset, as Client.GetByID finds it.
	Of string `json:"of"`
	// Key is the column of a table whose values are the items' IDs; those of files
	// are their paths in the dataset.
	Key string `json:"key,omitempty"`
}

func (o *RegisterOptions) check(name string) error {
	if err := core.DatasetName.Check(name); err != nil {
		return err
	}
	if err := core.CheckText("description", o.Description); err != nil {
		return err
	}
	return core.CheckLabels("tags", o.Tags)
}

// SaveOptions are the options of Dataset.Save; there are none so far.
type SaveOptions struct{}

// Save keeps the definition, so that Client.GetByID finds it; it gets no name.
// One that is kept already is left as it is.
func (d *Dataset) Save(ctx context.Context, _ *SaveOptions) (err error) {
	defer d.h.Operation(&ctx, &err, "save", kind, d.label())()
	return save(ctx, d.h, d.ID(), d.def)
}

func save(ctx context.Context, h core.Handle, id string, def record.DataDefinition) error {
	_, err := core.CreateQuiet(ctx, h, definitionRef(id).Key, record.DatasetDefinition{ID: id, Definition: def})
	if errors.Is(err, azml.ErrExists) {
		return nil
	}
	return err
}

// Register stores the definition as the next version of the name, with what it
// points to now, and gives the registered dataset. No data is copied. Names are 1
// to 255 letters, digits, ".", "_" or "-", the first a letter or digit. Errors:
// ErrExists when the name is taken and CreateNewVersion is not set, and when the
// same definition is registered already, under whichever name, and its data has
// not changed since: the error names that version.
func (d *Dataset) Register(ctx context.Context, name string, opts *RegisterOptions) (_ *Dataset, err error) {
	defer d.h.Operation(&ctx, &err, "register", kind, name)()
	return d.register(ctx, name, opts, origin{})
}

// origin says whose output a version is, when it is that of a run.
type origin struct{ run, output string }

func (d *Dataset) register(ctx context.Context, name string, opts *RegisterOptions, from origin) (*Dataset, error) {
	if opts == nil {
		opts = &RegisterOptions{}
	}
	if err := opts.check(name); err != nil {
		return nil, err
	}
	if err := d.free(ctx, name, opts); err != nil { // before the files are listed
		return nil, err
	}
	fingerprint, err := d.fingerprint(ctx, opts.Digests)
	if err != nil {
		return nil, err
	}
	if err := save(ctx, d.h, d.ID(), d.def); err != nil {
		return nil, err
	}
	if err := d.unregistered(ctx, fingerprint, ""); err != nil {
		return nil, err
	}
	draft := record.Dataset{Name: name, Description: opts.Description, Tags: opts.Tags, DefinitionID: d.ID(), Definition: d.def, Fingerprint: fingerprint,
		RunID: from.run, Output: from.output}
	if opts.Labels != nil {
		draft.Labels = new(record.DataLabels(*opts.Labels))
	}
	n, stored, err := core.Allot(ctx, d.h, core.DatasetVersions(name), true, func(n int) (record.Dataset, error) {
		if n > 1 {
			if err := d.free(ctx, name, opts); err != nil {
				return draft, err
			}
		}
		draft.Version = n
		return draft, nil
	})
	if err != nil {
		return nil, err
	}
	// Whoever registers the same definition adds its version to the definition's
	// record before it looks at those that are there: one of two sees the other.
	own := core.DatasetVersions(name).Ref(n).Name
	if err := claim(ctx, d.h, d.ID(), own); err != nil {
		return nil, errors.Join(err, d.withdraw(ctx, name, n))
	}
	if err := d.unregistered(ctx, fingerprint, own); err != nil {
		return nil, errors.Join(err, d.withdraw(ctx, name, n))
	}
	return wrap(d.h, stored), nil
}

// withdraw marks a version as deleted that was not to be.
func (d *Dataset) withdraw(ctx context.Context, name string, n int) error {
	return deleteVersion(context.WithoutCancel(ctx), d.h, name, n)
}

// free gives an error when the name has a version and none is to follow.
func (d *Dataset) free(ctx context.Context, name string, opts *RegisterOptions) error {
	if opts.CreateNewVersion {
		return nil
	}
	for stored, err := range core.Numbers[record.Dataset](ctx, d.h, core.DatasetVersions(name)) {
		if err != nil {
			return err
		}
		if stored.Value.Deleted.IsZero() {
			return fmt.Errorf("%w: version %d of it is registered: ask for a new version (CreateNewVersion, --new-version) to register another", azml.ErrExists, stored.Value.Version)
		}
	}
	return nil
}

// claim notes that a version has the definition.
func claim(ctx context.Context, h core.Handle, id, own string) error {
	_, err := core.Update(ctx, h, definitionRef(id), core.Quiet, func(r *record.DatasetDefinition) error {
		if slices.Contains(r.Registered, own) {
			return core.ErrNoChange
		}
		r.Registered = append(r.Registered, own)
		return nil
	})
	return err
}

// unregistered gives an error that names another version than own which has the
// same definition and points to the same data. Of two that are made at the same
// time the one that is noted first stays.
func (d *Dataset) unregistered(ctx context.Context, f record.Fingerprint, own string) error {
	same, err := d.versionWith(ctx, f.Digest)
	if err != nil || same == nil || same.label() == own {
		return err
	}
	return fmt.Errorf("%w: the same definition is registered as %s, and its data has not changed since", azml.ErrExists, same.label())
}

// versionWith finds the version of the definition, under whichever name, whose data
// has the digest: the one that was noted first; nil when there is none.
func (d *Dataset) versionWith(ctx context.Context, digest string) (*Dataset, error) {
	r, err := core.Get[record.DatasetDefinition](ctx, d.h, definitionRef(d.ID()).Key)
	if err != nil {
		return nil, err
	}
	for _, id := range r.Value.Registered {
		name, version, err := ParseID(id)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", azml.ErrDamaged, err)
		}
		other, err := core.Get[record.Dataset](ctx, d.h, core.DatasetVersions(name).Key(version))
		if err != nil {
			return nil, err
		}
		if o := other.Value; o.Deleted.IsZero() && o.Fingerprint.Digest == digest {
			return wrap(d.h, other), nil
		}
	}
	return nil, nil
}

// ParseID splits "name:version"; a name alone gives version Latest. Errors:
// ErrInvalid.
func ParseID(id string) (name string, version int, err error) {
	name, number, found := strings.Cut(id, ":")
	if found {
		if version, err = strconv.Atoi(number); err != nil || version < 1 || strconv.Itoa(version) != number {
			return "", 0, fmt.Errorf("%w: dataset %q: write name:version, with a version from 1", azml.ErrInvalid, id)
		}
	}
	return name, version, core.DatasetName.Check(name)
}
