package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/signature"
)

// Versions gives the series of the versions of the model. name is its own and
// no later one.
func Versions(name string) core.Series {
	return core.Series{Kind: "model", Name: name, Prefix: Prefix + name + "/"}
}

// Register stores the next version of the model of that name, which is made
// when there is none; draft says all but its number and its files. manifest
// lists these; nil is for files that lie elsewhere. A version that has a number
// already, because it was registered elsewhere, gets that one if it is the next.
// Errors: ErrInvalid; ErrConflict when it is not, or when the model is deleted at
// the same time.
func Register(ctx context.Context, h core.Handle, name string, draft record.Model, manifest *files.Manifest) (core.Stored[record.Model], error) {
	var none core.Stored[record.Model]
	kept, err := keep(ctx, h, &draft, manifest)
	if err != nil {
		return none, err
	}
	of, err := ensure(ctx, h, name)
	if err != nil {
		_ = kept()
		return none, err
	}
	wanted := draft.Version
	draft.Name = of.Value.Name
	n, stored, err := core.AllotAfter(ctx, h, Versions(draft.Name), true, kept, func(n int) (record.Model, error) {
		if wanted != 0 && n != wanted {
			return draft, fmt.Errorf("%w: the next version is %d, not %d", azml.ErrConflict, n, wanted)
		}
		draft.Version = n
		return draft, nil
	})
	if failed := kept(); err == nil {
		err = failed
	}
	if err != nil {
		return none, err
	}
	// Who deletes the model looks for versions after its record says so, and we
	// look at that after ours is there: one of the two sees the other.
	if err := touch(ctx, h, stored.Value); errors.Is(err, azml.ErrNotFound) {
		err = fmt.Errorf("%w: the model was deleted at the same time: register again", azml.ErrConflict)
		return none, errors.Join(err, setVersionDeleted(ctx, h, Versions(draft.Name).Ref(n), true))
	} else if err != nil {
		return none, err
	}
	return stored, nil
}

// keep begins to store the list of a version's files, nil for none, and notes it.
// kept waits until it is durable.
func keep(ctx context.Context, h core.Handle, draft *record.Model, manifest *files.Manifest) (kept func() error, err error) {
	if manifest == nil {
		return core.Ready, nil
	}
	id, kept, err := h.Files().BeginManifest(ctx, manifest)
	if err != nil {
		return nil, err
	}
	draft.Manifest, draft.FileCount = id, len(manifest.Files)
	for _, f := range manifest.Files {
		draft.Size += f.Size
	}
	if draft.Signature == nil {
		draft.Signature = described(ctx, h, manifest)
	}
	return kept, nil
}

// described gives the signature in an MLflow model's own file, nil when there is
// none that can be read: the model is what it is.
func described(ctx context.Context, h core.Handle, manifest *files.Manifest) *record.Signature {
	const most = 1 << 20
	for _, f := range manifest.Files {
		if f.Path != signature.File || f.Size > most {
			continue
		}
		file, err := h.Files().Open(ctx, f)
		if err != nil {
			return nil
		}
		defer file.Close()
		data, err := io.ReadAll(file)
		if err != nil {
			return nil
		}
		found, err := signature.FromMLmodel(data)
		if err != nil {
			return nil
		}
		return found
	}
	return nil
}

// touchEvery is how exact it is when a registered model shows that its versions
// have changed: many that are registered in a row need not write it each time.
const touchEvery = time.Second

// touch makes the registered model show that its version has changed.
func touch(ctx context.Context, h core.Handle, version record.Model) error {
	_, err := Update(ctx, h, version.Name, core.Quiet, func(m *record.RegisteredModel) error {
		if version.Modified.Sub(m.Modified) < touchEvery {
			return core.ErrNoChange
		}
		return nil
	})
	return err
}

// Version reads a version of the model of that name. Errors: ErrNotFound, also
// when it was deleted; ErrInvalid.
func Version(ctx context.Context, h core.Handle, name string, n int) (core.Stored[record.Model], error) {
	var none core.Stored[record.Model]
	if err := core.ModelName.Check(name); err != nil {
		return none, err
	}
	if n < 1 {
		return none, fmt.Errorf("%w: versions count from 1", azml.ErrInvalid)
	}
	stored, err := core.Get[record.Model](ctx, h, Versions(name).Key(n))
	if errors.Is(err, azml.ErrNotFound) { // it may be a later name
		if m, findErr := Find(ctx, h, name); findErr == nil && m.Value.Name != name {
			stored, err = core.Get[record.Model](ctx, h, Versions(m.Value.Name).Key(n))
		}
	}
	if err == nil && !stored.Value.Deleted.IsZero() {
		err = fmt.Errorf("%w: it was deleted at %s", azml.ErrNotFound, stored.Value.Deleted.Format(deletedFormat))
	}
	return stored, err
}

// Latest reads the highest version of the model that is not deleted. Errors:
// ErrNotFound, ErrInvalid.
func Latest(ctx context.Context, h core.Handle, name string) (core.Stored[record.Model], error) {
	m, err := Find(ctx, h, name)
	if err != nil {
		return core.Stored[record.Model]{}, err
	}
	for stored, err := range core.Numbers[record.Model](ctx, h, Versions(m.Value.Name)) {
		if err != nil || stored.Value.Deleted.IsZero() {
			return stored, err
		}
	}
	return core.Stored[record.Model]{}, fmt.Errorf("%w: no version of it is registered", azml.ErrNotFound)
}

// present gives the numbers of the versions that are not deleted.
func present(ctx context.Context, h core.Handle, name string) ([]int, error) {
	var numbers []int
	for stored, err := range core.Numbers[record.Model](ctx, h, Versions(name)) {
		if err != nil {
			return nil, err
		}
		if stored.Value.Deleted.IsZero() {
			numbers = append(numbers, stored.Value.Version)
		}
	}
	return numbers, nil
}

// UpdateVersion changes the record of a version that is not deleted, see
// core.Update. name is the model's own and no later one.
func UpdateVersion(ctx context.Context, h core.Handle, name string, n int, note core.Note, change func(*record.Model) error) (core.Stored[record.Model], error) {
	return core.Update(ctx, h, Versions(name).Ref(n), note, func(m *record.Model) error {
		if !m.Deleted.IsZero() {
			return fmt.Errorf("%w: it was deleted", azml.ErrNotFound)
		}
		return change(m)
	})
}

// SetStage moves a version to one of MLflow's stages, empty for none. name is the
// model's own and no later one. Errors: ErrInvalid, ErrNotFound.
func SetStage(ctx context.Context, h core.Handle, name string, n int, stage string) (core.Stored[record.Model], error) {
	if stage != "" && !slices.Contains(record.Stages(), stage) {
		return core.Stored[record.Model]{}, fmt.Errorf("%w: stage %q: use one of %s, or none", azml.ErrInvalid, stage, strings.Join(record.Stages(), ", "))
	}
	if err := UseStages(ctx, h, name); err != nil {
		return core.Stored[record.Model]{}, err
	}
	stored, err := UpdateVersion(ctx, h, name, n, core.Updated("stage "+stage), func(m *record.Model) error {
		if m.Stage == stage {
			return core.ErrNoChange
		}
		m.Stage = stage
		return nil
	})
	if err != nil {
		return stored, err
	}
	return stored, touch(ctx, h, stored.Value)
}

// UseStages notes that versions of the model are in stages, before the first one
// is. name is its own and no later one.
func UseStages(ctx context.Context, h core.Handle, name string) error {
	m, err := Find(ctx, h, name)
	if err != nil || m.Value.Staged {
		return err
	}
	_, err = Update(ctx, h, name, core.Quiet, func(m *record.RegisteredModel) error {
		m.Staged = true
		return nil
	})
	return err
}

// LatestByStage gives the highest version of each stage, the highest of all
// first. It reads one version when none was ever in a stage, else all until
// there is one of each stage.
func LatestByStage(ctx context.Context, h core.Handle, m record.RegisteredModel) ([]record.Model, error) {
	var latest []record.Model
	for stored, err := range core.Numbers[record.Model](ctx, h, Versions(m.Name)) {
		if err != nil {
			return nil, err
		}
		v := stored.Value
		if !v.Deleted.IsZero() || slices.ContainsFunc(latest, func(have record.Model) bool { return have.Stage == v.Stage }) {
			continue
		}
		latest = append(latest, v)
		if !m.Staged || len(latest) == len(record.Stages())+1 {
			break
		}
	}
	return latest, nil
}

// ArchiveOthers moves all other versions of the stage to Archived, one after the
// other. name is the model's own and no later one.
func ArchiveOthers(ctx context.Context, h core.Handle, name string, n int, stage string) error {
	for other, err := range core.Numbers[record.Model](ctx, h, Versions(name)) {
		if err != nil {
			return err
		}
		v := other.Value
		if v.Version == n || v.Stage != stage || !v.Deleted.IsZero() {
			continue
		}
		if _, err := SetStage(ctx, h, name, v.Version, record.StageArchived); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}

// DeleteVersion marks the version as deleted and takes its aliases away. Errors:
// ErrNotFound, ErrConflict naming an endpoint that serves it.
func DeleteVersion(ctx context.Context, h core.Handle, name string, n int) error {
	stored, err := Version(ctx, h, name, n)
	if err != nil {
		return err
	}
	ref := Versions(stored.Value.Name).Ref(n)
	if err := unused(ctx, h, ref.Name); err != nil {
		return err
	}
	if err := setVersionDeleted(ctx, h, ref, true); err != nil {
		return err
	}
	// An endpoint writes its record before it looks whether its models are
	// there, and we look after we wrote: one of the two sees the other.
	if err := unused(ctx, h, ref.Name); err != nil {
		return errors.Join(err, setVersionDeleted(ctx, h, ref, false))
	}
	return dropAliases(ctx, h, stored.Value.Name, n)
}

func setVersionDeleted(ctx context.Context, h core.Handle, ref core.Ref, deleted bool) error {
	note := core.Note{Op: "delete"}
	if !deleted {
		note = core.Updated("restored: an endpoint began to serve it")
	}
	_, err := core.Update(ctx, h, ref, note, func(m *record.Model) error {
		if deleted == !m.Deleted.IsZero() {
			return core.ErrNoChange
		}
		m.Deleted = core.When(deleted, h.Now())
		return nil
	})
	return err
}

// unused gives an error that names an endpoint which serves the version.
func unused(ctx context.Context, h core.Handle, id string) error {
	name, err := core.ServedBy(ctx, h, id)
	if err != nil || name == "" {
		return err
	}
	return fmt.Errorf("%w: endpoint %q serves it: stop or delete the endpoint first", azml.ErrConflict, name)
}

// Rooted gives the files with their paths from the model's own root: a single
// file is its base name, a folder's files are relative to it.
func Rooted(found *files.Manifest, root string) *files.Manifest {
	out := &files.Manifest{}
	for _, f := range found.Files {
		if f.Path == root {
			f.Path = path.Base(root)
		} else {
			f.Path = strings.TrimPrefix(f.Path, root+"/")
		}
		out.Files = append(out.Files, f)
	}
	return out
}
