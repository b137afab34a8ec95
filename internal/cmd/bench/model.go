package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
)

const (
	manyVersions = 400
	manyRuns     = 1000
)

// benchModel measures the registry with a model of one small file.
func benchModel(ctx context.Context, b *bench) error {
	s, err := b.newSpace(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	path := filepath.Join(b.dir, "model.json")
	n := 0
	register := func(ctx context.Context, name string, content int) (*model.Model, error) {
		if err := os.WriteFile(path, fmt.Appendf(nil, `{"weights": [%1000d]}`, content), 0o600); err != nil {
			return nil, err
		}
		return s.Models().Register(ctx, name, path, nil)
	}
	registerAndGet := func(ctx context.Context) error {
		n++
		m, err := register(ctx, fmt.Sprintf("model-%d", n), n)
		if err != nil {
			return err
		}
		_, err = s.Models().Get(ctx, m.Name(), m.Version(), nil)
		return err
	}
	if err := b.besideWrites(ctx, s, "model-register-get", registerAndGet); err != nil {
		return err
	}
	for range manyVersions {
		if _, err := register(ctx, "many", 0); err != nil {
			return err
		}
	}
	return b.getLatest(ctx, s)
}

// getLatest measures the finding of the latest among many versions.
func (b *bench) getLatest(ctx context.Context, s *space) error {
	latest := func(ctx context.Context) error {
		m, err := s.Models().Get(ctx, "many", model.Latest, nil)
		if err == nil && m.Version() != manyVersions {
			err = fmt.Errorf("the latest version is %d, not %d", m.Version(), manyVersions)
		}
		return err
	}
	_, reads, err := s.count(ctx, latest)
	if err != nil {
		return err
	}
	got, err := b.rounds(ctx, timed(latest), b.readFiles(1))
	if err != nil {
		return err
	}
	f := figureOf(fmt.Sprintf("model-latest-of-%d", manyVersions), "µs", 1e6, got[0], "reading a file", got[1])
	f.Beside = []named{{"requests", float64(reads)}}
	b.report(f)
	return nil
}

// benchList measures a list of many runs.
func benchList(ctx context.Context, b *bench) error {
	s, err := b.newSpace(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	exp, err := s.Experiments().CreateOrUpdate(ctx, "bench", nil)
	if err != nil {
		return err
	}
	root, err := exp.StartLogging(ctx, nil)
	if err != nil {
		return err
	}
	for made := 0; made < manyRuns; made += 100 {
		if _, err := root.CreateChildren(ctx, 100, nil); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		name string
		opts run.ListOptions
	}{{"list-%d-runs", run.ListOptions{}}, {"list-%d-runs-of-experiment", run.ListOptions{Experiment: "bench"}}} {
		if err := b.listRuns(ctx, s, fmt.Sprintf(l.name, manyRuns), l.opts); err != nil {
			return err
		}
	}
	return root.Complete(ctx)
}

func (b *bench) listRuns(ctx context.Context, s *space, name string, opts run.ListOptions) error {
	list := func(ctx context.Context) error {
		n := 0
		for _, err := range s.Runs().List(ctx, &opts) {
			if err != nil {
				return err
			}
			n++
		}
		if n != manyRuns+1 {
			return fmt.Errorf("the list has %d runs, not %d", n, manyRuns+1)
		}
		return nil
	}
	_, reads, err := s.count(ctx, list)
	if err != nil {
		return err
	}
	got, err := b.rounds(ctx, timed(list), b.readFiles(manyRuns))
	if err != nil {
		return err
	}
	f := figureOf(name, "ms", 1e3, got[0], fmt.Sprintf("reading %d files in a folder each", manyRuns), got[1])
	f.Beside = []named{{"CPU ms", 1e3 * mean(got[0].cpu)}, {"requests", float64(reads)}}
	b.report(f)
	return nil
}

// readFiles is the floor of reading n records.
func (b *bench) readFiles(n int) side {
	dir, err := b.sub("records")
	path := func(i int) string { return filepath.Join(dir, fmt.Sprint(i), "run.json") }
	for i := 0; i < n && err == nil; i++ {
		if err = os.Mkdir(filepath.Dir(path(i)), 0o700); err == nil {
			err = os.WriteFile(path(i), make([]byte, recordSize), 0o600)
		}
	}
	return timed(func(context.Context) error {
		for i := 0; i < n && err == nil; i++ {
			_, err = os.ReadFile(path(i))
		}
		return err
	})
}
