package mirror

import (
	"context"
	"errors"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

const datasetKind = "dataset"

// allDefinitions brings the definitions of datasets that were saved. A definition
// is known by its content, so there is nothing to compare.
func (s *syncer) allDefinitions(ctx context.Context, ids []string) error {
	return each(ctx, ids, func(ctx context.Context, id string) error {
		from, err := core.Get[record.DatasetDefinition](ctx, s.src, definitionUnits+id+".json")
		if err == nil && !s.opts.DryRun {
			err = dataset.Note(ctx, s.dst, from.Value.ID, from.Value.Definition, "")
		}
		if err == nil {
			s.settle(definitionUnits + id)
		}
		if s.concerns("dataset definition", id, err) {
			return nil
		}
		return err
	})
}

// allDatasets brings registered datasets with their versions and the lists of what
// these pointed to.
func (s *syncer) allDatasets(ctx context.Context, names []string) error {
	return each(ctx, names, func(ctx context.Context, name string) error {
		d := s.newDatasets(name)
		err := d.bringAll(ctx, 0)
		if err == nil && d.whole {
			s.settle(datasetUnits + name)
		}
		if s.concerns(datasetKind, name, err) {
			return nil
		}
		return err
	})
}

// datasetThere gives the version of the destination, as "name:version", that is
// the source's of this ID; the ID itself for one that is not there.
func (s *syncer) datasetThere(ctx context.Context, id string) (string, error) {
	name, version, err := dataset.ParseID(id)
	if err != nil || version == dataset.Latest {
		return id, nil //nolint:nilerr // nothing that was registered
	}
	d := s.newDatasets(name)
	from, err := core.Get[record.Dataset](ctx, s.src, d.series.Key(version))
	if errors.Is(err, azml.ErrNotFound) || damage(err) {
		return id, nil
	}
	if err != nil {
		return "", err
	}
	there, err := core.Get[record.Dataset](ctx, s.dst, d.series.Key(version))
	if err == nil && there.Value.Birth() == from.Value.Birth() || damage(err) {
		return id, nil
	}
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		return "", err
	}
	n, err := d.counterpart(ctx, from)
	if err != nil || n == 0 {
		return id, err
	}
	return d.series.Ref(n).Name, nil
}

func (s *syncer) newDatasets(name string) *versions[record.Dataset, *record.Dataset] {
	series := core.DatasetVersions(name)
	return &versions[record.Dataset, *record.Dataset]{
		s: s, series: series, kind: datasetKind, to: map[int]int{}, whole: true,
		tally:    func(c *Counts) *Tally { return &c.Datasets },
		number:   func(rec *record.Dataset) *int { return &rec.Version },
		manifest: func(rec *record.Dataset) string { return rec.Fingerprint.Manifest },
		removed:  func(rec *record.Dataset) bool { return !rec.Deleted.IsZero() },
		detail: func(rec *record.Dataset) string {
			if !rec.Deleted.IsZero() {
				return "deleted"
			}
			return "definition " + rec.DefinitionID
		},
		before: func(ctx context.Context, rec record.Dataset) error {
			return dataset.Note(ctx, s.dst, rec.DefinitionID, rec.Definition, "")
		},
		after: func(ctx context.Context, rec record.Dataset, n int) error {
			return dataset.Note(ctx, s.dst, rec.DefinitionID, rec.Definition, series.Ref(n).Name)
		},
	}
}
