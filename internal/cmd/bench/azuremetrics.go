package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// streamers is how many processes log at once, and streamTime for how long.
const (
	streamers  = 16
	streamTime = 5 * time.Second
)

// streamErrand is what a process is told by its environment, where nobody sees
// the key.
type streamErrand struct {
	// Connection is the connection string.
	Connection string
	// Cache is the process's own cache folder.
	Cache string
}

// streamVariable holds a streamErrand.
const streamVariable = "AZML_BENCH_STREAM"

// streamed is what a process says at its end.
type streamed struct {
	// Points is how many it has logged.
	Points int
	// Requests is how many it has sent, and Seconds how long it took until all
	// was in the store.
	Requests int64
	Seconds  float64
}

// config gives a workspace below a prefix of the container.
func (c *cloud) config(prefix, cache string) (workspace.Config, error) {
	objects, err := c.store(prefix)
	if err != nil {
		return workspace.Config{}, err
	}
	return workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), Name: "bench", CacheDir: cache, Close: objects.Close}, nil
}

// benchMetrics has many processes log at once, each a run of its own.
func (c *cloud) benchMetrics(ctx context.Context) error {
	dir, err := c.bench.sub("streams")
	if err != nil {
		return err
	}
	config, err := c.config("metrics", filepath.Join(dir, "cache"))
	if err != nil {
		return err
	}
	ws, err := workspace.Create(ctx, config)
	if err != nil {
		return err
	}
	_, err = ws.Experiments().CreateOrUpdate(ctx, "bench", nil)
	if err = errors.Join(err, ws.Close(ctx)); err != nil {
		return err
	}
	all := newWork(ctx, streamers)
	results := make([]streamed, streamers)
	for i := range results {
		if err := all.run(func(ctx context.Context) error {
			e := streamErrand{c.connection, filepath.Join(dir, fmt.Sprint(i))}
			return e.start(ctx, &results[i])
		}); err != nil {
			break
		}
	}
	if err := all.wait(); err != nil {
		return err
	}
	var points, requests, longest float64
	for _, r := range results {
		points, requests, longest = points+float64(r.Points), requests+float64(r.Requests), max(longest, r.Seconds)
	}
	c.bench.report(figure{Name: fmt.Sprintf("azure-metrics-%d-processes", streamers), Value: points / longest, Unit: "points/s", N: 1,
		Beside: []named{{"requests/s", requests / longest}, {"points of a request", points / requests}, {"s", longest}}, Note: "until all is in the store"})
	return nil
}

// start starts a process and reads what it says.
func (e streamErrand) start(ctx context.Context, into *streamed) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, childFlag, childStream)
	cmd.Env = append(os.Environ(), streamVariable+"="+string(text))
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("a process that logs: %w%s", err, stderrOf(err))
	}
	return json.Unmarshal(out, into)
}

// stream is what such a process does.
func stream(ctx context.Context) error {
	var e streamErrand
	if err := json.Unmarshal([]byte(os.Getenv(streamVariable)), &e); err != nil {
		return err
	}
	c, err := newCloudAt(nil, e.Connection)
	if err != nil {
		return err
	}
	config, err := c.config("metrics", e.Cache)
	if err != nil {
		return err
	}
	ws, err := workspace.New(ctx, config)
	if err != nil {
		return err
	}
	exp, err := ws.Experiments().Get(ctx, "bench", nil)
	if err != nil {
		return err
	}
	var done streamed
	begun := time.Now()
	_, err = exp.Run(ctx, func(_ context.Context, r *run.Run) error {
		for ; done.Points%100 != 0 || time.Since(begun) < streamTime; done.Points++ {
			at := &run.LogOptions{Step: int64(done.Points / len(logNames))}
			if err := r.Log(logNames[done.Points%len(logNames)], float64(done.Points)*0.37, at); err != nil {
				return err
			}
			if done.Points%100 == 0 {
				time.Sleep(time.Millisecond) // at most 100,000 points/s each: the machine has other things to do
			}
		}
		return nil
	}, nil)
	if err = errors.Join(err, ws.Close(ctx)); err != nil {
		return err
	}
	done.Requests, done.Seconds = c.requests.Load(), time.Since(begun).Seconds()
	return json.NewEncoder(os.Stdout).Encode(done)
}
