package history

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// LoggedModelPrefix is the prefix of all objects of logged models.
const LoggedModelPrefix = "logged-models/"

// LoggedModelRef gives the reference of the logged model's record.
func LoggedModelRef(id string) core.Ref {
	return core.Ref{Kind: "logged model", Name: id, Key: LoggedModelPrefix + id + ".json"}
}

// LoggedModelFiles gives the list of the logged model's files.
func LoggedModelFiles(id string) FileList {
	return FileList{owner: id, prefix: ModelPrefix(id) + "files/"}
}

// SetLoggedModelStatus says how the upload of the logged model's files went. It
// notes how many parts the list of them has, so that it shows when some are
// lost. Errors: ErrNotFound.
func SetLoggedModelStatus(ctx context.Context, h core.Handle, id, status string) (core.Stored[record.LoggedModel], error) {
	parts, err := LoggedModelFiles(id).parts().Last(ctx, h)
	if err != nil {
		return core.Stored[record.LoggedModel]{}, err
	}
	return UpdateLoggedModel(ctx, h, id, core.Updated("status "+status), func(m *record.LoggedModel) error {
		m.Status, m.FileParts = status, parts
		return nil
	})
}

// CreateLoggedModel stores a new logged model, with an audit line. Errors:
// ErrExists when the ID is taken, ErrNotFound when the experiment is deleted at
// the same time.
func CreateLoggedModel(ctx context.Context, h core.Handle, m record.LoggedModel) (core.Stored[record.LoggedModel], error) {
	ref := LoggedModelRef(m.ID)
	stored, err := core.Create(ctx, h, ref, m)
	if err != nil {
		return stored, err
	}
	// Who deletes the experiment looks for logged models after its record is
	// gone, and we look for that after ours is there: one of the two sees the other.
	if _, err := h.Objects().Stat(ctx, ExperimentRef(m.Experiment).Key); errors.Is(err, azml.ErrNotFound) {
		return stored, errors.Join(fmt.Errorf("%w: experiment %q was deleted", azml.ErrNotFound, m.Experiment), core.Delete(ctx, h, ref, stored.ETag))
	}
	return stored, nil
}

// LoggedModel reads the record of the logged model. Errors: ErrNotFound, also
// when it was deleted; ErrInvalid.
func LoggedModel(ctx context.Context, h core.Handle, id string) (core.Stored[record.LoggedModel], error) {
	if err := core.RunID.Check(id); err != nil {
		return core.Stored[record.LoggedModel]{}, err
	}
	stored, err := core.Get[record.LoggedModel](ctx, h, LoggedModelRef(id).Key)
	if err == nil && !stored.Value.Deleted.IsZero() {
		err = fmt.Errorf("%w: it was deleted", azml.ErrNotFound)
	}
	return stored, err
}

// UpdateLoggedModel changes the record of a logged model that is not deleted,
// see core.Update.
func UpdateLoggedModel(ctx context.Context, h core.Handle, id string, note core.Note, change func(*record.LoggedModel) error) (core.Stored[record.LoggedModel], error) {
	return core.Update(ctx, h, LoggedModelRef(id), note, func(m *record.LoggedModel) error {
		if !m.Deleted.IsZero() {
			return fmt.Errorf("%w: it was deleted", azml.ErrNotFound)
		}
		return change(m)
	})
}

// DeleteLoggedModel marks the logged model as deleted; its files go with the
// next garbage collection, unless a registered model has them. Errors:
// ErrNotFound.
func DeleteLoggedModel(ctx context.Context, h core.Handle, id string) error {
	_, err := UpdateLoggedModel(ctx, h, id, core.Note{Op: "delete"}, func(m *record.LoggedModel) error {
		m.Deleted = h.Now()
		return nil
	})
	return err
}

// SweepLoggedModels removes the files and metrics of logged models that were
// deleted before that time. Their records stay.
func SweepLoggedModels(ctx context.Context, h core.Handle, before time.Time) error {
	var ids []string
	for id, err := range h.Folders(ctx, LoggedModelPrefix) {
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		stored, err := core.Get[record.LoggedModel](ctx, h, LoggedModelRef(id).Key)
		if err == nil && !stored.Value.Deleted.IsZero() && stored.Value.Deleted.Before(before) {
			err = removeBelow(ctx, h, ModelPrefix(id))
		}
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}

// removeBelow deletes all objects with the prefix. What is numbered goes from the
// end, so that no gap is ever seen.
func removeBelow(ctx context.Context, h core.Handle, prefix string) error {
	var keys []string
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: prefix}) {
		if err != nil {
			return err
		}
		keys = append(keys, info.Key)
	}
	for _, key := range slices.Backward(keys) {
		if err := h.Objects().Delete(ctx, key, &backend.DeleteOptions{}); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}

// DeleteLoggedModels deletes all logged models of the experiment. It reads the
// records of all logged models.
func DeleteLoggedModels(ctx context.Context, h core.Handle, experiment string) error {
	for stored, err := range LoggedModels(ctx, h) {
		if err != nil {
			return err
		}
		if stored.Value.Experiment != experiment {
			continue
		}
		if err := DeleteLoggedModel(ctx, h, stored.Value.ID); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}

// LoggedModels yields the records of all logged models that are not deleted, by
// ID, reading each.
func LoggedModels(ctx context.Context, h core.Handle) iter.Seq2[core.Stored[record.LoggedModel], error] {
	return func(yield func(core.Stored[record.LoggedModel], error) bool) {
		for name, err := range h.Children(ctx, LoggedModelPrefix) {
			id, isRecord := strings.CutSuffix(name, ".json")
			if err == nil && !isRecord {
				continue
			}
			var stored core.Stored[record.LoggedModel]
			if err == nil {
				stored, err = LoggedModel(ctx, h, id)
			}
			if errors.Is(err, azml.ErrNotFound) {
				continue
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
	}
}
