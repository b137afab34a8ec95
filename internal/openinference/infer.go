package openinference

import (
	"context"
	"errors"
	"fmt"

	"github.com/azml-go/azml"
)

// Response is the answer to a Request.
type Response struct {
	// ModelName is the model that was asked.
	ModelName string `json:"model_name"`
	// ModelVersion is its version.
	ModelVersion string `json:"model_version,omitempty"`
	// ID is the request's.
	ID string `json:"id,omitempty"`
	// Outputs are the tensors that it gives.
	Outputs []Tensor `json:"outputs"`
}

// Infer asks the model, or who takes its place at this very moment. Errors: ErrInvalid naming the tensor, and those of Score.
func (m *Model) Infer(ctx context.Context, req *Request) (*Response, error) {
	if err := req.Check(); err != nil {
		return nil, err
	}
	if err := checkInputs(req.Inputs, m.Metadata.Inputs); err != nil {
		return nil, err
	}
	outputs, err := m.ask(ctx, req)
	if errors.Is(err, ErrReplaced) && m.Successor != nil {
		next, err := m.Successor(ctx)
		if err != nil {
			return nil, err
		}
		return next.Infer(ctx, req)
	}
	if err != nil {
		return nil, err
	}
	if outputs, err = req.pick(outputs); err != nil {
		return nil, err
	}
	return &Response{m.Metadata.Name, m.Version, req.ID, outputs}, nil
}

// ask asks the model in its own way.
func (m *Model) ask(ctx context.Context, req *Request) ([]Tensor, error) {
	if m.Tensors != nil {
		return m.Tensors(ctx, req.Inputs)
	}
	said, err := m.Score(ctx, req.Body())
	if err != nil {
		return nil, err
	}
	return Outputs(said, m.Metadata.Outputs)
}

// checkInputs holds the tensors against what the model says it takes.
func checkInputs(inputs []Tensor, described []TensorMetadata) error {
	if len(described) == 0 {
		return nil
	}
	byName := map[string]TensorMetadata{}
	for _, m := range described {
		byName[m.Name] = m
	}
	for _, t := range inputs {
		m, there := byName[t.Name]
		if !there && len(described) == 1 && described[0].Name == "" {
			m, there = described[0], true
		}
		if !there {
			return fmt.Errorf("%w: the model has no input %q", azml.ErrInvalid, t.Name)
		}
		delete(byName, m.Name)
		if err := m.takes(t); err != nil {
			return fmt.Errorf("%w: input %q: %w", azml.ErrInvalid, t.Name, err)
		}
	}
	for name := range byName {
		return fmt.Errorf("%w: the input %q is missing", azml.ErrInvalid, name)
	}
	return nil
}

func (m TensorMetadata) takes(t Tensor) error {
	if m.Datatype != t.Datatype {
		return fmt.Errorf("it is %s, the model takes %s", t.Datatype, m.Datatype)
	}
	fits := len(m.Shape) == len(t.Shape)
	for i := 0; fits && i < len(m.Shape); i++ {
		fits = m.Shape[i] == -1 || m.Shape[i] == t.Shape[i]
	}
	if !fits {
		return fmt.Errorf("its shape is %v, the model takes %v", t.Shape, m.Shape)
	}
	return nil
}
