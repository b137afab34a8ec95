package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// What is synced.
const (
	syncRuns     = 1000
	manySyncRuns = 10_000
	syncFile     = 256 << 20
)

// writesOfARun is what an ended run with one segment takes in the destination: its
// number, its segment and its record.
const writesOfARun = 3

// benchSync measures syncs between two local workspaces.
func benchSync(ctx context.Context, b *bench) error {
	return errors.Join(b.syncFirst(ctx), b.syncAgain(ctx), b.syncContents(ctx), b.syncLag(ctx))
}

// spaces makes a workspace with so many runs and an empty one.
func (b *bench) spaces(ctx context.Context, runs int) (dst, src *space, err error) {
	if src, err = b.newSpace(ctx); err != nil {
		return nil, nil, err
	}
	if dst, err = b.newSpace(ctx); err != nil {
		return nil, nil, err
	}
	return dst, src, b.fillForSync(ctx, src, runs)
}

func (s *space) objectsDir() string {
	return filepath.Join(filepath.Dir(s.Details().CacheDir), "objects")
}

// fillForSync makes ended runs as files, with what they refer to.
func (b *bench) fillForSync(ctx context.Context, s *space, n int) error {
	if _, err := s.Experiments().CreateOrUpdate(ctx, "bench", nil); err != nil || n == 0 {
		return err
	}
	dir := s.objectsDir()
	past, err := b.newPastRuns(ctx, dir, n)
	if err != nil {
		return err
	}
	numbers := filepath.Join(dir, "experiments", "bench", "runs")
	if err := os.MkdirAll(numbers, 0o700); err != nil {
		return err
	}
	for i := range n {
		id, err := past.run(i)
		if err != nil {
			return err
		}
		data, err := record.Encode(&record.RunNumber{RunID: id}, nil)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(numbers, fmt.Sprintf("%010d.json", i+1)), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// sync syncs and wants everything to be brought.
func (s *space) sync(ctx context.Context, src *space) (*mirror.Report, error) {
	report, err := workspace.Sync(ctx, s.Workspace, src.Workspace, nil)
	if err == nil && len(report.Conflicts)+len(report.Damaged) > 0 {
		err = fmt.Errorf("sync: %v %v", report.Conflicts, report.Damaged)
	}
	return report, err
}

// syncFirst measures the first sync of some runs.
func (b *bench) syncFirst(ctx context.Context) error {
	dst, src, err := b.spaces(ctx, syncRuns)
	if err != nil {
		return err
	}
	defer dst.close(ctx)
	defer src.close(ctx)
	w, err := b.newWriter(recordSize)
	if err != nil {
		return err
	}
	floor, err := w.times(syncRuns * writesOfARun)(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	var report *mirror.Report
	writes, reads, err := dst.count(ctx, func(ctx context.Context) (err error) { report, err = dst.sync(ctx, src); return err })
	if err == nil && report.Runs.Created != syncRuns {
		err = fmt.Errorf("%d runs were brought, not %d", report.Runs.Created, syncRuns)
	}
	if err != nil {
		return err
	}
	took := time.Since(begun).Seconds()
	b.report(figure{Name: fmt.Sprintf("sync-first-of-%d", syncRuns), Value: took, Unit: "s", N: 1, Ratio: took / floor.value,
		Floor:  &named{fmt.Sprintf("%d files, one after the other, each with fsync of file and folder", syncRuns*writesOfARun), floor.value},
		Beside: []named{{"writes", float64(writes)}, {"reads of the destination", float64(reads)}, {"reads of the source", float64(src.reads())}}})
	return nil
}

// syncAgain measures syncs of many runs of which none has changed, and of which one
// has.
func (b *bench) syncAgain(ctx context.Context) error {
	dst, src, err := b.spaces(ctx, manySyncRuns)
	if err != nil {
		return err
	}
	defer dst.close(ctx)
	defer src.close(ctx)
	// What a sync would have left, without its fsyncs.
	for _, folder := range []string{"runs", "experiments"} {
		if err := os.CopyFS(filepath.Join(dst.objectsDir(), folder), os.DirFS(filepath.Join(src.objectsDir(), folder))); err != nil {
			return err
		}
	}
	if _, err := dst.sync(ctx, src); err != nil {
		return err
	}
	ids, err := src.someRuns(ctx)
	if err != nil {
		return err
	}
	again := func(changes int) func(context.Context) error {
		return func(ctx context.Context) error {
			report, err := dst.sync(ctx, src)
			if err == nil && report.Changes() != changes {
				err = fmt.Errorf("%d changes, not %d", report.Changes(), changes)
			}
			return err
		}
	}
	turn := 0
	changed := func(ctx context.Context) (sample, error) {
		turn++
		r, err := src.Runs().Get(ctx, ids[turn%len(ids)], nil)
		if err == nil {
			err = r.Tag(ctx, "turn", fmt.Sprint(turn))
		}
		if err != nil {
			return sample{}, err
		}
		return timed(again(1))(ctx)
	}
	listed := timed(func(ctx context.Context) error {
		for _, s := range []*space{dst, src} {
			for _, err := range s.local.List(ctx, &backend.ListOptions{Prefix: "runs/"}) {
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	got, err := b.rounds(ctx, timed(again(0)), listed, changed)
	if err != nil {
		return err
	}
	writes, reads, err := dst.count(ctx, again(0))
	if err != nil {
		return err
	}
	f := figureOf(fmt.Sprintf("sync-again-of-%d", manySyncRuns), "ms", 1e3, got[0], "listing both sides, one after the other", got[1])
	f.Beside = []named{{"after one change", median(scaled(got[2].value, 1e3))}, {"writes", float64(writes)}, {"reads of the destination", float64(reads)}}
	b.report(f)
	return nil
}

// someRuns gives the IDs of some runs.
func (s *space) someRuns(ctx context.Context) (ids []string, err error) {
	page, _, err := s.Runs().ListPage(ctx, "", 50, nil)
	for _, r := range page {
		ids = append(ids, r.ID())
	}
	return ids, err
}

// syncContents measures how a big file is brought, and one of which a hundredth has
// changed.
func (b *bench) syncContents(ctx context.Context) error {
	dst, src, err := b.spaces(ctx, 0)
	if err != nil {
		return err
	}
	defer dst.close(ctx)
	defer src.close(ctx)
	data := make([]byte, syncFile)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data) // never fails
	bring := func() (*mirror.Report, float64, error) {
		if err := src.upload(ctx, data); err != nil {
			return nil, 0, err
		}
		begun := time.Now()
		report, err := dst.sync(ctx, src)
		return report, time.Since(begun).Seconds(), err
	}
	if _, _, err := bring(); err != nil { // warms up
		return err
	}
	_, _ = random.Read(data)
	_, took, err := bring()
	if err != nil {
		return err
	}
	floor, err := b.copyFile(data)
	if err != nil {
		return err
	}
	part := data[syncFile/3:][:syncFile/100]
	_, _ = random.Read(part)
	report, _, err := bring()
	if err != nil {
		return err
	}
	b.report(figure{Name: "sync-256MiB", Value: took, Unit: "s", N: 1, Ratio: took / floor, Floor: &named{"copying the file, with fsync", floor},
		Beside: []named{{"MB/s", syncFile / 1e6 / took}, {"% sent of a file of which 1 % has changed", 100 * float64(report.ChunkBytes) / syncFile}},
		Note:   "every chunk is read, hashed and written"})
	return nil
}

// upload makes a run with a file.
func (s *space) upload(ctx context.Context, data []byte) error {
	e, err := s.Experiments().Get(ctx, "bench", nil)
	if err != nil {
		return err
	}
	_, err = e.Run(ctx, func(ctx context.Context, r *run.Run) error {
		return r.Upload(ctx, "model.bin", bytes.NewReader(data), nil)
	}, nil)
	return err
}

// copyFile tells how long a plain copy of a file takes.
func (b *bench) copyFile(data []byte) (seconds float64, err error) {
	dir, err := b.sub("copy")
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(dir, "a"), data, 0o600); err != nil {
		return 0, err
	}
	begun := time.Now()
	from, err := os.Open(filepath.Join(dir, "a"))
	if err != nil {
		return 0, err
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(dir, "b"))
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(to, struct{ io.Reader }{from}) // bytes move, and not references to blocks
	err = errors.Join(err, to.Sync(), to.Close())
	return time.Since(begun).Seconds(), err
}

// syncLag measures how long it takes until a point that was made durable in one
// workspace is in its mirror.
func (b *bench) syncLag(ctx context.Context) error {
	dst, src, err := b.spaces(ctx, 0)
	if err != nil {
		return err
	}
	defer dst.close(ctx)
	defer src.close(ctx)
	e, err := src.Experiments().Get(ctx, "bench", nil)
	if err != nil {
		return err
	}
	r, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "live"})
	if err != nil {
		return err
	}
	following, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- workspace.Follow(following, dst.Workspace, src.Workspace, nil) }()
	n := int64(0)
	lag := timed(func(ctx context.Context) error {
		n++
		if err := r.Log("loss", float64(n), nil); err != nil {
			return err
		}
		if err := r.Flush(ctx); err != nil {
			return err
		}
		for {
			copied, err := dst.Runs().Get(ctx, "live", nil)
			if err == nil {
				sums, err := copied.Summaries(ctx)
				if err == nil && sums["loss"].Count >= n {
					return nil
				}
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case err := <-ended:
				return fmt.Errorf("the mirror has ended: %w", err)
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	got, err := b.rounds(ctx, lag)
	stop()
	if err == nil {
		err = <-ended
	}
	if err != nil {
		return err
	}
	b.report(figure{Name: "sync-follow-lag", Value: median(scaled(got[0].value, 1e3)), Unit: "ms", N: len(got[0].value),
		Floor: &named{"the time between two looks", 1000}, Note: "a point made durable in the source, until a reader of the mirror has it"})
	return nil
}
