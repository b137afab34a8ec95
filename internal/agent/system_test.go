//go:build linux

package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// TestSystemMetricsOfClients has a script's client measure the machine, or not: the
// agent steps back for one that does, and loses nothing for one that only might.
func TestSystemMetricsOfClients(t *testing.T) {
	t.Parallel()
	joins := func(at, measures time.Duration) func(time.Duration) Measuring {
		return func(now time.Duration) Measuring {
			switch {
			case now >= measures:
				return Measures
			case now >= at:
				return MayMeasure
			}
			return NotMeasuring
		}
	}
	const never = time.Hour
	for name, c := range map[string]struct {
		measuring func(now time.Duration) Measuring
		lasts     time.Duration
		soon      int // points that are logged after 17 seconds
		points    int // in the end
	}{
		"no client":                     {joins(never, never), 22 * time.Second, 3, 5},
		"one that doesn't measure":      {joins(0, never), 22 * time.Second, 0, 5},
		"one that is asked for ever":    {joins(0, never), 62 * time.Second, 0, 13},
		"one that measures":             {joins(0, 12*time.Second), 62 * time.Second, 0, 0},
		"one that joins late":           {joins(12*time.Second, 22*time.Second), 62 * time.Second, 2, 2},
		"one that joins before the end": {joins(18*time.Second, never), 22 * time.Second, 3, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := measured(t, 0)
				begun := time.Now()
				d.tracking = &Tracking{Measuring: func() Measuring { return c.measuring(time.Since(begun)) }}
				following, ended := context.WithCancel(t.Context())
				over := make(chan struct{})
				go func() {
					defer close(over)
					d.sampleSystem(following)
				}()
				time.Sleep(17 * time.Second)
				require.NoError(t, d.metrics.Flush(t.Context()))
				require.Len(t, steps(t, d, SystemPrefix+memoryPercentage), c.soon)
				time.Sleep(c.lasts - 17*time.Second)
				ended()
				<-over
				require.NoError(t, d.metrics.Close(t.Context()))
				all := steps(t, d, SystemPrefix+memoryPercentage)
				require.Len(t, all, c.points)
				for i, step := range all {
					require.EqualValues(t, i, step)
				}
			})
		})
	}
}

// TestSystemMetricsOfNodes keeps nodes apart.
func TestSystemMetricsOfNodes(t *testing.T) {
	t.Parallel()
	d := measured(t, 1)
	over, end := context.WithCancel(t.Context())
	end()
	d.sampleSystem(over)
	require.NoError(t, d.metrics.Close(t.Context()))
	require.Len(t, steps(t, d, "system/node_1/"+memoryPercentage), 1)
	require.Empty(t, steps(t, d, "system/"+memoryPercentage))
	for name, is := range map[string]bool{"system/" + cpuPercentage: true, "system/node_1/" + memoryMegabytes: true, cpuPercentage: false, "system/of_mine": false} {
		require.Equal(t, is, IsSystemMetric(name), name)
	}
}

// measured is the agent of a run on that node.
func measured(t *testing.T, rank int) *drive {
	t.Helper()
	d := member(t, memory.NewObjects(), rank, "", 0)
	d.run = record.Run{ID: "measured", Experiment: "e", Life: "0123456789abcdef", Definition: &record.Definition{Command: []string{"/bin/sh"}}}
	_, err := core.CreateQuiet(t.Context(), d.h, history.Ref(d.run.ID).Key, d.run)
	require.NoError(t, err)
	d.metrics, err = d.newWriter(0)
	require.NoError(t, err)
	return d
}

// steps gives the steps of a metric's points.
func steps(t *testing.T, d *drive, name string) (steps []int64) {
	t.Helper()
	log, err := history.Metrics(d.h, d.run)
	require.NoError(t, err)
	for p, err := range log.Read(t.Context(), &metrics.ReadOptions{Names: []string{name}}) {
		require.NoError(t, err)
		steps = append(steps, p.Step)
	}
	return steps
}
