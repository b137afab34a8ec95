package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// operation is a call, or some, that all servers get.
type operation func(ctx context.Context, t *tracker) error

// lasting is the floor of an operation whose result must last: so many files for
// each call, each synced, and its folder too. The zero lasting is none: then the
// floor is the answer of bare net/http.
type lasting struct {
	files, size int
	calls       int // of which the operation consists; zero is one
}

func (f lasting) side(b *bench) (side, error) {
	w, err := b.newWriter(f.size)
	return w.times(f.files * max(f.calls, 1)), err
}

func (f lasting) name() string {
	if f.files == 1 {
		return "a file with fsync of file and folder"
	}
	return fmt.Sprintf("%d files, each with fsync of file and folder", f.files)
}

// sides are the operation on each server, with the floor in the place of the
// bare one if it is of files.
func (s *trackers) sides(op operation, floor lasting) ([]side, error) {
	var out []side
	for _, t := range s.all {
		if t.floor && floor.files > 0 {
			one, err := floor.side(s.bench)
			if err != nil {
				return nil, err
			}
			out = append(out, one)
			continue
		}
		out = append(out, timed(func(ctx context.Context) error {
			err := op(ctx, t)
			if err != nil && t.peer {
				return &peerError{t, err}
			} else if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			return nil
		}))
	}
	return out, nil
}

// peerError is the failure of a peer's server, which is no reason to measure no
// more of ours.
type peerError struct {
	peer *tracker
	err  error
}

// Error implements error.
func (e *peerError) Error() string { return e.peer.name + ": " + e.err.Error() }

// Unwrap gives what failed.
func (e *peerError) Unwrap() error { return e.err }

// leave leaves a peer out from here on.
func (s *trackers) leave(failed *peerError) {
	fmt.Fprintf(s.bench.log, "left out from here on: %v\n", failed)
	s.all = slices.DeleteFunc(s.all, func(t *tracker) bool { return t == failed.peer })
	failed.peer.http.CloseIdleConnections()
	failed.peer.interrupt()
}

// burst is how often an operation is done on one server before the next one's turn:
// that of a client that has more than one question. After a single one a server
// would meet the next with cold caches, after as long a time as its neighbours
// take.
const burst = 8

// bursts does it so many times in a row, and gives the mean.
func bursts(do side) side {
	return func(ctx context.Context) (sum sample, err error) {
		for range burst {
			one, err := do(ctx)
			if err != nil {
				return sum, err
			}
			sum.value, sum.cpu = sum.value+one.value/burst, sum.cpu+one.cpu/burst
		}
		return sum, nil
	}
}

// compare measures a short operation, in turn.
func (s *trackers) compare(ctx context.Context, name, unit string, perSecond float64, op operation, floor lasting) error {
	sides, err := s.sides(op, floor)
	if err != nil {
		return err
	}
	for i, do := range sides {
		sides[i] = bursts(do)
	}
	before, err := s.spent(ctx)
	if err != nil {
		return err
	}
	got, err := s.bench.rounds(ctx, sides...)
	if err != nil {
		return err
	}
	after, err := s.spent(ctx)
	if err != nil {
		return err
	}
	for i := range got {
		got[i].cpu = []float64{(after[i] - before[i]) / float64(burst*(len(got[i].value)+1))} // with the round that warms up
	}
	s.report(name, unit, perSecond, got, floor, "")
	return nil
}

// spent gives the CPU seconds of all servers up to now.
func (s *trackers) spent(ctx context.Context) (seconds []float64, err error) {
	for _, t := range s.all {
		one, err := t.cpu(ctx)
		if err != nil {
			return nil, err
		}
		seconds = append(seconds, one)
	}
	return seconds, nil
}

// fewTime is after how long no more rounds of a long operation are begun.
const fewTime = 45 * time.Second

// few measures a long operation so many times on each server, in turn. The bare
// one is left out, for its answer has nothing of what makes it long.
func (s *trackers) few(ctx context.Context, n int, name, unit string, perSecond float64, op operation, floor lasting) error {
	sides, err := s.sides(op, floor)
	if err != nil {
		return err
	}
	got := make([]series, len(s.all))
	begun := time.Now()
	for round := 0; round < n && (round == 0 || time.Since(begun) < fewTime); round++ {
		for i, do := range sides {
			if s.all[i].floor && floor.files == 0 {
				continue
			}
			sample, err := do(ctx)
			if err != nil {
				return err
			}
			got[i].value = append(got[i].value, sample.value)
		}
	}
	s.report(name, unit, perSecond, got, floor, "")
	return nil
}

// once gives one value for each server.
func (s *trackers) once(value func(t *tracker) float64) []series {
	var out []series
	for _, t := range s.all {
		out = append(out, series{value: []float64{value(t)}})
	}
	return out
}

// report prints a figure of all servers: ours, its ratio to the floor, and how
// many times ours the peers take, with the CPU times of the servers where these
// were measured. The floor is left out where it has no values.
func (s *trackers) report(name, unit string, perSecond float64, got []series, floor lasting, note string) {
	ours := scaled(got[0].value, perSecond)
	f := figure{Name: name, Value: median(ours), Unit: unit, N: len(ours), Note: note}
	cpu := func(who string, one series) {
		if len(one.cpu) > 0 {
			f.Beside = append(f.Beside, named{who + "CPU ms", 1e3 * one.cpu[0]})
		}
	}
	cpu("", got[0])
	for i, t := range s.all[1:] {
		theirs := scaled(got[i+1].value, perSecond)
		switch {
		case len(theirs) == 0:
		case t.floor:
			who := t.name
			if floor.files > 0 {
				who = floor.name()
			}
			f.Floor, f.Ratio = &named{who, median(theirs)}, ratio(ours, theirs)
		default:
			f.Beside = append(f.Beside, named{t.name, median(theirs)}, named{t.name + ": times ours", ratio(theirs, ours)})
			cpu(t.name+": ", got[i+1])
		}
	}
	s.bench.report(f)
}
