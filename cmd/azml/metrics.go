package main

import (
	"context"
	"errors"

	"github.com/azml-go/azml/internal/exposition"
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
	server, err := exposition.Serve(ctx, address)
	if err != nil {
		return err
	}
	a.meters = server.Meters()
	a.say("Metrics for Prometheus are at %s.", server.URL())
	defer func() { err = errors.Join(err, server.Close(context.WithoutCancel(ctx))) }()
	return fn()
}

// checkMetrics makes an address that others than this machine reach an error of usage.
func checkMetrics(address string) error {
	if address == "" {
		return nil
	}
	if err := exposition.Check(address); err != nil {
		return usageError{err}
	}
	return nil
}
