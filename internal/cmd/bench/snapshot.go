package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/snapshot"
)

const (
	smallFiles = 5000
	smallSize  = 4 << 10
	bigSize    = 1 << 30
)

// source is a folder of which snapshots are taken.
type source struct {
	dir string
	rng *rand.ChaCha8
}

// benchSnapshot measures snapshots of a folder of small files: into an empty
// store, of an unchanged folder, and of one with 1 % of its files changed.
func benchSnapshot(ctx context.Context, b *bench) error {
	if err := b.measureSnapshots(ctx, "snapshot-5000x4KiB", false); err != nil || !b.big {
		return err
	}
	return b.measureSnapshots(ctx, "snapshot-5000x4KiB-and-1GiB", true)
}

func (b *bench) measureSnapshots(ctx context.Context, name string, big bool) error {
	src, err := b.newSource(big)
	if err != nil {
		return err
	}
	defer os.RemoveAll(src.dir)
	kept, err := b.newKeeper()
	if err != nil {
		return err
	}
	defer kept.close()
	cold := &keeper{}
	sides := []side{
		b.coldSide(src, cold),
		func(ctx context.Context) (sample, error) { return kept.unchanged(ctx, src.dir) },
		src.changedSide(func(ctx context.Context) (sample, error) { return kept.changed(ctx, src.dir) }),
		b.hashSide(src),
	}
	if b.versus(peerRestic) {
		r, err := b.newRestic(ctx, src)
		if err != nil {
			return err
		}
		sides = append(sides, r.cold, r.unchanged, src.changedSide(r.unchanged))
	}
	got, err := b.rounds(ctx, sides...)
	if err != nil {
		return err
	}
	for i, kind := range []string{"cold", "unchanged", "1%-changed"} {
		f := figureOf(name+"-"+kind, "s", 1, got[i], "sha256 of all bytes, one file of 20 MB with fsync", got[3])
		stats := []stored{cold.last, kept.last, kept.lastChanged}[i]
		f.Beside = []named{{"CPU", median(got[i].cpu)}, {"floor's CPU", median(got[3].cpu)}, {"objects written", float64(stats.objects)},
			{"MB written", float64(stats.NewBytes) / 1e6}, {"files read", float64(stats.Reread)}}
		if b.versus(peerRestic) {
			f.Beside = append(f.Beside, named{"restic", median(got[4+i].value)}, named{"restic's CPU", median(got[4+i].cpu)})
		}
		b.report(f)
	}
	return nil
}

// newSource fills a folder with files of random bytes.
func (b *bench) newSource(big bool) (*source, error) {
	dir, err := b.sub("source")
	s := &source{dir: dir, rng: rand.NewChaCha8([32]byte{1})}
	for i := 0; i < smallFiles && err == nil; i++ {
		if i%100 == 0 {
			err = os.Mkdir(filepath.Dir(s.path(i)), 0o755)
		}
		if err == nil {
			err = s.write(i)
		}
	}
	if err != nil || !big {
		return s, err
	}
	f, err := os.Create(filepath.Join(dir, "big.bin"))
	if err != nil {
		return nil, err
	}
	_, err = io.CopyN(f, s.rng, bigSize)
	return s, errors.Join(err, f.Close())
}

func (s *source) path(i int) string {
	return filepath.Join(s.dir, fmt.Sprint(i/100), fmt.Sprintf("%d.bin", i))
}

func (s *source) write(i int) error {
	data := make([]byte, smallSize)
	_, _ = s.rng.Read(data) // never fails
	return os.WriteFile(s.path(i), data, 0o644)
}

// changedSide changes 1 % of the files, spread over the folder, before do.
func (s *source) changedSide(do side) side {
	return func(ctx context.Context) (sample, error) {
		for i := 0; i < smallFiles; i += 100 {
			if err := s.write(i); err != nil {
				return sample{}, err
			}
		}
		return do(ctx)
	}
}

// keeper is a store of snapshots.
type keeper struct {
	dir               string
	local             *localfs.Store
	calls             *faulty.Objects
	store             *files.Store
	last, lastChanged stored
}

// stored is what a snapshot stored.
type stored struct {
	files.Stats
	objects int
}

func (b *bench) newKeeper() (*keeper, error) {
	dir, err := b.sub("snapshots")
	if err != nil {
		return nil, err
	}
	local, err := localfs.New(filepath.Join(dir, "objects"), nil)
	if err != nil {
		return nil, err
	}
	k := &keeper{dir: dir, local: local, calls: faulty.New(local, faulty.Plan{})}
	// A file that changed in the last moments is read again, for it may be
	// changing still. People's files are older: so are these, an hour from now.
	now := func() time.Time { return time.Now().Add(time.Hour) }
	k.store = files.New(k.calls, &files.Options{CacheDir: filepath.Join(dir, "cache"), Now: now})
	return k, nil
}

func (k *keeper) close() {
	_ = k.local.Close()
	_ = os.RemoveAll(k.dir)
}

// take takes a snapshot, as a submit does.
func (k *keeper) take(ctx context.Context, dir string) (sample, error) {
	before := k.calls.Counts()
	s, err := timed(func(ctx context.Context) error {
		plan, err := snapshot.Scan(ctx, dir, nil)
		if err != nil {
			return err
		}
		_, _, k.last.Stats, err = snapshot.Take(ctx, k.store, plan, nil)
		return err
	})(ctx)
	after := k.calls.Counts()
	k.last.objects = after.Put + after.Append - before.Put - before.Append
	return s, err
}

// unchanged is take of a folder that was taken a moment ago.
func (k *keeper) unchanged(ctx context.Context, dir string) (sample, error) {
	if s, err := k.take(ctx, dir); err != nil {
		return s, err
	}
	return k.take(ctx, dir)
}

// changed is take, and keeps the figures apart.
func (k *keeper) changed(ctx context.Context, dir string) (sample, error) {
	unchanged := k.last
	s, err := k.take(ctx, dir)
	k.last, k.lastChanged = unchanged, k.last
	return s, err
}

// coldSide takes a snapshot into a new store each time, and keeps the last
// one's figures.
func (b *bench) coldSide(src *source, last *keeper) side {
	return func(ctx context.Context) (sample, error) {
		k, err := b.newKeeper()
		if err != nil {
			return sample{}, err
		}
		defer k.close()
		s, err := k.take(ctx, src.dir)
		last.last = k.last
		return s, err
	}
}

// hashSide is the floor: all bytes read and hashed, and as many as the small
// files have written as one file.
func (b *bench) hashSide(src *source) side {
	return timed(func(ctx context.Context) error {
		if err := hashAll(ctx, src.dir); err != nil {
			return err
		}
		w, err := b.newWriter(smallFiles * smallSize)
		if err != nil {
			return err
		}
		return errors.Join(w.write(), os.RemoveAll(w.dir))
	})
}

func hashAll(ctx context.Context, dir string) error {
	buffer := make([]byte, 1<<20)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		f, err := os.Open(path) //nolint:gosec // a folder that the program has just made
		if err != nil {
			return err
		}
		hash := sha256.New()
		_, err = io.CopyBuffer(hash, struct{ io.Reader }{f}, buffer)
		hash.Sum(nil)
		return errors.Join(err, f.Close())
	})
}
