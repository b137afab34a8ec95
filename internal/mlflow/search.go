package mlflow

import (
	"context"
)

// searchRuns lists runs, the latest start first.
func (c call) searchRuns(ctx context.Context, req *searchRuns) (*searchRunsResponse, error) {
	limit, err := pageSize(req.MaxResults, 1000)
	if err != nil {
		return nil, err
	}
	for _, id := range req.ExperimentIDs {
		if err := c.scope.checkExperiment(id); err != nil {
			return nil, err
		}
	}
	found, next, err := c.findRuns(ctx, req, limit)
	if err != nil {
		return nil, err
	}
	resp := &searchRunsResponse{NextPageToken: next}
	for _, r := range found {
		if !c.scope.hasRun(r.run) {
			continue
		}
		view, err := c.runView(ctx, r.run, r.experiment)
		if err != nil {
			return nil, err
		}
		resp.Runs = append(resp.Runs, view)
	}
	return resp, nil
}

func (c call) searchExperiments(ctx context.Context, req *searchExperiments) (*searchExperimentsResponse, error) {
	var asked *int32
	if req.MaxResults != nil {
		asked = new(int32(min(*req.MaxResults, maxPage+1)))
	}
	limit, err := pageSize(asked, 1000)
	if err != nil {
		return nil, err
	}
	found, next, err := c.findExperiments(ctx, req, limit)
	if err != nil {
		return nil, err
	}
	resp := &searchExperimentsResponse{NextPageToken: next}
	for _, e := range found {
		if !c.scope.hasExperiment(e.Name) {
			continue
		}
		resp.Experiments = append(resp.Experiments, experimentView(e))
	}
	return resp, nil
}

// maxPage is the largest page of a search.
const maxPage = 50_000

func pageSize(asked *int32, usual int) (int, error) {
	switch {
	case asked == nil:
		return usual, nil
	case *asked < 1 || *asked > maxPage:
		return 0, invalid("Invalid value %d for parameter 'max_results' supplied. It must be at least 1 and at most %d", *asked, maxPage)
	}
	return int(*asked), nil
}
