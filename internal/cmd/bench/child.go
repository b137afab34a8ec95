package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/workspace"
)

// childFlag as the first argument makes this program one of its own children:
// a server, so that its CPU time is its own, or the command that is submitted.
const (
	childFlag  = "-child"
	childClock = "clock"
	childLog   = "log"
	childBare  = "bare"
	// childObserved is childGo with the metrics and a hundredth of the traces of OpenTelemetry.
	childObserved = "observed"
	childGo       = "go"
	childPython   = "python"
	childScript   = "script"
	childStream   = "stream"
	childTable    = "table"
)

// childProfile is the variable with the file for a child's CPU profile.
const childProfile = "AZML_BENCH_PROFILE"

// target is a server to be loaded.
type target struct {
	// Address is its host and port.
	Address string `json:"address"`
	// Key is what it asks for.
	Key string `json:"key"`
}

// noopAnswer is what the function that does nothing answers, and the floor.
const noopAnswer = `{"ok":true}`

const noopScript = "def init(): pass\ndef run(data): return {'ok': True}\n"

// child does what the arguments say and gives the exit code.
func child(ctx context.Context, args []string) int {
	err := fmt.Errorf("wrong arguments %q", args)
	switch {
	case len(args) == 2 && args[0] == childClock:
		err = os.WriteFile(args[1], strconv.AppendInt(nil, time.Now().UnixNano(), 10), 0o600)
	case len(args) == 2 && args[0] == childLog:
		err = logAndDie(ctx, args[1])
	case len(args) == 1 && args[0] == childBare:
		err = serveBare()
	case len(args) == 1 && args[0] == childStream:
		err = stream(ctx)
	case len(args) == 3 && args[0] == childTable:
		err = readGenerated(ctx, args[1], args[2])
	case len(args) == 6 && args[0] == childScript:
		err = serveScript(ctx, args[1:])
	case len(args) == 2:
		err = serveEndpoint(ctx, args[0], args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// announce tells the parent where the server is and waits until the parent
// closes the standard input, or dies.
func announce(t target) error {
	if err := json.NewEncoder(os.Stdout).Encode(t); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// serveBare is the floor: net/http that reads the body and answers.
func serveBare() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, noopAnswer)
	})}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	return announce(target{Address: listener.Addr().String()})
}

// serveEndpoint deploys an endpoint with key authentication.
func serveEndpoint(ctx context.Context, kind, dir string) error {
	opts := optionsIn(dir)
	if kind == childObserved {
		meters := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
		defer func() { _ = meters.Shutdown(context.WithoutCancel(ctx)) }()
		tracers := trace.NewTracerProvider(trace.WithSampler(trace.ParentBased(trace.TraceIDRatioBased(0.01))))
		defer func() { _ = tracers.Shutdown(context.WithoutCancel(ctx)) }()
		opts.MeterProvider, opts.TracerProvider = meters, tracers
	}
	ws, err := workspace.Open(ctx, filepath.Join(dir, "workspace"), opts)
	if err != nil {
		return err
	}
	defer ws.Close(context.WithoutCancel(ctx))
	config := endpoint.Config{Handler: func(context.Context, json.RawMessage) (any, error) { return json.RawMessage(noopAnswer), nil }}
	if kind == childPython {
		source := filepath.Join(dir, "source")
		if err := os.MkdirAll(source, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(source, "score.py"), []byte(noopScript), 0o600); err != nil {
			return err
		}
		config = endpoint.Config{Script: &endpoint.Script{Source: source, EntryScript: "score.py"}}
	}
	ep, err := ws.Endpoints().Deploy(ctx, "noop", config, nil)
	if err != nil {
		return err
	}
	return announceEndpoint(ctx, ep)
}

// announceEndpoint is announce for an endpoint, which it stops then.
func announceEndpoint(ctx context.Context, ep *endpoint.Endpoint) error {
	keys, err := ep.Keys(ctx)
	if err != nil {
		return err
	}
	return errors.Join(announce(target{Address: ep.URL()[len("http://"):], Key: keys.Primary}), ep.Stop(context.WithoutCancel(ctx)))
}
