package mlflow

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// foundRun is a run that a search has found, with its experiment.
type foundRun struct {
	run        record.Run
	experiment record.Experiment
}

// findRuns gives a page of the runs of the request, the latest start first.
func (c call) findRuns(ctx context.Context, req *searchRuns, limit int) ([]foundRun, string, error) {
	if req.Filter != "" || len(req.OrderBy) > 0 {
		return nil, "", failf(codeNotImplemented, "Filters and orders are not served yet")
	}
	start, err := offset(req.PageToken)
	if err != nil {
		return nil, "", err
	}
	var all []foundRun
	for _, id := range slices.Compact(slices.Sorted(slices.Values(req.ExperimentIDs))) {
		if all, err = c.scanExperiment(ctx, id, req.RunViewType, all); err != nil {
			return nil, "", err
		}
	}
	slices.SortFunc(all, func(a, b foundRun) int {
		return cmp.Or(b.run.Started.Compare(a.run.Started), strings.Compare(a.run.ID, b.run.ID))
	})
	page := all[min(start, len(all)):]
	if len(page) <= limit {
		return page, "", nil
	}
	return page[:limit], pageToken(start + limit), nil
}

func (c call) scanExperiment(ctx context.Context, id string, view viewType, all []foundRun) ([]foundRun, error) {
	e, err := c.experiment(ctx, id)
	if asNotFound(err) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	if view == "" {
		view = activeOnly
	}
	for number, err := range core.Numbers[record.RunNumber](ctx, c.core, history.Numbers(e.Value.Name)) {
		if err != nil {
			return nil, err
		}
		r, err := history.Get(ctx, c.core, number.Value.RunID)
		if errors.Is(err, azml.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if view.shows(!r.Value.Deleted.IsZero() || !e.Value.Archived.IsZero()) {
			all = append(all, foundRun{r.Value, e.Value})
		}
	}
	return all, nil
}

// findExperiments gives a page of experiments, the last created first.
func (c call) findExperiments(ctx context.Context, req *searchExperiments, limit int) ([]record.Experiment, string, error) {
	if req.Filter != "" || len(req.OrderBy) > 0 {
		return nil, "", failf(codeNotImplemented, "Filters and orders are not served yet")
	}
	start, err := offset(req.PageToken)
	if err != nil {
		return nil, "", err
	}
	view := req.ViewType
	if view == "" {
		view = activeOnly
	}
	all := []record.Experiment{}
	standard, err := c.findExperiment(ctx, defaultKey)
	if err != nil {
		return nil, "", err
	}
	if standard.ETag == "" && view.shows(false) {
		all = append(all, standard.Value)
	}
	for e, err := range history.Experiments(ctx, c.core) {
		if err != nil {
			return nil, "", err
		}
		if view.shows(!e.Value.Archived.IsZero()) {
			all = append(all, e.Value)
		}
	}
	slices.SortFunc(all, func(a, b record.Experiment) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.Name, b.Name))
	})
	page := all[min(start, len(all)):]
	if len(page) <= limit {
		return page, "", nil
	}
	return page[:limit], pageToken(start + limit), nil
}
