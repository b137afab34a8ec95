package main

import (
	"context"
	"time"
)

// sample is what one round of one side measured.
type sample struct {
	value float64 // seconds, unless the side says otherwise
	cpu   float64 // CPU seconds, if the side tells them
}

// side is one of the things that are measured in turn.
type side func(ctx context.Context) (sample, error)

// timed is a side that measures how long op takes, and the CPU time of this
// process.
func timed(op func(ctx context.Context) error) side {
	return func(ctx context.Context) (sample, error) {
		cpu, begun := cpuSeconds(), time.Now()
		err := op(ctx)
		return sample{time.Since(begun).Seconds(), cpuSeconds() - cpu}, err
	}
}

// series is what the rounds of one side measured.
type series struct{ value, cpu []float64 }

// The least and the greatest number of rounds, whatever time they take.
const (
	leastRounds = 5
	mostRounds  = 5000
)

// rounds measures the sides in turn: A B A B … So a machine that is busy for a
// while is busy for all of them. The first round warms up and does not count.
// Every side gets about the time for a figure, and at least five rounds.
func (b *bench) rounds(ctx context.Context, sides ...side) ([]series, error) {
	out := make([]series, len(sides))
	var begun time.Time
	enough := func() bool { return time.Since(begun).Seconds() >= b.seconds*float64(len(sides)) }
	for n := -1; n < mostRounds && (n < leastRounds || !enough()); n++ {
		if n == 0 {
			begun = time.Now()
		}
		for i, do := range sides {
			s, err := do(ctx)
			if err != nil {
				return nil, err
			}
			if n >= 0 {
				out[i].value = append(out[i].value, s.value)
				out[i].cpu = append(out[i].cpu, s.cpu)
			}
		}
	}
	return out, nil
}

// figureOf makes a figure of two sides' rounds in seconds, shown in a unit of
// which a second has perSecond.
func figureOf(name, unit string, perSecond float64, ours series, floorName string, floor series) figure {
	values, floors := scaled(ours.value, perSecond), scaled(floor.value, perSecond)
	return figure{Name: name, Value: median(values), Unit: unit, Floor: &named{floorName, median(floors)},
		Ratio: ratio(values, floors), N: len(values)}
}
