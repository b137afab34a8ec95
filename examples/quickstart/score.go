package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/model"
)

// request is what the endpoint takes.
type request struct {
	Rows [][]float64 `json:"rows"`
}

// response is what the endpoint gives: for each row, how likely it is of class 1.
type response struct {
	Probabilities []float64 `json:"probabilities"`
}

// handler loads a classifier from the registry and makes the function that
// answers the endpoint's requests.
func handler(ctx context.Context, m *model.Model) (endpoint.Handler, error) {
	file, err := m.Open(ctx, "")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var c classifier
	if err := json.NewDecoder(file).Decode(&c); err != nil {
		return nil, fmt.Errorf("read model %s: %w", m.ID(), err)
	}
	return func(_ context.Context, input json.RawMessage) (any, error) { return c.answer(input) }, nil
}

func (c *classifier) answer(input json.RawMessage) (any, error) {
	var in request
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err) // the caller's fault: status 400
	}
	out := response{Probabilities: make([]float64, len(in.Rows))}
	for i, row := range in.Rows {
		if len(row) != len(c.Weights) {
			return nil, fmt.Errorf("%w: row %d has %d numbers instead of %d", azml.ErrInvalid, i, len(row), len(c.Weights))
		}
		out.Probabilities[i] = c.probability(row)
	}
	return out, nil
}

// scoreAll sends the table's rows to the endpoint, some at a time, and gives the
// share that was answered right.
func scoreAll(ctx context.Context, ep *endpoint.Endpoint, t table) (accuracy float64, err error) {
	const batch = 25
	var probabilities []float64
	for rows := range slices.Chunk(t.rows, batch) {
		var out response
		if err := ep.InvokeJSON(ctx, request{Rows: rows}, &out, nil); err != nil {
			return 0, err
		}
		probabilities = append(probabilities, out.Probabilities...)
	}
	if len(probabilities) != len(t.rows) {
		return 0, fmt.Errorf("%d answers to %d rows", len(probabilities), len(t.rows))
	}
	right := 0
	for i, p := range probabilities {
		if class(p) == t.labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(t.rows)), nil
}
