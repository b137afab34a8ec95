package mlflow

import (
	"context"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// The most that a server takes in one request.
const (
	batchValues = 1000
	batchLabels = 100
	batchBytes  = 500_000
)

// batcher gathers what is logged to a run, and sends much of it together.
type batcher struct {
	*client
	runID string

	points []valueMessage
	params []keyValue
	tags   []keyValue
	bytes  int
	sent   int   // requests
	values int64 // that were sent
}

// valueMessage is a value of a metric as it is sent.
type valueMessage struct {
	Key     string `json:"key"`
	Value   double `json:"value"`
	Millis  int64  `json:"timestamp"`
	Step    int64  `json:"step"`
	Model   string `json:"model_id,omitempty"`
	Dataset string `json:"dataset_name,omitempty"`
	Digest  string `json:"dataset_digest,omitempty"`
}

// add adds a parameter or a tag to its list.
func (b *batcher) add(ctx context.Context, list *[]keyValue, label keyValue) error {
	*list = append(*list, label)
	return b.took(ctx, len(label.Key)+len(label.Value))
}

// log adds a value.
func (b *batcher) log(ctx context.Context, name string, p point) error {
	const numbers = 100 // about
	b.points = append(b.points, valueMessage{Key: name, Value: double(p.value), Millis: p.millis, Step: p.step})
	return b.took(ctx, len(name)+numbers)
}

func (b *batcher) took(ctx context.Context, bytes int) error {
	b.bytes += bytes
	full := len(b.points)+len(b.params)+len(b.tags) >= batchValues || len(b.params) >= batchLabels || len(b.tags) >= batchLabels
	if full || b.bytes >= batchBytes {
		return b.flush(ctx)
	}
	return nil
}

// flush sends what was gathered.
func (b *batcher) flush(ctx context.Context) error {
	if b.bytes == 0 {
		return nil
	}
	message := struct {
		RunID   string         `json:"run_id"`
		Metrics []valueMessage `json:"metrics,omitempty"`
		Params  []keyValue     `json:"params,omitempty"`
		Tags    []keyValue     `json:"tags,omitempty"`
	}{b.runID, b.points, b.params, b.tags}
	if err := b.post(ctx, apiPath+"runs/log-batch", message, nil); err != nil {
		return err
	}
	b.values += int64(len(b.points))
	b.points, b.params, b.tags, b.bytes = nil, nil, nil, 0
	b.sent++
	return nil
}

// values carries over the run's numbers that are missing. Of a run that is new
// there none is looked for.
func (x *exporter) values(ctx context.Context, rec record.Run, there run, b *batcher) error {
	log, err := history.Metrics(x.h, rec)
	if err != nil {
		return err
	}
	have := map[string]map[pointKey]int{}
	s := &server{x.client}
	for name := range there.metrics {
		of := map[pointKey]int{}
		for p, err := range s.points(ctx, there, name) {
			if err != nil {
				return err
			}
			of[p.key()]++
		}
		have[name] = of
	}
	for p, err := range log.Read(ctx, nil) {
		if err != nil {
			return err
		}
		value, isNumber := number(p)
		if !isNumber {
			x.leave(kindsLeftOut[p.Kind], 1)
			continue
		}
		at := point{p.Step, p.Time.UnixMilli(), value}
		if of := have[p.Name]; of[at.key()] > 0 {
			of[at.key()]--
			continue
		}
		if err := b.log(ctx, p.Name, at); err != nil {
			return err
		}
	}
	return nil
}

// number gives the value of a point as MLflow keeps it.
func number(p metrics.Point) (float64, bool) {
	switch v := p.Value.(type) {
	case float64:
		return v, p.Kind == metrics.KindScalar
	case int64:
		return float64(v), p.Kind == metrics.KindScalar
	case bool:
		return map[bool]float64{true: 1}[v], p.Kind == metrics.KindScalar
	}
	return 0, false
}

// kindsLeftOut are the reasons for which values are left out.
var kindsLeftOut = map[metrics.Kind]string{
	metrics.KindScalar: "texts that were logged as metrics", metrics.KindList: "lists", metrics.KindTable: "tables",
	metrics.KindImage: "images' places among the metrics", metrics.KindConfusionMatrix: "charts", metrics.KindAccuracyTable: "charts",
	metrics.KindResiduals: "charts", metrics.KindPredictions: "charts",
}

// dataset gives what is known of a dataset as a message has it.
func (x *exporter) dataset(ctx context.Context, of record.Run, d record.DatasetInput) (map[string]any, error) {
	known, err := core.Get[record.RunDataset](ctx, x.h, history.DatasetKey(of, d.Name, d.Digest))
	if err != nil {
		return nil, err
	}
	about := map[string]any{"name": d.Name, "digest": d.Digest, "source_type": known.Value.SourceType, "source": known.Value.Source}
	if known.Value.SchemaText != "" {
		about["schema"] = known.Value.SchemaText
	}
	if known.Value.Profile != "" {
		about["profile"] = known.Value.Profile
	}
	return about, nil
}
