package scoring

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
)

// TensorModel is a model that was loaded into this process.
type TensorModel struct {
	// Inputs are the tensors that it takes, all of them, with -1 for any length.
	Inputs []openinference.TensorMetadata
	// Outputs are those that it gives.
	Outputs []openinference.TensorMetadata
	// Predict gives the outputs for inputs, in the order of Inputs, of the types and
	// shapes that these say. It is called by as many goroutines at once as there are
	// slots. It keeps no inputs, and doesn't change them.
	Predict func(ctx context.Context, inputs []Tensor) ([]Tensor, error)
	// Close frees it.
	Close func() error
}

// Tensors makes a scorer of a loaded model. Requests are sent together along the first
// dimension, where that of all inputs and outputs is free, and where a trial shows that
// the model gives each row what it gives it alone. Errors: ErrInvalid.
func Tensors(ctx context.Context, m TensorModel, cfg Batching, log *slog.Logger) (Scorer, error) {
	s := &tensorModel{model: m}
	if len(m.Inputs) == 0 {
		return nil, fmt.Errorf("%w: the model takes no inputs", azml.ErrInvalid)
	}
	for _, t := range slices.Concat(m.Inputs, m.Outputs) {
		if _, known := kinds[t.Datatype]; !known {
			return nil, fmt.Errorf("%w: the tensor %q is %s, which can't be served", azml.ErrInvalid, t.Name, t.Datatype)
		}
	}
	s.batcher.Batching, s.batcher.run = cfg.withDefaults(), s.predict
	if s.batcher.Most > 1 {
		if err := s.independent(ctx); err != nil {
			log.Info("requests are scored one by one", "reason", err)
			s.batcher.Most = 1
		}
	}
	return s, nil
}

type tensorModel struct {
	model   TensorModel
	batcher batcher[[]Tensor, prediction]
}

// prediction is what a model gives for a request.
type prediction struct {
	outputs []Tensor
	took    time.Duration // of the batch
}

// Ready gives nil: it is loaded.
func (*tensorModel) Ready() error { return nil }

// Traits gives the tensors.
func (s *tensorModel) Traits() Traits {
	return Traits{Ahead: true, Inputs: s.model.Inputs, Outputs: s.model.Outputs, Schema: tensorSchema(s.model.Inputs, s.model.Outputs)}
}

// Close frees the model.
func (s *tensorModel) Close(context.Context) error { return s.model.Close() }

// Ahead implements router.Ahead: the next batch.
func (s *tensorModel) Ahead() int { return s.batcher.ahead() }

// Together implements router.Together.
func (s *tensorModel) Together() int { return s.batcher.together() }

// Score scores tensors, or the JSON of a POST request.
func (s *tensorModel) Score(ctx context.Context, req *Request) (*Response, error) {
	inputs := req.tensors
	if inputs == nil {
		if req.Method != http.MethodPost {
			return nil, fmt.Errorf("%w: send the model's inputs by POST: it takes %s", azml.ErrInvalid, described(s.model.Inputs))
		}
		var err error
		if inputs, err = readTensors(req.Body, s.model.Inputs); err != nil {
			return nil, err
		}
	}
	rows, bytes := 1, 0
	for i, t := range inputs {
		if values(t.Shape) == 0 {
			return nil, fmt.Errorf("%w: the input %q has no values", azml.ErrInvalid, t.Name)
		}
		bytes += int(values(t.Shape)) * max(s.model.Inputs[i].Datatype.Size(), 1)
	}
	alone := req.alone
	if len(inputs[0].Shape) > 0 {
		rows = int(inputs[0].Shape[0])
		alone = alone || slices.ContainsFunc(inputs, func(t Tensor) bool { return len(t.Shape) == 0 || t.Shape[0] != int64(rows) })
	}
	got, err := s.batcher.do(&member[[]Tensor, prediction]{ctx: ctx, begin: req.begin, limit: req.limit, in: inputs, weight: rows, bytes: bytes, kind: rest(inputs), alone: alone})
	if err != nil {
		return nil, err
	}
	if req.tensors != nil {
		return &Response{tensors: got.outputs, Elapsed: got.took}, nil
	}
	body, err := writeTensors(got.outputs)
	return &Response{Header: jsonHeader, Body: body, Elapsed: got.took}, err
}

// rest tells requests apart that don't fit together: by the lengths of all dimensions
// but the first, where these are free.
func rest(inputs []Tensor) string {
	var key []byte
	for _, t := range inputs {
		if len(t.Shape) > 0 {
			key = fmt.Append(key, t.Shape[1:])
		}
	}
	return string(key)
}

// predict scores the rows of several requests as one.
func (s *tensorModel) predict(ctx context.Context, requests [][]Tensor) ([]outcome[prediction], error) {
	inputs := requests[0]
	if len(requests) > 1 {
		inputs = joined(requests, s.model.Inputs)
	}
	began := time.Now()
	outputs, err := s.model.Predict(ctx, inputs)
	if err != nil {
		return nil, ofUser(ctx, err)
	}
	took := max(time.Since(began), 1)
	if len(requests) == 1 {
		return []outcome[prediction]{{value: prediction{outputs, took}}}, nil
	}
	total := int64(0)
	for _, inputs := range requests {
		total += inputs[0].Shape[0]
	}
	for i := range outputs {
		if _, err := outputs[i].check(); err != nil {
			return nil, err
		}
		if len(outputs[i].Shape) == 0 || outputs[i].Shape[0] != total {
			return nil, fmt.Errorf("output %q of %d rows has the shape %v", outputs[i].Name, total, outputs[i].Shape)
		}
	}
	outs := make([]outcome[prediction], len(requests))
	from := int64(0)
	for i, inputs := range requests {
		to := from + inputs[0].Shape[0]
		outs[i].value = prediction{rows(outputs, from, to), took}
		from = to
	}
	return outs, nil
}

// joined gives the rows of all requests, whose tensors are alike but for their number.
func joined(requests [][]Tensor, inputs []openinference.TensorMetadata) []Tensor {
	list := make([]Tensor, len(inputs))
	parts := make([]any, len(requests))
	for i, m := range inputs {
		shape := slices.Clone(requests[0][i].Shape)
		shape[0] = 0
		for j, tensors := range requests {
			parts[j] = tensors[i].Data
			shape[0] += tensors[i].Shape[0]
		}
		list[i] = Tensor{Name: m.Name, Shape: shape, Data: kinds[m.Datatype].join(parts)}
	}
	return list
}

// rows gives some of the rows of tensors, which share their memory.
func rows(of []Tensor, from, to int64) []Tensor {
	list := make([]Tensor, len(of))
	for i, t := range of {
		datatype, _ := datatypeOf(t.Data) // it was checked
		each := values(t.Shape[1:])
		list[i] = Tensor{Name: t.Name, Shape: slices.Concat([]int64{to - from}, t.Shape[1:]), Data: kinds[datatype].cut(t.Data, from*each, to*each)}
	}
	return list
}

// independent tells why requests can't be scored together: a free first dimension may
// be another than that of rows, and a model may compute with all of its rows.
func (s *tensorModel) independent(ctx context.Context) error {
	for _, t := range slices.Concat(s.model.Inputs, s.model.Outputs) {
		if len(t.Shape) == 0 || t.Shape[0] != -1 {
			return fmt.Errorf("the first dimension of %q is not free", t.Name)
		}
	}
	const kindsOfRows = 2
	var requests [][]Tensor
	var apart [][]Tensor
	for value := range kindsOfRows {
		var inputs []Tensor
		for _, m := range s.model.Inputs {
			shape := slices.Clone(m.Shape)
			for i := range shape {
				shape[i] = max(shape[i], 1)
			}
			inputs = append(inputs, Tensor{Name: m.Name, Shape: shape, Data: kinds[m.Datatype].fill(int(values(shape)), value)})
		}
		outputs, err := s.model.Predict(ctx, inputs)
		if err != nil {
			return fmt.Errorf("a trial failed: %w", err)
		}
		requests, apart = append(requests, inputs), append(apart, outputs)
	}
	outs, err := s.predict(ctx, requests)
	if err != nil {
		return fmt.Errorf("a trial with two rows failed: %w", err)
	}
	for i := range outs {
		for j, t := range outs[i].value.outputs {
			if alone := apart[i][j]; !slices.Equal(t.Shape, alone.Shape) || !near(t.Data, alone.Data) {
				return fmt.Errorf("in a trial with two rows the output %q of one depended on the other", t.Name)
			}
		}
	}
	return nil
}

// near tells whether values are equal, numbers with a fraction but for what another
// order of adding them up changes.
func near(a, b any) bool {
	const tolerance = 1e-4
	close := func(a, b float64) bool {
		return a == b || a != a && b != b || max(a-b, b-a) <= tolerance*max(a, -a, b, -b, 1)
	}
	switch a := a.(type) {
	case []float32:
		return slices.EqualFunc(a, b.([]float32), func(a, b float32) bool { return close(float64(a), float64(b)) })
	case []float64:
		return slices.EqualFunc(a, b.([]float64), close)
	}
	return reflect.DeepEqual(a, b)
}

// tensorSchema describes the tensors in the swagger documents.
func tensorSchema(inputs, outputs []openinference.TensorMetadata) *Schema {
	return &Schema{Input: objectSchema(inputs), Output: objectSchema(outputs)}
}

func objectSchema(list []openinference.TensorMetadata) json.RawMessage {
	properties, required := map[string]any{}, []string{}
	for _, m := range list {
		var values any = map[string]any{"type": schemaType(m.Datatype)}
		for range m.Shape {
			values = map[string]any{"type": "array", "items": values}
		}
		properties[m.Name], required = values, append(required, m.Name)
	}
	text, err := json.Marshal(map[string]any{"type": "object", "required": required, "properties": properties})
	if err != nil {
		panic("scoring: a schema can't be encoded: " + err.Error())
	}
	return text
}

func schemaType(datatype openinference.Datatype) string {
	switch datatype {
	case openinference.FP32, openinference.FP64:
		return "number"
	case openinference.Bool:
		return "boolean"
	case openinference.Bytes:
		return "string"
	}
	return "integer"
}
