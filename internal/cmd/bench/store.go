package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
)

// The store whose changes are followed.
const (
	manyObjects = 100_000
	someChanges = 100
)

// benchStore measures the object store of local files by itself: its writes,
// and following what changes in it.
func benchStore(ctx context.Context, b *bench) error {
	dir, err := b.sub("objects")
	if err != nil {
		return err
	}
	if err = fillFolder(dir); err != nil {
		return err
	}
	s, err := localfs.New(dir, nil)
	if err != nil {
		return err
	}
	return errors.Join(b.storePut(ctx, s), b.storeChanges(ctx, s), s.Close())
}

// fillFolder makes many objects as files, with no wait for the disk.
func fillFolder(dir string) error {
	for i := range manyObjects {
		path := filepath.Join(dir, filepath.FromSlash(objectKey(i)))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, make([]byte, recordSize), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func objectKey(i int) string { return fmt.Sprintf("runs/run_%d/run.json", i) }

// putter writes one object after the other, creating them or replacing them.
func putter(s backend.Objects, key func(n int) string, opts *backend.PutOptions) func(context.Context) error {
	n := 0
	return func(ctx context.Context) error {
		n++
		_, err := s.Put(ctx, key(n), bytes.NewReader(make([]byte, recordSize)), opts)
		return err
	}
}

func (b *bench) storePut(ctx context.Context, s backend.Objects) error {
	w, err := b.newWriter(recordSize)
	if err != nil {
		return err
	}
	create := putter(s, func(n int) string { return fmt.Sprintf("new/%d.json", n) }, &backend.PutOptions{IfNoneMatch: true})
	replace := putter(s, objectKey, &backend.PutOptions{})
	got, err := b.rounds(ctx, timed(create), w.times(1), timed(replace))
	if err != nil {
		return err
	}
	for i, name := range map[int]string{0: "store-create", 2: "store-replace"} {
		f := figureOf(name, "µs", 1e6, got[i], "a file with fsync of file and folder", got[1])
		f.Beside = []named{{"CPU µs", 1e6 * mean(got[i].cpu)}}
		b.report(f)
	}
	return nil
}

// storeChanges measures what following costs after some changes, which are not
// timed, and after none, beside the listing that it saves.
func (b *bench) storeChanges(ctx context.Context, s *localfs.Store) error {
	begun, err := s.Changes(ctx, "", &backend.ChangesOptions{})
	if err != nil {
		return err
	}
	cursor, put := begun.Cursor, putter(s, objectKey, &backend.PutOptions{})
	follow := func(want int) side {
		return func(ctx context.Context) (sample, error) {
			for range want {
				if err := put(ctx); err != nil {
					return sample{}, err
				}
			}
			return timed(func(ctx context.Context) error {
				got, err := s.Changes(ctx, cursor, &backend.ChangesOptions{})
				if err == nil && (got.Lost || len(got.Keys) != want) {
					err = fmt.Errorf("%d keys changed, not %d; lost: %t", len(got.Keys), want, got.Lost)
				}
				cursor = got.Cursor
				return err
			})(ctx)
		}
	}
	got, err := b.rounds(ctx, follow(someChanges), follow(0), b.readFiles(1))
	if err != nil {
		return err
	}
	listed, err := listSeconds(ctx, s)
	if err != nil {
		return err
	}
	f := figureOf(fmt.Sprintf("store-%d-changes-of-%d", someChanges, manyObjects), "µs", 1e6, got[0], "reading a file", got[2])
	f.Beside = []named{{"after no change", median(scaled(got[1].value, 1e6))}, {"listing ms", 1e3 * listed}, {"CPU µs", 1e6 * mean(got[0].cpu)}}
	b.report(f)
	return nil
}

// listSeconds tells how long listing all objects takes.
func listSeconds(ctx context.Context, s backend.Objects) (float64, error) {
	begun := time.Now()
	for _, err := range s.List(ctx, &backend.ListOptions{Prefix: "runs/"}) {
		if err != nil {
			return 0, err
		}
	}
	return time.Since(begun).Seconds(), nil
}
