package mlflow

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

func historyRoutes() []route {
	return []route{
		{"GET", "/mlflow/metrics/get-history", rpc(call.getMetricHistory)},
		{"GET", "/mlflow/metrics/get-history-bulk", rpc(call.getMetricHistoryBulk)},
		{"GET", "/mlflow/metrics/get-history-bulk-interval", rpc(call.getMetricHistoryBulkInterval)},
	}
}

// The limits of charts, MLflow's.
const (
	maxHistory     = 25_000
	maxHistoryRuns = 100
	maxPerRun      = 2500
)

// numbers yields the numbers in a log: of the named metric, or of all when key is
// empty. Texts and lists, which MLflow has no place for, are passed over.
func numbers(ctx context.Context, log *metrics.Log, key string, yield func(p metrics.Point, value float64)) error {
	read := &metrics.ReadOptions{Kinds: []metrics.Kind{metrics.KindScalar}}
	if key != "" {
		read.Names = []string{key}
	}
	for p, err := range log.Read(ctx, read) {
		if err != nil {
			return err
		}
		switch v := p.Value.(type) {
		case float64:
			yield(p, v)
		case int64:
			yield(p, float64(v))
		case bool:
			yield(p, map[bool]float64{true: 1}[v])
		}
	}
	return nil
}

func pointView(p metrics.Point, value float64) metric {
	return metric{Key: p.Name, Value: double(value), Timestamp: p.Time.UnixMilli(), Step: p.Step}
}

// point is one value of a metric.
type point struct {
	time, step int64 // time in milliseconds since 1970
	value      float64
}

// same tells whether two points of a metric are one that was sent twice.
func (p point) same(q point) bool {
	return p.time == q.time && p.step == q.step && math.Float64bits(p.value) == math.Float64bits(q.value)
}

func (p point) compare(q point) int {
	return cmp.Or(cmp.Compare(p.time, q.time), cmp.Compare(p.step, q.step), cmp.Compare(p.value, q.value))
}

// view gives the point of a run in charts of several.
func (p point) view(run, key string) metric {
	return metric{Key: key, Value: double(p.value), Timestamp: p.time, Step: p.step, RunID: run}
}

// history gives all points of the metric by time, step and value, each once: a
// client that got no answer sends a point again.
func (c call) history(ctx context.Context, r record.Run, key string) ([]point, error) {
	log, err := history.Metrics(c.core, r)
	if err != nil {
		return nil, err
	}
	var list []point
	err = numbers(ctx, log, key, func(p metrics.Point, value float64) {
		list = append(list, point{p.Time.UnixMilli(), p.Step, value})
	})
	slices.SortFunc(list, point.compare)
	return slices.CompactFunc(list, point.same), err
}

func (c call) getMetricHistory(ctx context.Context, req *getMetricHistory) (historyPage, error) {
	var page historyPage
	id, err := req.id()
	if err != nil {
		return page, err
	}
	if req.MaxResults != nil && *req.MaxResults <= 0 {
		return page, invalid("Invalid value %d for parameter 'max_results' supplied. It must be a positive integer.", *req.MaxResults)
	}
	start, err := offset(req.PageToken)
	if err != nil {
		return page, err
	}
	r, err := c.run(ctx, id)
	if err != nil {
		return page, err
	}
	all, err := c.paged(ctx, r.Value, req.MetricKey, func(n int) bool { return req.MaxResults != nil && n > start+int(*req.MaxResults) })
	if err != nil {
		return page, err
	}
	page.key, page.points = req.MetricKey, all[min(start, len(all)):]
	if req.MaxResults != nil && len(page.points) > int(*req.MaxResults) {
		page.points = page.points[:*req.MaxResults]
		page.next = pageToken(start + len(page.points))
	}
	return page, nil
}

// pageToken makes a token of a place in a list.
func pageToken(at int) string {
	return base64.StdEncoding.EncodeToString([]byte(`{"offset": ` + strconv.Itoa(at) + `}`))
}

// offset reads a token of pageToken.
func offset(token string) (int, error) {
	if token == "" {
		return 0, nil
	}
	data, err := base64.StdEncoding.DecodeString(token)
	var at struct {
		Offset int64 `json:"offset" need:"true"`
	}
	if err != nil || decode(data, &at) != nil || at.Offset < 0 || at.Offset > math.MaxInt32 {
		return 0, invalid("Invalid page token, could not be decoded: %s", cut(token, maxKey))
	}
	return int(at.Offset), nil
}

// getMetricHistoryBulk serves charts of several runs at once.
func (c call) getMetricHistoryBulk(ctx context.Context, req *getMetricHistoryBulk) (*metricsResponse, error) {
	if len(req.RunID) > maxHistoryRuns {
		return nil, invalid("GetMetricHistoryBulk request cannot specify more than %d run_ids. Received %d run_ids.", maxHistoryRuns, len(req.RunID))
	}
	limit := maxHistory
	if req.MaxResults != nil {
		if limit = min(int(*req.MaxResults), maxHistory); limit <= 0 {
			return nil, invalid("Invalid value %d for parameter 'max_results' supplied. It must be a positive integer.", *req.MaxResults)
		}
	}
	resp := &metricsResponse{}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(req.RunID))) {
		r, err := c.reachedRun(ctx, id)
		if !c.scope.bounded() && (errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list, err := c.history(ctx, r, req.MetricKey)
		if err != nil {
			return nil, err
		}
		for _, p := range list[:min(len(list), limit-len(resp.Metrics))] {
			resp.Metrics = append(resp.Metrics, p.view(id, req.MetricKey))
		}
	}
	return resp, nil
}

// getMetricHistoryBulkInterval gives, for each run, points that are evenly
// spread over its history in a range of steps, the first and the last among
// them.
func (c call) getMetricHistoryBulkInterval(ctx context.Context, req *getMetricHistoryBulkInterval) (*metricsResponse, error) {
	if err := checkInterval(req); err != nil {
		return nil, err
	}
	limit := maxPerRun
	if req.MaxResults != nil {
		limit = int(*req.MaxResults)
	}
	resp := &metricsResponse{}
	for _, id := range req.RunIDs {
		r, err := c.run(ctx, id)
		if err != nil {
			return nil, err
		}
		list, err := c.history(ctx, r.Value, req.MetricKey)
		if err != nil {
			return nil, err
		}
		if req.StartStep != nil {
			list = slices.DeleteFunc(list, func(p point) bool { return p.step < int64(*req.StartStep) || p.step > int64(*req.EndStep) })
		}
		slices.SortStableFunc(list, func(a, b point) int { return cmp.Compare(a.step, b.step) })
		for _, p := range spread(list, limit) {
			resp.Metrics = append(resp.Metrics, p.view(id, req.MetricKey))
		}
	}
	return resp, nil
}

func checkInterval(req *getMetricHistoryBulkInterval) error {
	switch {
	case len(req.RunIDs) > maxHistoryRuns:
		return invalid("GetMetricHistoryBulkInterval request must specify at most %d run_ids. Received %d run_ids.", maxHistoryRuns, len(req.RunIDs))
	case req.MaxResults != nil && (*req.MaxResults < 1 || *req.MaxResults > maxPerRun):
		return invalid("max_results must be between 1 and %d.", maxPerRun)
	case (req.StartStep == nil) != (req.EndStep == nil):
		return invalid("If either start step or end step are specified, both must be specified.")
	case req.StartStep != nil && *req.StartStep > *req.EndStep:
		return invalid("end_step must be greater than start_step. Found start_step=%d and end_step=%d.", *req.StartStep, *req.EndStep)
	}
	return nil
}

// spread picks at most n points, evenly, the last one always.
func spread(list []point, n int) []point {
	switch {
	case len(list) <= n:
		return list
	case n == 1:
		return list[len(list)-1:]
	}
	picked := make([]point, n)
	for i := range picked {
		picked[i] = list[i*(len(list)-1)/(n-1)]
	}
	return picked
}
