// Command azml-onnx serves endpoints of a workspace whose deployments are ONNX models,
// until it is interrupted:
//
//	azml endpoint deploy iris --model iris:1
//	azml-onnx -workspace ml iris
//
// Other deployments of the endpoints are served as azml endpoint serve does, but for Go
// functions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/otel/metric"

	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/endpoint/inferencegrpc"
	"github.com/azml-go/azml/internal/exposition"
	"github.com/azml-go/azml/onnx"
	"github.com/azml-go/azml/workspace"
)

// settings are what the flags say.
type settings struct {
	workspace, python, address, grpc string
	certificate, key, metrics        string
	options                          onnx.Options
	endpoint                         string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "azml-onnx:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("azml-onnx", flag.ContinueOnError)
	flags.StringVar(&s.workspace, "workspace", "", "folder or URL of the `workspace` (default: the one that config.json names)")
	flags.StringVar(&s.options.Library, "library", "", "shared `library` of ONNX Runtime (default: that of the Python package onnxruntime)")
	flags.StringVar(&s.python, "python", "python3", "`interpreter` whose package onnxruntime has the library")
	flags.IntVar(&s.options.Threads, "threads", 0, "threads of one call of a model (default 1)")
	flags.StringVar(&s.address, "address", "", "host:port to listen on (default: a free port of the loopback interface)")
	flags.StringVar(&s.grpc, "grpc", "", "host:port for the Open Inference Protocol over gRPC (default: none)")
	flags.StringVar(&s.metrics, "metrics-address", "", "host:port of the loopback interface at which Prometheus finds this process's metrics, under /metrics (default: none)")
	flags.StringVar(&s.certificate, "tls-cert", "", "`file` with the certificate (PEM) for HTTPS; a renewed one is taken within a second")
	flags.StringVar(&s.key, "tls-key", "", "`file` with the certificate's key")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if (s.certificate == "") != (s.key == "") {
		return s, fmt.Errorf("give both -tls-cert and -tls-key, or none")
	}
	if flags.NArg() != 1 {
		return s, fmt.Errorf("name the endpoint to serve: azml-onnx [flags] NAME")
	}
	s.endpoint = flags.Arg(0)
	return s, nil
}

// open opens the workspace in a folder or at a URL, or the one that config.json names.
func open(ctx context.Context, location string, meters metric.MeterProvider) (*workspace.Workspace, error) {
	switch {
	case location == "":
		return azure.FromConfig(ctx, "", &azure.Options{MeterProvider: meters})
	case azure.IsURL(location):
		return azure.Open(ctx, location, &azure.Options{MeterProvider: meters})
	}
	return workspace.Open(ctx, location, &workspace.OpenOptions{MustExist: true, MeterProvider: meters})
}

// run serves the endpoint until ctx ends, or somebody stops or deletes it, with metrics
// where they are wanted.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	s, err := parse(args)
	if err != nil {
		return err
	}
	if s.metrics == "" {
		return serve(ctx, s, nil, out)
	}
	measured, err := exposition.Serve(ctx, s.metrics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, measured.Close(context.WithoutCancel(ctx))) }()
	fmt.Fprintf(out, "Metrics for Prometheus are at %s\n", measured.URL())
	return serve(ctx, s, measured.Meters(), out)
}

// serve serves the endpoint.
func serve(ctx context.Context, s settings, meters metric.MeterProvider, out io.Writer) (err error) {
	if s.options.Library == "" {
		if s.options.Library, err = onnx.FindLibrary(ctx, s.python); err != nil {
			return err
		}
	}
	runtime, err := onnx.New(ctx, &s.options)
	if err != nil {
		return err
	}
	ws, err := open(ctx, s.workspace, meters)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ws.Close(context.WithoutCancel(ctx))) }()
	opts := &endpoint.ServeOptions{Runtimes: []endpoint.Runtime{runtime}, Address: s.address, CertificateFile: s.certificate, KeyFile: s.key}
	if s.grpc != "" {
		opts.GRPC = inferencegrpc.Listen(s.grpc)
	}
	ep, err := ws.Endpoints().Serve(ctx, s.endpoint, opts)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s is served at %s/score\n", s.endpoint, ep.URL())
	if err := ep.Wait(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
