package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/internal/watch"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with the one in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "write it with -update")
	require.Equal(t, string(want), text)
}

// watched gives the state of a run of 100 steps, 40 of them done, and the time
// of it.
func watched(t *testing.T) (watch.State, time.Time) {
	t.Helper()
	ws := workspacetest.Open(t)
	e, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	r, err := e.StartLogging(t.Context(), nil)
	require.NoError(t, err)
	began := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	now := began.Add(90 * time.Second)
	log := func(name string, value any, step int) {
		at := began.Add(50*time.Second + time.Duration(step)*time.Second)
		require.NoError(t, r.Log(name, value, &run.LogOptions{Step: int64(step), Time: at}))
	}
	for i := 1; i <= 40; i++ {
		log("train/loss", math.Exp(-float64(i)/10), i)
		log("val/loss", math.Exp(-float64(i)/20)+0.1, i)
		log("accuracy", 1-math.Exp(-float64(i)/10), i)
		if i%5 == 0 {
			log("system/cpu_utilization_percentage", float64(i*2), i/5)
			log("system/system_memory_usage_percentage", 40.0, i/5)
			log("system/gpu_0_utilization_percentage", 97.0, i/5)
		}
	}
	log("損失関数/日本語", 42, 3)
	log("diverged", math.NaN(), 7)
	log("best", math.Inf(-1), 7)
	log("phase", "warm\x1b[31mup", 9)
	log("evil\x1b]0;owned\x07\x1b[2J", true, 9)
	log(strings.Repeat("very/long/", 500), 1, 1)
	require.NoError(t, r.LogList("sizes", []int{1, 2, 3}, nil))
	require.NoError(t, r.Complete(t.Context()))

	w := watch.Start(t.Context(), r, watch.Options{Steps: 100})
	<-w.Ended()
	require.NoError(t, w.Err())
	var s watch.State
	w.Look(now, func(known *watch.State) { s = *known })
	s.Details = run.Details{RunID: "churn_1764000000_1f2e3d4c", Experiment: "churn", Status: run.StatusRunning, Since: began.Add(40 * time.Second),
		Created: began, Started: began.Add(40 * time.Second), Script: "train.py", Arguments: []string{"--lr", "0.1"}}
	s.Progress.Rate, s.Progress.Left = 1, time.Minute
	s.Output = watch.NewTail(10)
	for i := range 20 {
		fmt.Fprintf(s.Output, "\x1b[32mepoch %d\x1b[0m of 20\x1b[2J\n", i)
	}
	fmt.Fprint(s.Output, "10%\r70% |#######   |")
	return s, now
}

func pageOf(s *watch.State, v runPage) string {
	v.draw(s)
	return strings.Join(v.lines, "\n") + "\n"
}

func TestPageOfARun(t *testing.T) {
	t.Parallel()
	s, now := watched(t)
	unicode := terminal.Style{Unicode: true}
	waiting := s
	waiting.Metrics, waiting.Progress, waiting.Output = nil, watch.Progress{}, watch.NewTail(10)
	waiting.Details.Status, waiting.Details.Reason, waiting.Details.WaitsFor = run.StatusQueued, "the target is busy", "a free node of gpu-box"
	failed := s
	failed.Details.Status, failed.Details.Ended = run.StatusFailed, now
	failed.Details.Error = &run.Failure{Code: "UserError", Message: "the script ended with exit code 3\nmore"}
	failed.Trouble = "can't read metrics: \x1b[31mdamaged"
	parent := s
	parent.Children = []run.Details{{RunID: "child-2", Status: run.StatusRunning, Created: now.Add(-time.Minute)}, {RunID: "child-1", Status: run.StatusCompleted, Created: now}}
	for name, tt := range map[string]struct {
		state *watch.State
		page  runPage
	}{
		"wide":     {&s, runPage{style: unicode, width: 100, height: 30}},
		"usual":    {&s, runPage{style: unicode, width: 80, height: 24}},
		"small":    {&s, runPage{style: unicode, width: 40, height: 14}},
		"tiny":     {&s, runPage{style: unicode, width: 20, height: 8}},
		"ascii":    {&s, runPage{width: 80, height: 24}},
		"still":    {&s, runPage{style: unicode, width: 80, height: 60, still: true}},
		"waiting":  {&waiting, runPage{style: unicode, width: 80, height: 24}},
		"failed":   {&failed, runPage{style: unicode, width: 80, height: 24}},
		"children": {&parent, runPage{style: unicode, width: 80, height: 24}},
		"colors":   {&s, runPage{style: terminal.Style{Unicode: true, Color: true}, width: 80, height: 16}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.page.now = now
			golden(t, "watch-"+name, pageOf(tt.state, tt.page))
		})
	}
}

func TestPageFitsEverySize(t *testing.T) {
	t.Parallel()
	s, now := watched(t)
	s.Details.WaitsFor, s.Trouble = "something", "trouble"
	for width := 1; width <= 130; width += 3 {
		for height := 1; height <= 40; height++ {
			v := runPage{style: terminal.Style{Unicode: width%2 == 0}, width: width, height: height, now: now}
			v.draw(&s)
			require.LessOrEqual(t, len(v.lines), height)
			for _, line := range v.lines {
				require.LessOrEqual(t, terminal.Width(line), width, "%q", line)
				require.NotContains(t, line, "\x1b")
			}
		}
	}
}

func TestBrief(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 1499 * time.Millisecond: "1s", 59*time.Second + 600*time.Millisecond: "1m00s", 61 * time.Minute: "1h01m",
		47*time.Hour + 59*time.Minute: "47h59m", 50 * time.Hour: "2d02h", math.MaxInt64: "106751d23h",
	} {
		require.Equal(t, want, brief(d))
	}
}

// TestMachineLabels names what is measured of the machine, be it of a certain node.
func TestMachineLabels(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"system/cpu_utilization_percentage":            "CPU",
		"system/system_memory_usage_percentage":        "memory",
		"system/gpu_0_utilization_percentage":          "GPU 0",
		"system/node_1/cpu_utilization_percentage":     "node 1/CPU",
		"system/node_1/system_memory_usage_percentage": "node 1/memory",
		"system/disk_usage_percentage":                 "disk",
	} {
		label, _, _ := machineLabel(&watch.Metric{Summary: run.Summary{Name: name}})
		require.Equal(t, want, label)
	}
}
