package main

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
	"go.opentelemetry.io/otel/sdk/metric"
)

// metricsHelp is what --metrics-address does.
const metricsHelp = "HOST:PORT of the loopback interface at which Prometheus finds this process's metrics, under /metrics (default: none)"

// measured runs fn while Prometheus can ask for the metrics of the workspaces that
// it opens; without an address just fn.
func (a *app) measured(ctx context.Context, address string, fn func() error) (err error) {
	if address == "" {
		return fn()
	}
	if err := checkMetrics(address); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		return err
	}
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	a.meters = meters
	a.say("Metrics for Prometheus are at http://%s/metrics.", listener.Addr())
	defer func() { err = errors.Join(err, server.Close(), meters.Shutdown(context.WithoutCancel(ctx))) }()
	return fn()
}

// checkMetrics refuses an address for metrics that others than this machine reach.
func checkMetrics(address string) error {
	if address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usage("--metrics-address %q: use a port of the loopback interface, such as 127.0.0.1:9464; who asks from elsewhere needs a proxy that knows him", address)
	}
	return nil
}
