package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/azml-go/azml/run"
	"golang.org/x/sync/errgroup"
)

// What a target is loaded with.
const (
	logMegabytes = 200
	atOnceRuns   = 100
)

// measureLogs measures how fast what a script prints is followed live.
func (o *onTarget) measureLogs(ctx context.Context, b *bench) error {
	// Lines of a hundred bytes.
	command := []string{"/bin/sh", "-c", fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x | fold -w 99", logMegabytes*990_000)}
	const size = logMegabytes * 1_000_000
	ours := func(ctx context.Context) (sample, error) {
		r, err := o.exp.Submit(ctx, o.runConfig(command...), nil)
		if err != nil {
			return sample{}, err
		}
		log, err := r.Logs(ctx, &run.LogsOptions{Follow: true})
		if err != nil {
			return sample{}, err
		}
		defer log.Close()
		var count stopwatch
		if _, err := io.Copy(&count, log); err != nil {
			return sample{}, err
		}
		if err := r.Wait(ctx, nil); err != nil {
			return sample{}, err
		}
		return count.sample(size)
	}
	bare := func(ctx context.Context) (sample, error) {
		var count stopwatch
		if err := o.bare(ctx, &count, command...); err != nil {
			return sample{}, err
		}
		return count.sample(size)
	}
	var seconds, floors []float64
	for range 3 {
		one, err := ours(ctx)
		if err != nil {
			return err
		}
		two, err := bare(ctx)
		if err != nil {
			return err
		}
		seconds, floors = append(seconds, logMegabytes/one.value), append(floors, logMegabytes/two.value)
	}
	b.report(figure{Name: "target-" + o.name + "-logs-followed", Value: median(seconds), Unit: "MB/s", Floor: &named{o.floorName, median(floors)},
		Ratio: ratio(seconds, floors), N: len(seconds), Note: "200 MB, from the first byte to the last; the goal is 50 MB/s"})
	return nil
}

// stopwatch counts bytes, from when the first ones come.
type stopwatch struct {
	first, last time.Time
	n           int
}

// Write implements io.Writer.
func (s *stopwatch) Write(p []byte) (int, error) {
	s.last = time.Now()
	if s.n == 0 {
		s.first = s.last
	}
	s.n += len(p)
	return len(p), nil
}

// sample gives the time that all bytes took, unless some are missing.
func (s *stopwatch) sample(size int) (sample, error) {
	if s.n < size-1 { // fold may leave the last line open
		return sample{}, fmt.Errorf("%d bytes of %d came", s.n, size)
	}
	return sample{value: s.last.Sub(s.first).Seconds()}, nil
}

// measureMany measures many runs that are submitted at once, once.
func (o *onTarget) measureMany(ctx context.Context, b *bench) error {
	begun := time.Now()
	if err := atOnce(ctx, func(ctx context.Context) error {
		r, err := o.exp.Submit(ctx, o.runConfig("/bin/true"), nil)
		if err != nil {
			return err
		}
		return r.Wait(ctx, nil)
	}); err != nil {
		return err
	}
	ours := time.Since(begun).Seconds()
	begun = time.Now()
	if err := atOnce(ctx, func(ctx context.Context) error { return o.bare(ctx, io.Discard, "/bin/true") }); err != nil {
		return err
	}
	floor := time.Since(begun).Seconds()
	b.report(figure{Name: "target-" + o.name + "-100-runs-at-once", Value: ours, Unit: "s", Floor: &named{o.floorName + ", 100 at once", floor},
		Ratio: ours / floor, N: 1, Note: "until all are Completed and Wait has said so"})
	return nil
}

func atOnce(ctx context.Context, do func(ctx context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for range atOnceRuns {
		group.Go(func() error { return do(ctx) })
	}
	return group.Wait()
}
