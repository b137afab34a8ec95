package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/azml-go/azml/run"
)

// logBatch is the number of points of a round.
const logBatch = 100_000

var logNames = []string{"train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr"}

// benchLog measures Log, shipping in the background among it.
func benchLog(ctx context.Context, b *bench) error {
	s, err := b.newSpace(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	exp, err := s.Experiments().CreateOrUpdate(ctx, "bench", nil)
	if err != nil {
		return err
	}
	r, err := exp.StartLogging(ctx, nil)
	if err != nil {
		return err
	}
	if err := b.logMean(ctx, r); err != nil {
		return err
	}
	if err := b.logPercentiles(ctx, r); err != nil {
		return err
	}
	begun := time.Now()
	if err := r.Complete(ctx); err != nil {
		return err
	}
	b.report(figure{Name: "log-complete", Value: 1e3 * time.Since(begun).Seconds(), Unit: "ms", N: 1,
		Note: "Complete after all points of the figures above: what the background had not shipped yet"})
	return b.logKilled(ctx)
}

// logMean measures the time for a point, in batches, beside its floors.
func (b *bench) logMean(ctx context.Context, r *run.Run) error {
	mapped, err := newMappedLog(filepath.Join(b.dir, "mapped"))
	if err != nil {
		return err
	}
	defer mapped.close()
	file, err := os.Create(filepath.Join(b.dir, "written"))
	if err != nil {
		return err
	}
	defer file.Close()
	point := make([]byte, 20)
	step := int64(0)
	sides := []side{
		perPoint(func(i int) error {
			step++
			return r.Log(logNames[i%len(logNames)], float64(i)*0.37, &run.LogOptions{Step: step / 5})
		}),
		perPoint(func(int) error { mapped.append(point); return nil }),
		perPoint(func(int) error { mapped.append(point); _ = time.Now(); return nil }),
		perPoint(func(int) error { _, err := file.Write(point); return err }),
	}
	peers := b.logPeersAsked()
	for _, p := range peers {
		peer, err := p.side(ctx, b)
		if err != nil {
			return err
		}
		sides = append(sides, peer)
	}
	got, err := b.rounds(ctx, sides...)
	if err != nil {
		return err
	}
	f := figureOf("log-mean", "ns", 1e9, got[0], "mapped append with lock and CRC-32C", got[1])
	f.Mean = 1e9 * mean(got[0].value)
	f.N *= logBatch
	f.Beside = []named{{"the same and the clock", 1e9 * median(got[2].value)}, {"write(2)", 1e9 * median(got[3].value)},
		{"CPU, shipping among it", 1e9 * mean(got[0].cpu)}, {"points/s", 1 / median(got[0].value)}}
	for i, p := range peers {
		f.Beside = append(f.Beside, named{p.title, 1e9 * median(got[4+i].value)})
	}
	b.report(f)
	return nil
}

// perPoint is a side that gives the time of one call, from a batch of them.
func perPoint(op func(i int) error) side {
	batch := timed(func(context.Context) error {
		for i := range logBatch {
			if err := op(i); err != nil {
				return err
			}
		}
		return nil
	})
	return func(ctx context.Context) (sample, error) {
		s, err := batch(ctx)
		return sample{s.value / logBatch, s.cpu / logBatch}, err
	}
}

// logPercentiles measures single calls, with the time of reading the clock.
func (b *bench) logPercentiles(ctx context.Context, r *run.Run) error {
	var calls, clock []float64
	begun := time.Now()
	for i := 0; time.Since(begun).Seconds() < b.seconds && ctx.Err() == nil && len(calls) < 5_000_000; i++ {
		at := time.Now()
		err := r.Log("single", float64(i), nil)
		calls = append(calls, float64(time.Since(at)))
		if err != nil {
			return err
		}
		if i%16 == 0 {
			at = time.Now()
			clock = append(clock, float64(time.Since(at)))
		}
	}
	slices.Sort(calls)
	b.report(figure{Name: "log-single", Value: percentile(calls, 0.5), Unit: "ns", P50: percentile(calls, 0.5), P99: percentile(calls, 0.99),
		Mean: mean(calls), N: len(calls), Floor: &named{"reading the clock twice", median(clock)}, Ratio: percentile(calls, 0.5) / median(clock),
		Beside: []named{{"p99.99", percentile(calls, 0.9999)}, {"max", percentile(calls, 1)}},
		Note:   fmt.Sprintf("each call timed by itself, so with the clock's %.0f ns", median(clock))})
	return ctx.Err()
}
