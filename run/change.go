package run

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Update says what to change about a run; zero fields leave things as they are.
type Update struct {
	// DisplayName replaces the display name, unless it is nil; at most 256
	// characters.
	DisplayName *string
	// Description replaces the description, unless it is nil; at most 5,000
	// characters.
	Description *string
	// SetTags adds tags or replaces their values. At most 1,000 tags, keys of
	// 250 and values of 8,000 characters.
	SetTags map[string]string
	// RemoveTags removes tags; missing ones are passed over.
	RemoveTags []string
	// AddProperties adds properties. One that is there already can't be
	// changed: ErrConflict, unless the value is the same.
	AddProperties map[string]string
}

// Update changes the run's names, tags and properties, all in one write, also
// after it has ended. Errors: ErrInvalid, ErrConflict, ErrNotFound.
func (r *Run) Update(ctx context.Context, change Update) (err error) {
	defer r.h.Operation(&ctx, &err, "update", kind, r.id)()
	return r.update(ctx, core.Updated("names, tags or properties"), func(rec *record.Run) (err error) {
		if change.DisplayName != nil {
			rec.DisplayName = *change.DisplayName
		}
		if change.Description != nil {
			rec.Description = *change.Description
		}
		tags, properties := rec.Tags, rec.Properties
		rec.Tags = core.ChangeLabels(rec.Tags, change.SetTags, change.RemoveTags)
		if rec.Properties, err = core.AddLabels(rec.Properties, change.AddProperties); err != nil {
			return err
		}
		if change.DisplayName == nil && change.Description == nil && maps.Equal(tags, rec.Tags) && maps.Equal(properties, rec.Properties) {
			return core.ErrNoChange
		}
		return checkNames(rec)
	})
}

// Tag sets one tag, see Update.
func (r *Run) Tag(ctx context.Context, key, value string) error {
	return r.Update(ctx, Update{SetTags: map[string]string{key: value}})
}

func checkNames(rec *record.Run) error {
	const longest = 256
	if !utf8.ValidString(rec.DisplayName) || utf8.RuneCountInString(rec.DisplayName) > longest {
		return fmt.Errorf("%w: display name: use UTF-8 text of at most %d characters", azml.ErrInvalid, longest)
	}
	if err := core.CheckText("description", rec.Description); err != nil {
		return err
	}
	if err := core.CheckRunTags(rec.Tags); err != nil {
		return err
	}
	given := maps.Clone(rec.Properties)
	maps.DeleteFunc(given, func(key, _ string) bool { return isFact(key) })
	return core.CheckLabels("properties", given)
}

// isFact tells whether a property is one that the library sets beside a
// snapshot; those don't count against the limit.
func isFact(key string) bool {
	return key == "ContentSnapshotId" || strings.HasPrefix(key, "azureml.git.") || strings.HasPrefix(key, "mlflow.source.git.")
}
