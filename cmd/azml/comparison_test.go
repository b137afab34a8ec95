package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/run"
)

// compared gives a comparison of runs made up for it.
func compared(runs int) *run.Comparison {
	c := &run.Comparison{SameEnvironment: true}
	values := func(value func(i int) string) map[string]string {
		m := map[string]string{}
		for i := range runs {
			if text := value(i); text != "none" {
				m[fmt.Sprintf("churn_1764000000_%08d", i)] = text
			}
		}
		return m
	}
	loss, odd, phase := run.MetricComparison{Name: "val/loss", Summaries: map[string]run.Summary{}},
		run.MetricComparison{Name: "odd\x1b[2J 損失", Summaries: map[string]run.Summary{}}, run.MetricComparison{Name: "phase", Summaries: map[string]run.Summary{}}
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range runs {
		d := run.Details{RunID: fmt.Sprintf("churn_1764000000_%08d", i), Experiment: "churn", Status: run.StatusCompleted, Started: began,
			Ended: began.Add(time.Duration(i+1) * time.Minute), SnapshotID: strings.Repeat(fmt.Sprint(i), 64), Environment: "python:1"}
		c.Runs = append(c.Runs, d)
		v := float64(i+1) / 8
		loss.Summaries[d.RunID] = run.Summary{Name: loss.Name, Last: run.Metric{Value: v}, Min: v / 2, Max: 2 - v, Numbers: 3, Count: 3}
		if i%2 == 0 {
			odd.Summaries[d.RunID] = run.Summary{Name: odd.Name, Last: run.Metric{Value: math.NaN()}, NaNs: 1, Count: 1}
			phase.Summaries[d.RunID] = run.Summary{Name: phase.Name, Last: run.Metric{Kind: run.MetricScalar, Value: "warm"}, Count: 1}
		}
	}
	c.Params = []run.LabelComparison{
		{Name: "batch", Values: values(func(int) string { return "32" })},
		{Name: "lr", Values: values(func(i int) string { return fmt.Sprint(i) }), Differs: true},
		{Name: "note", Values: values(func(i int) string { return []string{"", "none", "\x1b[31ma\nb"}[i%3] }), Differs: true},
	}
	c.Tags = []run.LabelComparison{{Name: "team", Values: values(func(int) string { return "risk" })}}
	c.Metrics = []run.MetricComparison{odd, phase, loss}
	return c
}

func comparisonText(c *run.Comparison, f *compareFlags, style terminal.Style, width int) string {
	p := &comparison{Comparison: c, flags: f, style: style}
	p.facts()
	p.labels("Parameters", c.Params)
	p.labels("Tags", c.Tags)
	p.metrics()
	return p.draw(width)
}

func TestComparisonForPeople(t *testing.T) {
	t.Parallel()
	unicode := terminal.Style{Unicode: true}
	for name, tt := range map[string]struct {
		runs  int
		flags compareFlags
		style terminal.Style
		width int
	}{
		"pipe":     {2, compareFlags{}, unicode, 0},
		"all":      {2, compareFlags{all: true}, unicode, 80},
		"maximize": {3, compareFlags{maximize: []string{"*"}}, unicode, 80},
		"minimize": {3, compareFlags{minimize: []string{"val/*"}}, unicode, 80},
		"blocks":   {9, compareFlags{}, unicode, 80},
		"narrow":   {2, compareFlags{}, unicode, 30},
		"ascii":    {2, compareFlags{}, terminal.Style{}, 80},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, "compare-"+name, comparisonText(compared(tt.runs), &tt.flags, tt.style, tt.width))
		})
	}
}

func TestComparisonFitsEveryWidth(t *testing.T) {
	t.Parallel()
	for width := 20; width < 160; width += 7 {
		for runs := 2; runs < 8; runs++ {
			for line := range strings.Lines(comparisonText(compared(runs), &compareFlags{}, terminal.Style{Unicode: true}, width)) {
				if strings.HasPrefix(line, "Parameters") || strings.HasPrefix(line, "Tags") {
					continue // a heading may be broken
				}
				require.LessOrEqual(t, terminal.Width(strings.TrimSuffix(line, "\n")), width, line)
				require.NotContains(t, line, "\x1b")
			}
		}
	}
}

func TestCompareRuns(t *testing.T) {
	t.Parallel()
	s := setup(t)
	one := s.submit(t, logging, "--run-id", "one", "--tag", "team=risk")
	two := s.submit(t, strings.ReplaceAll(logging, "0.1", "0.2"), "--run-id", "two")
	text := s.ok(t, "run", "compare", one, two, "--metric", "loss")
	for _, want := range []string{"one", "two", "Snapshot, same", "  lr", "0.1", "0.2", "  team", "  loss ", " last  0.25 ", " min   0.25 "} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "odd")
	require.NotContains(t, text, "↓", "equal values are neither least nor greatest")

	var c run.Comparison
	var raw map[string]json.RawMessage
	s.json(t, &raw, "run", "compare", one, two)
	require.NoError(t, json.Unmarshal(raw["params"], &c.Params))
	require.Equal(t, []run.LabelComparison{{Name: "lr", Values: map[string]string{"one": "0.1", "two": "0.2"}, Differs: true}}, c.Params)
	require.Contains(t, s.ok(t, "run", "compare", one, two, "-o", "yaml"), "differs: true")

	rows, err := csv.NewReader(strings.NewReader(s.ok(t, "run", "compare", one, two, "--metric", "odd", "--format", "csv"))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"what", "name", "one", "two"}, rows[0])
	require.Contains(t, rows, []string{"param", "lr", "0.1", "0.2"})
	require.Contains(t, rows, []string{"tag", "team", "risk", ""})
	require.Contains(t, rows, []string{"metric.last", "odd", "NaN", "NaN"})

	chart := s.ok(t, "run", "compare", one, two, "--metric", "loss", "--plot")
	require.Contains(t, chart, "0.5 ┤")
	require.Contains(t, chart, "* one\no two")
	require.Contains(t, s.call(t, "run", "compare", one, two, "--metric", "none", "--plot").stderr, "No metrics")
	require.Contains(t, s.fails(t, exitError, "run", "compare", one, one), "given twice")
	require.Contains(t, s.fails(t, exitError, "run", "compare", one, "nope"), "not found")
}

func TestPlotFlags(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, logging)
	require.Contains(t, s.ok(t, "run", "metrics", id, "--name", "loss", "--plot", "--log-y"), "0.3969 ┤")
	require.Contains(t, s.ok(t, "run", "metrics", id, "--name", "loss", "--plot", "--smooth", "0.5"), "0.3333 ┤")
	require.Regexp(t, `[*o] loss`, s.ok(t, "run", "metrics", id, "--plot", "--overlay", "--name", "loss", "--name", "system/cpu_utilization_percentage"))
	for _, args := range [][]string{{"--log-y"}, {"--smooth", "0.5"}, {"--overlay"}, {"--plot", "--smooth", "1"}, {"--plot", "--smooth", "-0.1"}, {"--plot", "--smooth", "NaN"}} {
		s.fails(t, exitUsage, append([]string{"run", "metrics", id}, args...)...)
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	require.Nil(t, pattern(nil))
	p := pattern([]string{"train/*", "?oss", "a.b", "\xff", "[x]*"})
	for name, want := range map[string]bool{
		"train/": true, "train/a/b": true, "train/a\nb": true, "loss": true, "xloss": false, "a.b": true, "axb": false, "": false, "[x]y": true, "x": false,
	} {
		require.Equal(t, want, p(name), name)
	}
}
