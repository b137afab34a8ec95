package mlflow

import (
	"context"
	"strconv"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

func logRoutes() []route {
	return []route{
		{"POST", "/mlflow/runs/log-metric", rpc(call.logMetric)},
		{"POST", "/mlflow/runs/log-parameter", rpc(call.logParam)},
		{"POST", "/mlflow/runs/log-batch", rpc(call.logBatch)},
		{"POST", "/mlflow/runs/set-tag", rpc(call.setTag)},
		{"POST", "/mlflow/runs/delete-tag", rpc(call.deleteTag)},
		{"POST", "/mlflow/runs/log-inputs", rpc(call.logInputs)},
		{"POST", "/mlflow/runs/outputs", rpc(call.logOutputs)},
		{"POST", "/mlflow/runs/log-model", rpc(call.logModel)},
	}
}

// loggable makes sure that the run is there and not deleted. For a run that is
// being logged to, that is looked up once a second. A run that has ended takes
// metrics, too: clients log to it what they find out later. They go to the store
// at once, as nobody looks for what is on its way to a run that has ended.
func (c call) loggable(ctx context.Context, id string) error {
	if c.writers.active(logID{id: id}) {
		return nil
	}
	r, err := c.activeRun(ctx, id)
	if err != nil {
		return err
	}
	return c.writers.saw(ctx, logID{id: id}, r.Value.Life, r.Value.Status.Terminal())
}

func (c call) logMetric(ctx context.Context, req *logMetric) (nothing, error) {
	id, err := req.id()
	if err != nil {
		return nothing{}, err
	}
	points := []metricFields{req.metricFields}
	if err := checkMetrics(points, ""); err != nil {
		return nothing{}, err
	}
	return nothing{}, c.logMetrics(ctx, id, points)
}

// logMetrics logs checked points.
func (c call) logMetrics(ctx context.Context, id string, points []metricFields) error {
	if len(points) == 0 {
		return nil
	}
	if err := c.loggable(ctx, id); err != nil {
		return err
	}
	models := byModel(id, points)
	if err := c.loggableModels(ctx, models); err != nil {
		return err
	}
	c.scope.noteLogged(id, points)
	points, err := c.fresh(ctx, id, points)
	if err != nil {
		return err
	}
	return c.audited(ctx, history.Ref(id), c.writers.ended(id), "metrics", func() error {
		if err := c.writers.log(ctx, logID{id: id}, points); err != nil {
			return err
		}
		return c.logModelMetrics(ctx, models)
	})
}

// checkMetrics checks what MLflow checks, but for the characters of names. list
// names the points in errors, empty for a single one.
func checkMetrics(points []metricFields, list string) error {
	for i, p := range points {
		in := func(field string) string { // words for errors alone, as there may be thousands
			if list == "" {
				return field
			}
			return inWhich([]place{{name: list}, {index: i}, {name: field}})
		}
		if checkKey("", p.Key) != nil {
			return checkKey(in("key"), p.Key)
		}
		if p.Timestamp < 0 {
			return invalid("Invalid value %d for parameter '%s' supplied: metric '%s'. Timestamp must be a nonnegative long (64-bit integer) ",
				p.Timestamp, in("timestamp"), p.Key)
		}
		if (p.DatasetName == "") != (p.DatasetDigest == "") {
			return invalid("Both dataset_name and dataset_digest must be provided if one is provided")
		}
		if err := checkModelID(p.ModelID); err != nil {
			return err
		}
	}
	return nil
}

func (c call) logParam(ctx context.Context, req *logParam) (nothing, error) {
	id, err := req.id()
	if err != nil {
		return nothing{}, err
	}
	if err := checkKey("key", req.Key); err != nil {
		return nothing{}, err
	}
	return nothing{}, c.setLabels(ctx, id, []labelFields{{req.keyNeeded, req.Value}}, nil)
}

func (c call) setTag(ctx context.Context, req *setTag) (nothing, error) {
	id, err := req.id()
	if err != nil {
		return nothing{}, err
	}
	if err := checkKey("key", req.Key); err != nil {
		return nothing{}, err
	}
	return nothing{}, c.setLabels(ctx, id, nil, []labelFields{{req.keyNeeded, req.Value}})
}

// logBatch logs all of the batch or nothing of it; only when the store fails in
// between, parameters and tags may be there without the metrics.
func (c call) logBatch(ctx context.Context, req *logBatch) (nothing, error) {
	if err := checkBatch(req); err != nil {
		return nothing{}, err
	}
	if len(req.Params)+len(req.Tags) == 0 {
		if len(req.Metrics) == 0 {
			_, err := c.activeRun(ctx, req.RunID)
			return nothing{}, err
		}
		return nothing{}, c.logMetrics(ctx, req.RunID, req.Metrics)
	}
	if err := c.setLabels(ctx, req.RunID, req.Params, req.Tags); err != nil {
		return nothing{}, err
	}
	return nothing{}, c.logMetrics(ctx, req.RunID, req.Metrics)
}

func checkBatch(req *logBatch) error {
	for _, l := range []struct {
		what       string
		limit, got int
	}{
		{"metrics", maxMetricsPerBatch, len(req.Metrics)},
		{"params", maxLabelsPerBatch, len(req.Params)},
		{"tags", maxLabelsPerBatch, len(req.Tags)},
		{"metrics, params, and tags", maxPerBatch, len(req.Metrics) + len(req.Params) + len(req.Tags)},
	} {
		if l.got > l.limit {
			return invalid("A batch logging request can contain at most %d %s. Got %d %s. Please split up %s across multiple requests and try again.",
				l.limit, l.what, l.got, l.what, l.what)
		}
	}
	if err := checkMetrics(req.Metrics, "metrics"); err != nil {
		return err
	}
	for what, list := range map[string][]labelFields{"params": req.Params, "tags": req.Tags} {
		for i, label := range list {
			if err := checkKey(what+"["+strconv.Itoa(i)+"].key", label.Key); err != nil {
				return err
			}
		}
	}
	return checkUnique(req.Params)
}

func checkUnique(params []labelFields) error {
	seen := make(map[string]bool, len(params))
	var twice []string
	for _, p := range params {
		if seen[p.Key] {
			twice = append(twice, "'"+p.Key+"'")
		}
		seen[p.Key] = true
	}
	if len(twice) > 0 {
		return invalid("Duplicate parameter keys have been submitted: [%s]. Please ensure the request contains only one param value per param key.",
			strings.Join(twice, ", "))
	}
	return nil
}

// setLabels sets parameters and tags in one write. A parameter that has another
// value already is MLflow's error.
func (c call) setLabels(ctx context.Context, id string, params, tags []labelFields) error {
	stored, err := c.activeRun(ctx, id)
	if err != nil {
		return err
	}
	change := func(r *record.Run) error {
		changed, err := addParams(r, params)
		if err != nil {
			return err
		}
		tagged, err := addTags(r, tags)
		if err == nil && !changed && !tagged {
			return core.ErrNoChange
		}
		return err
	}
	if len(tags) > 0 { // what a run logs is no change of a resource, its tags are
		return c.update(ctx, id, core.Updated("tags"), change)
	}
	return c.logged(ctx, stored.Value, "params", change)
}

// logged changes what is logged in the record of a run.
func (c call) logged(ctx context.Context, r record.Run, what string, change func(*record.Run) error) error {
	return c.audited(ctx, history.Ref(r.ID), r.Status.Terminal(), what, func() error { return c.update(ctx, r.ID, core.Quiet, change) })
}

func addParams(r *record.Run, params []labelFields) (changed bool, err error) {
	add := make(map[string]string, len(params))
	for _, p := range params {
		value := cut(strings.ToValidUTF8(p.Value, "\uFFFD"), maxParam)
		have, there := r.Params[p.Key]
		if there && have != value {
			return false, invalid("Changing param values is not allowed. Param with key='%s' was already logged with value='%s' for run ID='%s'. "+
				"Attempted logging new value '%s'.", p.Key, have, r.ID, value)
		}
		if !there {
			add[p.Key], changed = value, true
		}
	}
	if changed {
		r.Params = core.ChangeLabels(r.Params, add, nil)
	}
	return changed, nil
}

func addTags(r *record.Run, tags []labelFields) (changed bool, err error) {
	add := make(map[string]string, len(tags))
	for _, t := range tags {
		if t.Key == nameTag {
			if err := rename(r, t.Value); err != nil {
				return false, err
			}
			changed = true
			continue
		}
		value := cut(t.Value, maxTag)
		if have, there := r.Tags[t.Key]; !there || have != value {
			add[t.Key], changed = value, true
		}
	}
	if changed {
		r.Tags = core.ChangeLabels(r.Tags, add, nil)
	}
	return changed, core.CheckRunTags(r.Tags)
}

func (c call) deleteTag(ctx context.Context, req *deleteTag) (nothing, error) {
	if _, err := c.activeRun(ctx, req.RunID); err != nil {
		return nothing{}, err
	}
	err := c.update(ctx, req.RunID, core.Updated("tags"), func(r *record.Run) error {
		if _, there := r.Tags[req.Key]; !there {
			return failf(codeNotFound, "No tag with name: %s in run with id %s", req.Key, req.RunID)
		}
		r.Tags = core.ChangeLabels(r.Tags, nil, []string{req.Key})
		return nil
	})
	return nothing{}, err
}
