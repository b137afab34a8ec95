package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// pastRuns makes ended runs as files of a local workspace, without the fsyncs
// that would take most of the time: each with 10 metrics, 10 parameters and 5 tags.
type pastRuns struct {
	dir      string
	rand     *rand.Rand
	segments [][2][]byte // name and content of metric segments to choose from
}

// maxSegments bounds how many different sets of metrics there are.
const maxSegments = 5000

// newPastRuns makes the metrics.
func (b *bench) newPastRuns(ctx context.Context, dir string, n int) (*pastRuns, error) {
	m := &pastRuns{dir: dir, rand: rand.New(rand.NewPCG(1, uint64(n)))} //nolint:gosec // the same runs each time
	spool, err := b.sub("spool")
	if err != nil {
		return nil, err
	}
	objects := memory.NewObjects()
	for range min(n, maxSegments) {
		if err := m.logOne(ctx, objects, spool); err != nil {
			return nil, err
		}
	}
	for info, err := range objects.List(ctx, &backend.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		object, err := objects.Get(ctx, info.Key, &backend.GetOptions{})
		if err != nil {
			return nil, err
		}
		var content bytes.Buffer
		if _, err := content.ReadFrom(object.Body); err != nil {
			return nil, err
		}
		m.segments = append(m.segments, [2][]byte{[]byte(info.Key), content.Bytes()})
	}
	return m, nil
}

func (m *pastRuns) logOne(ctx context.Context, objects backend.Objects, spool string) error {
	w, err := metrics.Open(objects, "", &metrics.Options{SpoolDir: spool}).NewWriter()
	if err != nil {
		return err
	}
	for i := range 10 {
		if err := w.Log(fmt.Sprintf("m%d", i), m.rand.Float64(), 1, time.Time{}); err != nil {
			return err
		}
	}
	return w.Close(ctx)
}

// run makes the run of that number and gives its ID.
func (m *pastRuns) run(i int) (string, error) {
	id := fmt.Sprintf("run-%08x-%d", m.rand.Uint32(), i)
	r := record.Run{ID: id, Life: fmt.Sprintf("%016x", m.rand.Uint64()), Experiment: "bench", Number: i + 1, Root: id, Type: "azml.run", Status: record.Completed,
		Params: map[string]string{}, Tags: map[string]string{}}
	r.Token = fmt.Sprintf("%032x", i+1)
	r.Created = time.Unix(1.7e9, 0).Add(time.Duration(i) * time.Second)
	r.Started, r.Ended = r.Created, r.Created.Add(time.Minute)
	for k := range 10 {
		r.Params[fmt.Sprintf("p%d", k)] = fmt.Sprintf("v%d", m.rand.IntN(10))
	}
	for k := range 5 {
		r.Tags[fmt.Sprintf("t%d", k)] = fmt.Sprintf("w%d", m.rand.IntN(100))
	}
	data, err := record.Encode(&r, nil)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(m.dir, "runs", id)
	logged := filepath.Join(dir, "metrics-"+r.Life)
	if err := os.MkdirAll(logged, 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "run.json"), data, 0o600); err != nil {
		return "", err
	}
	s := m.segments[m.rand.IntN(len(m.segments))]
	return id, os.WriteFile(filepath.Join(logged, string(s[0])), s[1], 0o600)
}
