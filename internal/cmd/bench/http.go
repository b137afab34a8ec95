package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
)

var connectionCounts = []int{1, 8, 64}

// slice is the time of loading one server before the next has its turn.
const slice = 0.25

// benchGoHandler measures an endpoint with a Go function that does nothing.
func benchGoHandler(ctx context.Context, b *bench) error {
	return b.measureEndpoint(ctx, childGo, false)
}

// benchPython measures an endpoint with a Python script that does nothing.
func benchPython(ctx context.Context, b *bench) error {
	if _, err := exec.LookPath("python3"); err != nil {
		fmt.Fprintln(b.log, "scoring by Python is left out:", err)
		return nil
	}
	return b.measureEndpoint(ctx, childPython, true)
}

// measureEndpoint measures an endpoint beside bare net/http, and with peers beside
// those that were asked for.
func (b *bench) measureEndpoint(ctx context.Context, kind string, peers bool) (err error) {
	ours, err := b.startChild(ctx, "the endpoint", kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	bare, err := b.startChild(ctx, "bare net/http", childBare)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	servers := []*server{ours, bare}
	if kind == childGo {
		observed, err := b.startChild(ctx, "with OpenTelemetry", childObserved)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, observed.stop()) }()
		servers = append(servers, observed)
	}
	if peers {
		started, err := b.startScoringPeers(ctx)
		for _, peer := range started {
			defer peer.interrupt()
		}
		if err != nil {
			return err
		}
		servers = append(servers, started...)
	}
	for _, s := range servers {
		if s.request == nil {
			s.request = posting(s.target, "/score", `{"data": [[1, 2, 3, 4]]}`)
		}
	}
	for _, connections := range connectionCounts {
		name := fmt.Sprintf("http-%s-%d-connections", kind, connections)
		if err := b.loadServers(ctx, name, connections, servers); err != nil {
			return err
		}
	}
	return nil
}

// served is what a server did in all its turns.
type served struct {
	rps       []float64
	latencies []float64
	cpu       float64
}

// loadServers loads the servers in turn and reports the first one beside the
// others.
func (b *bench) loadServers(ctx context.Context, name string, connections int, servers []*server) error {
	got := make([]served, len(servers))
	for n := -1; n < leastRounds || float64(n)*slice < b.seconds; n++ {
		for i, s := range servers {
			turn := &got[i]
			if n < 0 {
				turn = &served{} // to warm up
			}
			if err := turn.add(ctx, s, connections); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	f := figure{Name: name, Value: median(got[0].rps), Unit: "requests/s", Floor: &named{servers[1].name, median(got[1].rps)},
		Ratio: ratio(got[0].rps, got[1].rps), N: len(got[0].latencies)}
	for i, s := range servers {
		slices.Sort(got[i].latencies)
		prefix := ""
		if i > 0 {
			prefix = s.name + ": "
		}
		if i > 1 {
			f.Beside = append(f.Beside, named{s.name, median(got[i].rps)}, named{"times " + s.name, ratio(got[0].rps, got[i].rps)})
		}
		f.Beside = append(f.Beside, named{prefix + "p50 µs", 1e6 * percentile(got[i].latencies, 0.5)},
			named{prefix + "p99 µs", 1e6 * percentile(got[i].latencies, 0.99)},
			named{prefix + "CPU µs/request", 1e6 * got[i].cpu / float64(len(got[i].latencies))})
	}
	f.Note = "the load comes from the same machine"
	b.report(f)
	return nil
}

// add gives a server its turn.
func (t *served) add(ctx context.Context, s *server, connections int) error {
	before, err := s.cpu(ctx)
	if err != nil {
		return err
	}
	l, err := putLoad(ctx, s, connections, slice)
	if err != nil {
		return err
	}
	after, err := s.cpu(ctx)
	t.cpu += after - before
	t.rps = append(t.rps, float64(len(l.latencies))/l.seconds)
	t.latencies = append(t.latencies, l.latencies...)
	return err
}
