// Package exposition lets Prometheus ask a process for its metrics.
package exposition

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/azml-go/azml"
)

// Server answers Prometheus. It is safe for concurrent use.
type Server struct {
	meters *sdk.MeterProvider
	http   *http.Server
	url    string
}

// Serve answers at an address, host:port of the loopback interface, until Close.
// Errors: ErrInvalid for an address that Check refuses.
func Serve(ctx context.Context, address string) (*Server, error) {
	if err := Check(address); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s := &Server{
		meters: sdk.NewMeterProvider(sdk.WithReader(reader)),
		http:   &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, MaxHeaderBytes: 16 << 10},
		url:    "http://" + listener.Addr().String() + "/metrics",
	}
	go func() { _ = s.http.Serve(listener) }() // it ends with Close
	return s, nil
}

// Meters is what the metrics come from.
func (s *Server) Meters() metric.MeterProvider { return s.meters }

// URL is where Prometheus finds them.
func (s *Server) URL() string { return s.url }

// Close ends it.
func (s *Server) Close(ctx context.Context) error {
	return errors.Join(s.http.Close(), s.meters.Shutdown(ctx))
}

// Check refuses, as ErrInvalid, an address for metrics that others than this machine reach.
func Check(address string) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%w: address %q for metrics: use a port of the loopback interface, such as 127.0.0.1:9464; who asks from elsewhere needs a proxy that knows him", azml.ErrInvalid, address)
	}
	return nil
}
