package main

import (
	"context"
	"fmt"

	"github.com/guptarohit/asciigraph"

	"github.com/azml-go/azml/run"
)

// plot draws a metric of a run as the workspace has it.
func plot(ctx context.Context, r *run.Run, name string) error {
	var values []float64
	for m, err := range r.Metrics(ctx, &run.MetricsOptions{Names: []string{name}}) {
		if err != nil {
			return err
		}
		if v, ok := m.Number(); ok {
			values = append(values, v)
		}
	}
	fmt.Println(asciigraph.Plot(values, asciigraph.Height(8), asciigraph.Width(64), asciigraph.Offset(8),
		asciigraph.Precision(3), asciigraph.Caption(fmt.Sprintf("%s of %d epochs", name, len(values)))))
	fmt.Println()
	return nil
}
