package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/workspace"
)

// cloudRuns is how many runs there are to be found. The emulator looks at every
// blob for each list, so the time of a cold search there grows with the square.
func (b *bench) cloudRuns() int {
	if b.big {
		return 10_000
	}
	return 1000
}

// benchRuns opens a workspace with many runs and searches them, on a machine
// that has never seen it, and by later processes.
func (c *cloud) benchRuns(ctx context.Context) error {
	dir, err := c.bench.sub("runs")
	if err != nil {
		return err
	}
	cache := filepath.Join(dir, "cache")
	config, err := c.config("runs", cache)
	if err != nil {
		return err
	}
	ws, err := workspace.Create(ctx, config)
	if err != nil {
		return err
	}
	if err := errors.Join(ws.Close(ctx), c.upload(ctx, filepath.Join(dir, "objects"))); err != nil {
		return err
	}
	for _, when := range []string{"cold", "warm", "warm-again", "on-another-machine"} {
		if when == "on-another-machine" {
			cache = filepath.Join(dir, "cache-there")
		}
		requests := c.requests.Load()
		s, err := timed(func(ctx context.Context) error { return c.openAndSearch(ctx, cache) })(ctx)
		if err != nil {
			return err
		}
		c.bench.report(figure{Name: fmt.Sprintf("azure-open-and-search-of-%d-%s", c.bench.cloudRuns(), when), Value: s.value, Unit: "s", N: 1,
			Beside: []named{{"requests", float64(c.requests.Load() - requests)}, {"CPU s", s.cpu}}})
	}
	return nil
}

// upload makes the runs as files and stores each as an object.
func (c *cloud) upload(ctx context.Context, dir string) error {
	past, err := c.bench.newPastRuns(ctx, dir, c.bench.cloudRuns())
	if err != nil {
		return err
	}
	for i := range c.bench.cloudRuns() {
		if _, err := past.run(i); err != nil {
			return err
		}
	}
	objects, err := c.store("runs")
	if err != nil {
		return err
	}
	begun, work := time.Now(), newWork(ctx, smallWorkers)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		key, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return work.run(func(ctx context.Context) error {
			data, err := os.ReadFile(path)
			if err == nil {
				_, err = objects.Put(ctx, filepath.ToSlash(key), bytes.NewReader(data), &backend.PutOptions{})
			}
			return err
		})
	})
	err = errors.Join(err, work.wait())
	fmt.Fprintf(c.bench.log, "azure: stored %d runs in %.0f s\n", c.bench.cloudRuns(), time.Since(begun).Seconds())
	return err
}

// openAndSearch is what a process does that searches once.
func (c *cloud) openAndSearch(ctx context.Context, cache string) error {
	config, err := c.config("runs", cache)
	if err != nil {
		return err
	}
	ws, err := workspace.New(ctx, config)
	if err != nil {
		return err
	}
	s := &space{Workspace: ws}
	found, err := s.search(ctx, questions[0])
	if err == nil && found == 0 {
		err = errors.New("a search finds nothing")
	}
	return errors.Join(err, ws.Close(ctx))
}
