package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Prefix is the prefix of all objects of models.
const Prefix = "models/"

// Ref gives the reference of the record of the registered model. name is its
// own and no later one.
func Ref(name string) core.Ref {
	return core.Ref{Kind: "registered model", Name: name, Key: Prefix + name + ".json"}
}

// Find reads the registered model that has this name, or was given it later.
// Errors: ErrNotFound, ErrInvalid.
func Find(ctx context.Context, h core.Handle, name string) (core.Stored[record.RegisteredModel], error) {
	stored, err := find(ctx, h, name)
	if err == nil && !stored.Value.Deleted.IsZero() {
		err = fmt.Errorf("%w: it was deleted at %s", azml.ErrNotFound, stored.Value.Deleted.Format(deletedFormat))
	}
	return stored, err
}

const deletedFormat = "2006-01-02 15:04:05 MST"

// find is Find that finds deleted models, too.
func find(ctx context.Context, h core.Handle, name string) (core.Stored[record.RegisteredModel], error) {
	if err := core.ModelName.Check(name); err != nil {
		return core.Stored[record.RegisteredModel]{}, err
	}
	stored, err := core.Get[record.RegisteredModel](ctx, h, Ref(name).Key)
	if errors.Is(err, azml.ErrNotFound) {
		return adopt(ctx, h, name)
	}
	if err != nil || stored.Value.NameOf == "" {
		return stored, err
	}
	return core.Get[record.RegisteredModel](ctx, h, Ref(stored.Value.NameOf).Key)
}

// adopt makes the record of a model that has versions and no record: they were
// registered before there were such records. Errors: ErrNotFound when there are
// no versions.
func adopt(ctx context.Context, h core.Handle, name string) (core.Stored[record.RegisteredModel], error) {
	last, err := Versions(name).Last(ctx, h)
	if err == nil && last == 0 {
		err = fmt.Errorf("%w: no model of that name is registered", azml.ErrNotFound)
	}
	if err != nil {
		return core.Stored[record.RegisteredModel]{}, err
	}
	stored, err := core.Create(ctx, h, Ref(name), record.RegisteredModel{Name: name})
	if errors.Is(err, azml.ErrExists) {
		return core.Get[record.RegisteredModel](ctx, h, Ref(name).Key)
	}
	return stored, err
}

// Create stores a new registered model. draft.Name must be a legal name, which
// draft.Title, if there is one, was made into. The name of a deleted model can
// be used again; numbers of versions go on. Errors: ErrExists, ErrInvalid.
func Create(ctx context.Context, h core.Handle, draft record.RegisteredModel) (core.Stored[record.RegisteredModel], error) {
	stored, err := find(ctx, h, draft.Name)
	if errors.Is(err, azml.ErrNotFound) {
		stored, err = core.Create(ctx, h, Ref(draft.Name), draft)
		if errors.Is(err, azml.ErrExists) { // somebody was faster
			return stored, taken(draft.Name)
		}
		return stored, err
	}
	if err != nil {
		return stored, err
	}
	return core.Update(ctx, h, Ref(stored.Value.Name), core.Note{Op: "create"}, func(m *record.RegisteredModel) error {
		if m.Deleted.IsZero() {
			return taken(draft.Name)
		}
		name, title := m.Name, draft.Title
		if title == "" && draft.Name != name {
			title = draft.Name
		}
		meta := m.Meta
		*m = draft
		m.Meta, m.Name, m.Title = meta, name, title
		m.Created, m.CreatedBy = h.Now(), h.Who()
		return nil
	})
}

func taken(name string) error {
	return fmt.Errorf("%w: a model has, or had, the name %q", azml.ErrExists, name)
}

// ensure gives the registered model of that name, making it when there is none.
func ensure(ctx context.Context, h core.Handle, name string) (core.Stored[record.RegisteredModel], error) {
	for {
		stored, err := Find(ctx, h, name)
		if !errors.Is(err, azml.ErrNotFound) {
			return stored, err
		}
		stored, err = Create(ctx, h, record.RegisteredModel{Name: name})
		if !errors.Is(err, azml.ErrExists) { // somebody was faster: it is there now
			return stored, err
		}
	}
}

// Update changes the record of a registered model that is not deleted, see
// core.Update. name is its own and no later one.
func Update(ctx context.Context, h core.Handle, name string, note core.Note, change func(*record.RegisteredModel) error) (core.Stored[record.RegisteredModel], error) {
	return core.Update(ctx, h, Ref(name), note, func(m *record.RegisteredModel) error {
		if !m.Deleted.IsZero() {
			return fmt.Errorf("%w: it was deleted", azml.ErrNotFound)
		}
		return change(m)
	})
}

// Rename gives the registered model another name for people. name is its own,
// which it keeps; key is the legal name that title was made into, or title
// itself. It and the names before can't be given to another model. Errors:
// ErrExists, ErrNotFound.
func Rename(ctx context.Context, h core.Handle, name, key, title string) (core.Stored[record.RegisteredModel], error) {
	if key != name {
		if err := takeName(ctx, h, name, key, title); err != nil {
			return core.Stored[record.RegisteredModel]{}, err
		}
	}
	return Update(ctx, h, name, core.Updated("name "+title), func(m *record.RegisteredModel) error {
		if m.Title = title; title == m.Name {
			m.Title = ""
		}
		return nil
	})
}

// takeName makes key one more name of the model.
func takeName(ctx context.Context, h core.Handle, name, key, title string) error {
	there, err := find(ctx, h, key)
	if errors.Is(err, azml.ErrNotFound) {
		_, err = core.Create(ctx, h, Ref(key), record.RegisteredModel{Name: key, Title: title, NameOf: name})
		if errors.Is(err, azml.ErrExists) { // somebody was faster
			there, err = find(ctx, h, key)
		} else {
			return err
		}
	}
	if err == nil && there.Value.Name != name {
		return taken(title)
	}
	return err
}

// Delete deletes the registered model with all its versions. Errors:
// ErrNotFound; ErrConflict naming an endpoint that serves a version: nothing is
// deleted then, unless the endpoint was deployed at the same time.
func Delete(ctx context.Context, h core.Handle, name string) error {
	stored, err := Find(ctx, h, name)
	if err != nil {
		return err
	}
	name = stored.Value.Name
	numbers, err := present(ctx, h, name)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := unused(ctx, h, Versions(name).Ref(n).Name); err != nil {
			return err
		}
	}
	if err := setDeleted(ctx, h, name); err != nil {
		return err
	}
	// Who registers a version looks at the model's record after the version is
	// there, and we look for versions after we wrote: one of the two sees the other.
	if numbers, err = present(ctx, h, name); err != nil {
		return err
	}
	for _, n := range numbers {
		if err := DeleteVersion(ctx, h, name, n); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return errors.Join(err, restore(ctx, h, stored))
		}
	}
	return nil
}

// setDeleted marks the registered model as deleted, and forgets all else.
func setDeleted(ctx context.Context, h core.Handle, name string) error {
	_, err := Update(ctx, h, name, core.Note{Op: "delete"}, func(m *record.RegisteredModel) error {
		*m = record.RegisteredModel{Meta: m.Meta, Name: m.Name, Title: m.Title, Deleted: h.Now()}
		return nil
	})
	return err
}

// restore makes the registered model again as it was, but for aliases of
// versions that are deleted.
func restore(ctx context.Context, h core.Handle, was core.Stored[record.RegisteredModel]) error {
	_, err := core.Update(ctx, h, Ref(was.Value.Name), core.Updated("restored: an endpoint began to serve a version"), func(m *record.RegisteredModel) error {
		if m.Deleted.IsZero() {
			return core.ErrNoChange
		}
		meta := m.Meta
		*m = was.Value
		m.Meta = meta
		return nil
	})
	if err != nil {
		return err
	}
	for alias, n := range was.Value.Aliases {
		if _, err := Version(ctx, h, was.Value.Name, n); errors.Is(err, azml.ErrNotFound) {
			if err := DeleteAlias(ctx, h, was.Value.Name, alias); err != nil {
				return err
			}
		}
	}
	return nil
}

// Registered yields the records of all registered models that are not deleted,
// by name, reading each.
func Registered(ctx context.Context, h core.Handle) iter.Seq2[core.Stored[record.RegisteredModel], error] {
	return func(yield func(core.Stored[record.RegisteredModel], error) bool) {
		if err := AdoptAll(ctx, h); err != nil {
			yield(core.Stored[record.RegisteredModel]{}, err)
			return
		}
		isRecord := func(key string) bool { return strings.Count(key, "/") == 1 }
		for stored, err := range core.List[record.RegisteredModel](ctx, h, Prefix, isRecord) {
			if err == nil && (stored.Value.NameOf != "" || !stored.Value.Deleted.IsZero()) {
				continue
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
	}
}

// adoption is done once by a process.
type adoption struct {
	mu   sync.Mutex
	done bool
}

// Close implements io.Closer for core.Own; there is nothing to close.
func (*adoption) Close() error { return nil }

// AdoptAll makes the records of all models that have versions and no record.
// After the first time it does nothing.
func AdoptAll(ctx context.Context, h core.Handle) error {
	a, err := core.Own(h, func(core.Handle) (*adoption, error) { return &adoption{}, nil })
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done {
		return nil
	}
	records := map[string]bool{}
	for name, err := range h.Children(ctx, Prefix) {
		if err != nil {
			return err
		}
		records[name] = true
	}
	for name, err := range h.Folders(ctx, Prefix) {
		if err != nil {
			return err
		}
		if records[name+".json"] || core.ModelName.Check(name) != nil {
			continue
		}
		if _, err := adopt(ctx, h, name); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	a.done = true
	return nil
}
