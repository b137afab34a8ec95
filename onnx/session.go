package onnx

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/model"
)

// session is a loaded model.
type session struct {
	ort       *ort.DynamicAdvancedSession
	signature model.Signature
	// unbound says that outputs have other shapes than the model says, so the
	// memory for them can't be given.
	unbound atomic.Bool
}

func (r *Runtime) load(path string) (_ *session, err error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	for _, set := range []error{options.SetIntraOpNumThreads(r.threads), options.SetInterOpNumThreads(1),
		// Threads that wait for work by spinning take the processors from other calls.
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0")} {
		if set != nil {
			return nil, set
		}
	}
	inputs, outputs, err := ort.GetInputOutputInfoWithOptions(path, options)
	if err != nil {
		return nil, fmt.Errorf("%w: no ONNX model: %w", azml.ErrInvalid, err)
	}
	s := &session{}
	for _, side := range []struct {
		info []ort.InputOutputInfo
		to   *[]model.Field
	}{{inputs, &s.signature.Inputs}, {outputs, &s.signature.Outputs}} {
		for _, info := range side.info {
			f, err := fieldOf(info, side.to == &s.signature.Outputs)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
			}
			*side.to = append(*side.to, f)
		}
	}
	s.ort, err = ort.NewDynamicAdvancedSession(path, names(s.signature.Inputs), names(s.signature.Outputs), options)
	if err != nil {
		return nil, fmt.Errorf("%w: no ONNX model that can be run: %w", azml.ErrInvalid, err)
	}
	return s, nil
}

func names(fields []model.Field) (list []string) {
	for _, f := range fields {
		list = append(list, f.Name)
	}
	return list
}

// Signature gives the tensors.
func (s *session) Signature() model.Signature { return s.signature }

// Close frees the model.
func (s *session) Close() error { return s.ort.Destroy() }

// Predict runs the model on the memory of the inputs.
func (s *session) Predict(ctx context.Context, inputs []endpoint.Tensor) (outputs []endpoint.Tensor, err error) {
	var held holder
	defer func() { err = errors.Join(err, held.free()) }()
	given := make([]ort.Value, len(inputs))
	for i, t := range inputs {
		if given[i], err = held.bind(t); err != nil {
			return nil, fmt.Errorf("input %q: %w", t.Name, err)
		}
	}
	opts, err := ort.NewRunOptions()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opts.Destroy()) }()
	if end, bounded := ctx.Deadline(); bounded {
		defer stopAt(end, opts)()
	}
	results, err := s.room(&held, inputs)
	if err != nil {
		return nil, err
	}
	bound := slices.ContainsFunc(results, func(v ort.Value) bool { return v != nil })
	err = s.ort.RunWithOptions(given, results, opts)
	if err != nil && bound && ctx.Err() == nil {
		results = make([]ort.Value, len(s.signature.Outputs))
		if err = s.ort.RunWithOptions(given, results, opts); err == nil {
			s.unbound.Store(true)
		}
	}
	if err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	return s.outputs(&held, results)
}

// stopAt has a run end at a time, unless what it gives is called before; that returns
// when opts is used no more.
func stopAt(end time.Time, opts *ort.RunOptions) func() {
	ended := make(chan struct{})
	timer := time.AfterFunc(time.Until(end), func() {
		defer close(ended)
		_ = opts.Terminate() // a run that does not end is answered as late all the same
	})
	return func() {
		if !timer.Stop() {
			<-ended
		}
	}
}

// room gives the memory for outputs whose shapes follow from the number of rows; nil
// for those that the run is to make.
func (s *session) room(held *holder, inputs []endpoint.Tensor) ([]ort.Value, error) {
	results := make([]ort.Value, len(s.signature.Outputs))
	if s.unbound.Load() {
		return results, nil
	}
	for i, f := range s.signature.Outputs {
		shape := make([]int64, len(f.Shape))
		for d, n := range f.Shape {
			if shape[d] = int64(n); d == 0 && n == -1 {
				shape[d] = inputs[0].Shape[0]
			}
		}
		if slices.Contains(shape, -1) {
			continue
		}
		t, ok := empty(f, shape)
		if !ok {
			continue
		}
		var err error
		if results[i], err = held.bind(t); err != nil {
			return nil, fmt.Errorf("output %q: %w", f.Name, err)
		}
	}
	return results, nil
}

// outputs gives what a run has given.
func (s *session) outputs(held *holder, results []ort.Value) ([]endpoint.Tensor, error) {
	outputs := make([]endpoint.Tensor, len(results))
	for _, v := range results {
		held.keep(v)
	}
	for i, v := range results {
		t, err := tensorOf(v)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", s.signature.Outputs[i].Name, err)
		}
		t.Name = s.signature.Outputs[i].Name
		outputs[i] = t
	}
	return outputs, nil
}

// holder keeps values of one run, and the Go memory that they are bound to where it is.
type holder struct {
	values []ort.Value
	pins   runtime.Pinner
}

// keep has the value freed, unless it is already kept.
func (h *holder) keep(v ort.Value) {
	if !slices.Contains(h.values, v) {
		h.values = append(h.values, v)
	}
}

// free frees all values. Go memory that they were bound to stays.
func (h *holder) free() (err error) {
	for _, v := range h.values {
		err = errors.Join(err, v.Destroy())
	}
	h.pins.Unpin()
	return err
}
