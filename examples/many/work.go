package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// work is what each process does: it opens the workspace by itself and lets its
// goroutines make its share of the runs.
func work(ctx context.Context, dir, batch string, worker int) (err error) {
	ws, err := workspace.Open(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ws.Close(context.WithoutCancel(ctx))) }()
	exp, err := ws.Experiments().CreateOrUpdate(ctx, name, nil)
	if err != nil {
		return err
	}
	todo := make(chan int, runs)
	for id := worker - 1; id < runs; id += processes {
		todo <- id
	}
	close(todo)
	failed := make([]error, goroutines)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for id := range todo {
				if failed[g] = oneRun(ctx, exp, batch, id); failed[g] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

// oneRun makes a run with params, metrics and a file, and registers the file.
func oneRun(ctx context.Context, exp *experiment.Experiment, batch string, id int) error {
	r, err := exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
		if err := r.LogParams(ctx, map[string]any{"id": id, "rate": rate(id)}); err != nil {
			return err
		}
		for step := range points {
			at := &run.LogOptions{Step: int64(step)}
			if err := errors.Join(r.Log("loss", value(id, step), at), r.Log("accuracy", 1-value(id, step), at)); err != nil {
				return err
			}
		}
		return r.Upload(ctx, "outputs/model.txt", strings.NewReader(fmt.Sprintf("model of %s/%d", batch, id)), nil)
	}, &experiment.RunOptions{Tags: map[string]string{"batch": batch, "id": strconv.Itoa(id)}})
	if err != nil {
		return err
	}
	_, err = r.RegisterModel(ctx, name, "outputs/model.txt", nil)
	return err
}

// rate and value are what run id logs, so that the check knows what to expect.
func rate(id int) float64 { return 0.01 * float64(id+1) }

func value(id, step int) float64 { return 1 / (1 + rate(id)*float64(step)) }
