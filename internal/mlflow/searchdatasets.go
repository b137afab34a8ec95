package mlflow

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

// The bounds of a search for datasets, MLflow's.
const (
	maxDatasetExperiments = 20
	maxDatasets           = 1000
)

func datasetRoutes() []route {
	search := rpc(call.searchDatasets)
	return []route{
		{"POST", "/mlflow/experiments/search-datasets", search},
		{"POST", "mlflow/experiments/search-datasets", search}, // as MLflow's client and its server have it
	}
}

// searchDatasets lists the datasets that runs of the experiments have used, each
// once for each use, by name.
func (c call) searchDatasets(ctx context.Context, req *searchDatasets) (*searchDatasetsResponse, error) {
	switch n := len(req.ExperimentIDs); {
	case n == 0:
		return nil, invalid("SearchDatasets request must specify at least one experiment_id.")
	case n > maxDatasetExperiments:
		return nil, invalid("SearchDatasets request cannot specify more than %d experiment_ids. Received %d experiment_ids.", maxDatasetExperiments, n)
	}
	if err := c.scope.checkExperiments(req.ExperimentIDs); err != nil {
		return nil, err
	}
	in := filter.Comparison{Field: index.Runs.Schema.Attribute("experiment"), Op: filter.In}
	for _, id := range req.ExperimentIDs {
		in.Values = append(in.Values, filter.Value{Text: id})
	}
	found := map[datasetSummary]bool{}
	runs := index.All(ctx, c.core, index.Request{Kind: index.Runs, Also: filter.All(in, c.scope.runs())}, func(hit index.Hit) (core.Stored[record.Run], error) {
		return core.Restore[record.Run](hit.Key, hit.Record, hit.ETag)
	})
	for stored, err := range runs {
		if err != nil {
			return nil, err
		}
		for _, d := range stored.Value.Datasets {
			found[datasetSummary{stored.Value.Experiment, d.Name, d.Digest, d.Tags[index.DatasetContext]}] = true
		}
		if len(found) >= maxDatasets {
			break
		}
	}
	list := slices.SortedFunc(maps.Keys(found), func(a, b datasetSummary) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.ExperimentID, b.ExperimentID), cmp.Compare(a.Context, b.Context))
	})
	return &searchDatasetsResponse{list[:min(len(list), maxDatasets)]}, nil
}
