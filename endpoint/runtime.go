package endpoint

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/model"
)

// FormatONNX is the format of models in one file that ends in .onnx.
const FormatONNX = "onnx"

// Runtime loads models of one format into the serving process, so that they are
// served without a script. The module github.com/azml-go/azml/onnx has one; programs
// without it don't link what it needs. It must be safe for concurrent use.
type Runtime interface {
	// Format is what it loads: FormatONNX.
	Format() string
	// Load loads the model whose file has this path; the model's other files lie
	// where they are in the model, until Close. Errors: ErrInvalid when the file is no
	// such model, or one that can't be served.
	Load(ctx context.Context, path string) (Predictor, error)
}

// Predictor is a model that a Runtime has loaded. It must be safe for concurrent use.
type Predictor interface {
	// Signature gives the tensors that it takes and gives: names, which are not empty,
	// NumPy's types, and shapes with -1 for any length. Requests are held against
	// it, so Predict gets nothing else. Where the first dimension of all is free,
	// rows of several requests are given to Predict together, unless a trial shows
	// that what it gives for a row depends on the others.
	Signature() model.Signature
	// Predict gives the outputs for all inputs, which come in the order of the
	// signature. It may use the inputs' memory until it returns, and doesn't change
	// it; the outputs' is the caller's. It is to end soon after ctx does. An error that wraps
	// azml.ErrInvalid is the client's fault, and shown to it.
	Predict(ctx context.Context, inputs []Tensor) (outputs []Tensor, err error)
	// Close frees it. No call of Predict is under way then, and none comes later.
	Close() error
}

// Tensor is a named array of values.
type Tensor struct {
	// Name is the tensor's name.
	Name string
	// Shape is the length of each dimension.
	Shape []int64
	// Data are the values in row-major order: a slice of float32, float64, int8 to
	// int64, uint8 to uint64, bool or string.
	Data any
}

// runtimeOf gives what this process has for models of a format, nil when nothing.
func (s *host) runtimeOf(format string) Runtime {
	for _, r := range s.opts.Runtimes {
		if r.Format() == format {
			return r
		}
	}
	return nil
}

// loader gives what loads the model of a deployment into this process, whose files
// it places there.
func (s *host) loader(ctx context.Context, d *record.EndpointDeployment, models []*model.Model, one *running) (func(context.Context) (scoring.Scorer, error), error) {
	var err error
	if one.dir, err = newWorkDir(s.c.h, s.name); err != nil {
		return nil, err
	}
	s.progress(ctx, "fetching the model of deployment %s", d.Name)
	dir, err := placeModels(ctx, one.dir.path, models, false)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, filepath.FromSlash(d.ModelFile))
	return func(ctx context.Context) (scoring.Scorer, error) {
		p, err := s.runtimeOf(d.ModelFormat).Load(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", d.ModelFile, err)
		}
		return tensorScorer(ctx, p, batching(d, runtime.GOMAXPROCS(0)), s.logger())
	}, nil
}

// tensorScorer makes a scorer of a loaded model, or closes that.
func tensorScorer(ctx context.Context, p Predictor, how scoring.Batching, log *slog.Logger) (scoring.Scorer, error) {
	says := p.Signature()
	loaded := scoring.TensorModel{Inputs: tensors(says.Inputs), Outputs: tensors(says.Outputs), Close: p.Close,
		Predict: func(ctx context.Context, inputs []scoring.Tensor) ([]scoring.Tensor, error) {
			given := make([]Tensor, len(inputs))
			for i, t := range inputs {
				given[i] = Tensor(t)
			}
			got, err := p.Predict(ctx, given)
			outputs := make([]scoring.Tensor, len(got))
			for i, t := range got {
				outputs[i] = scoring.Tensor(t)
			}
			return outputs, err
		}}
	err := checkTensors(says)
	var scorer scoring.Scorer
	if err == nil {
		scorer, err = scoring.Tensors(ctx, loaded, how, log)
	}
	if err != nil {
		_ = p.Close() // it serves nothing, and why is more to the point
		return nil, err
	}
	return scorer, nil
}

// checkTensors tells of a type that can't be served.
func checkTensors(says model.Signature) error {
	for _, f := range slices.Concat(says.Inputs, says.Outputs) {
		if tensors([]model.Field{f}) == nil {
			return fmt.Errorf("%w: the tensor %q is %s, which can't be served", azml.ErrInvalid, f.Name, f.Type)
		}
	}
	return nil
}

// batching gives how a deployment's requests are sent together.
func batching(d *record.EndpointDeployment, slots int) scoring.Batching {
	if d.MaxConcurrent > 0 {
		slots = d.MaxConcurrent
	}
	return scoring.Batching{Slots: slots, Most: d.MaxBatch, Wait: microseconds(d.MaxBatchWait), Whole: d.AtMostOnce}
}
