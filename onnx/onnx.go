// Package onnx serves ONNX models without a script: it gives package endpoint a
// runtime that loads them into the serving process. It is a module of its own because it
// needs cgo and, when it runs, Microsoft's shared library of ONNX Runtime; nothing else
// of azml does.
//
//	runtime, err := onnx.New(ctx, nil)
//	…
//	ep, err := ws.Endpoints().Deploy(ctx, "iris", endpoint.Config{Model: m}, &endpoint.DeployOptions{
//		Serve: &endpoint.ServeOptions{Runtimes: []endpoint.Runtime{runtime}}})
//
// The command azml-onnx serves endpoints of a workspace in that way.
package onnx

import (
	"context"
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/model"
)

// Options are the options of New.
type Options struct {
	// Library is the path of the shared library of ONNX Runtime 1.24 or newer;
	// when empty, that of the Python package onnxruntime, see FindLibrary.
	Library string
	// Threads is how many threads one call of a model uses, 1 when zero. Of a model
	// that takes long for one request more make it answer sooner; calls of several
	// requests at once, see endpoint.Config.MaxConcurrent, use the processors better.
	Threads int
}

// Runtime loads ONNX models; it implements endpoint.Runtime. It is safe for
// concurrent use.
type Runtime struct{ threads int }

// library is what this process has loaded: one, which stays.
var library struct {
	sync.Mutex
	path string
}

// New gives a runtime. The shared library stays loaded until the process ends.
// Errors: ErrNotFound without a library; ErrInvalid when it is none, or too old;
// ErrConflict when this process has loaded another one.
func New(ctx context.Context, opts *Options) (*Runtime, error) {
	if opts == nil {
		opts = &Options{}
	}
	if opts.Threads < 0 {
		return nil, fmt.Errorf("%w: Threads is negative", azml.ErrInvalid)
	}
	path := opts.Library
	if path == "" {
		found, err := FindLibrary(ctx, "python3")
		if err != nil {
			return nil, err
		}
		path = found
	}
	library.Lock()
	defer library.Unlock()
	if library.path == "" {
		ort.SetSharedLibraryPath(path)
		if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
			return nil, fmt.Errorf("%w: load ONNX Runtime from %s (1.24 or newer is needed): %w", azml.ErrInvalid, path, err)
		}
		library.path = path
	}
	if library.path != path {
		return nil, fmt.Errorf("%w: this process has loaded ONNX Runtime from %s, and can't load %s", azml.ErrConflict, library.path, path)
	}
	return &Runtime{max(opts.Threads, 1)}, nil
}

// Format gives endpoint.FormatONNX.
func (*Runtime) Format() string { return endpoint.FormatONNX }

// Load loads a model from a file. Errors: ErrInvalid when it is none, or takes or
// gives what can't be served.
func (r *Runtime) Load(_ context.Context, path string) (endpoint.Predictor, error) {
	return r.load(path)
}

// Signature gives what the model in a file takes and gives, such as
// model.RegisterOptions.Signature wants it. Errors: as Load.
func (r *Runtime) Signature(path string) (*model.Signature, error) {
	s, err := r.load(path)
	if err != nil {
		return nil, err
	}
	says := s.Signature()
	return &says, s.Close()
}
