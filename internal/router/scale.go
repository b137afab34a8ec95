package router

import (
	"fmt"
	"math"
	"time"

	"github.com/azml-go/azml"
)

// Scale says how many replicas there are to be: between Min and Max, so many that
// the share of them that is busy stays at Target.
type Scale struct {
	// Min is the least number of replicas. With 0 there are none while nobody
	// asks, and a request waits until one has started.
	Min int
	// Max is the greatest number, at least 1.
	Max int
	// Target is the share of busy replicas that is wanted, above 0 and up to 1;
	// 0.7 when zero.
	Target float64
	// Period is how often the number is decided on, 1 s when zero.
	Period time.Duration
	// Keep is how long fewer replicas must have been enough before some are
	// ended, 1 min when zero.
	Keep time.Duration
}

const (
	defaultTarget = 0.7
	defaultPeriod = time.Second
	defaultKeep   = time.Minute
	// looks is how often in a period the busy replicas are counted.
	looks = 10
)

// Check gives an error that says what is wrong with the numbers.
func (s Scale) Check() error {
	switch {
	case s.Min < 0 || s.Max < 1 || s.Min > s.Max:
		return fmt.Errorf("%w: %d to %d replicas: the least number is 0 or more, the greatest 1 or more and not below it", azml.ErrInvalid, s.Min, s.Max)
	case s.Target < 0 || s.Target > 1 || math.IsNaN(s.Target):
		return fmt.Errorf("%w: a target utilization of %v: use more than 0, and 1 at most", azml.ErrInvalid, s.Target)
	case s.Period < 0 || s.Keep < 0:
		return fmt.Errorf("%w: the times of scaling can't be negative", azml.ErrInvalid)
	}
	return nil
}

func (s Scale) withDefaults() Scale {
	if s.Target == 0 {
		s.Target = defaultTarget
	}
	if s.Period == 0 {
		s.Period = defaultPeriod
	}
	if s.Keep == 0 {
		s.Keep = defaultKeep
	}
	return s
}

// fixed says that there is nothing to decide.
func (s Scale) fixed() bool { return s.Min == s.Max }

// scaler decides on the number of replicas from what was seen of their use.
type scaler struct {
	scale  Scale
	limit  int // requests at once in a replica
	demand float64
	seen   int
	recent []wish // of the last Keep, the latest last
}

// wish is how many replicas were wanted at a time.
type wish struct {
	at time.Time
	n  int
}

// look notes how much is asked of the replicas now.
func (s *scaler) look(now Stats) {
	s.demand += float64(now.Calls+now.Queued) / float64(max(s.limit, 1)*max(now.Together, 1))
	s.seen++
}

// decide gives the number of replicas that is wanted, of which there are some
// now: more as soon as they are needed, fewer when no more were needed for Keep.
func (s *scaler) decide(now time.Time, there int) int {
	average := s.demand / float64(max(s.seen, 1))
	s.demand, s.seen = 0, 0
	want := int(math.Ceil(average / s.scale.Target))
	want = min(max(want, s.scale.Min), s.scale.Max)
	s.recent = append(s.recent, wish{now, want})
	for s.recent[0].at.Before(now.Add(-s.scale.Keep)) {
		s.recent = s.recent[1:]
	}
	for _, w := range s.recent {
		want = max(want, min(w.n, there))
	}
	return want
}
