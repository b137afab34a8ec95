package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/run"
)

// The size of a chart in characters, and how many points of a metric of any
// length are kept for it.
const (
	chartHeight = 12
	leastWidth  = 20
	mostWidth   = 120
	chartPoints = 4096
)

// plotFlags say how charts are drawn.
type plotFlags struct {
	plot   bool
	log    bool
	smooth float64
}

func (f *plotFlags) add(cmd *cobra.Command, help string) {
	cmd.Flags().BoolVar(&f.plot, "plot", false, help)
	cmd.Flags().BoolVar(&f.log, "log-y", false, "with --plot: a logarithmic axis of values")
	cmd.Flags().Float64Var(&f.smooth, "smooth", 0, "with --plot: smooth by this weight of the past, 0 to below 1, as TensorBoard does")
}

// check finds what is wrong with the flags.
func (f *plotFlags) check() error {
	switch {
	case !f.plot && (f.log || f.smooth != 0):
		return usage("--log-y and --smooth are about charts: add --plot")
	case !(f.smooth >= 0 && f.smooth < 1):
		return usage("--smooth %v: give a weight from 0 to below 1, such as 0.6", f.smooth)
	}
	return nil
}

// chart gives an empty chart as wide as the output.
func (a *app) chart(f *plotFlags) *terminal.Chart {
	return &terminal.Chart{Style: a.style(), Width: min(a.width(), mostWidth), Height: chartHeight, Log: f.log}
}

// style says what the standard output can show.
func (a *app) style() terminal.Style {
	return terminal.NewStyle(os.Getenv, terminal.IsTerminal(a.stdout))
}

// width gives the number of columns to draw in.
func (a *app) width() int { return widthOf(a.stdout) }

// widthOf gives the number of columns of a terminal, the usual one for what is
// none.
func widthOf(stream any) int {
	const usual = 80
	if f, ok := stream.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return max(leastWidth, columns)
		}
	}
	return usual
}

// curves are the curves of the metrics of a run, in the order of their first
// values.
type curves struct {
	names  []string
	byName map[string]*curve
}

// curve is the shape of a metric, smoothed by an average in which the past
// counts less and less. The average begins at 0, so it is divided by the
// weight of what it has seen.
type curve struct {
	series               *terminal.Series
	weight, average, sum float64
}

func (c *curve) add(x, y float64) {
	c.average = c.weight*c.average + (1-c.weight)*y
	c.sum = c.weight*c.sum + (1 - c.weight)
	c.series.Add(x, c.average/c.sum)
}

// series gives the metric's shape, an empty one when there is none.
func (c *curves) series(name string) *terminal.Series {
	if one := c.byName[name]; one != nil {
		return one.series
	}
	return terminal.NewSeries(0)
}

// curves reads the metrics of these names, of all when there are none, that
// are wanted, as all are when wanted is nil.
func (f *plotFlags) curves(ctx context.Context, r *run.Run, names []string, wanted func(name string) bool) (*curves, error) {
	all := &curves{byName: map[string]*curve{}}
	for m, err := range r.Metrics(ctx, &run.MetricsOptions{Names: names}) {
		if err != nil {
			return nil, err
		}
		y, ok := m.Number()
		if !ok || y-y != 0 || !fits(wanted, m.Name) { // NaN and infinite numbers have no place in a chart
			continue
		}
		c := all.byName[m.Name]
		if c == nil {
			c = &curve{series: terminal.NewSeries(chartPoints), weight: f.smooth}
			all.byName[m.Name] = c
			all.names = append(all.names, m.Name)
		}
		c.add(float64(m.Step), y)
	}
	return all, nil
}

// plotMetrics draws a chart of each metric that has numbers, or of all in one.
func (a *app) plotMetrics(ctx context.Context, r *run.Run, f *metricsFlags) error {
	all, err := f.plot.curves(ctx, r, f.names, nil)
	if err != nil {
		return err
	}
	ofMachine := func(name string) bool { return strings.HasPrefix(name, run.SystemPrefix) }
	all.names = slices.Concat(slices.DeleteFunc(slices.Clone(all.names), ofMachine),
		slices.DeleteFunc(all.names, func(name string) bool { return !ofMachine(name) }))
	if len(all.names) == 0 {
		a.say("No metrics with numbers to draw.")
	}
	if f.overlay && len(all.names) > 1 {
		chart := a.chart(&f.plot)
		for _, name := range all.names {
			chart.Add(name, all.series(name))
		}
		return a.draw(chart, "")
	}
	for i, name := range all.names {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		chart := a.chart(&f.plot)
		chart.Add(name, all.series(name))
		if err := a.draw(chart, name); err != nil {
			return err
		}
	}
	return nil
}

// draw writes a chart below its title.
func (a *app) draw(chart *terminal.Chart, title string) error {
	if title != "" {
		fmt.Fprintln(a.stdout, chart.Style.Paint(terminal.Bold, chart.Style.Fit(title, chart.Width)))
	}
	text := chart.Draw()
	if text == "" {
		a.say("No values above 0, which --log-y needs.")
	}
	_, err := fmt.Fprint(a.stdout, text)
	return err
}
