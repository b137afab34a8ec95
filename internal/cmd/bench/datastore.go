package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/workspace"
)

// What goes up to a datastore and comes down again.
const (
	movedFiles    = 5000
	movedFileSize = 4 << 10
	largeFileSize = 128 << 20
	bigFileSize   = 1 << 30 // with -big
	copiers       = 8       // as many as Upload has by default
)

// benchDatastore measures Upload and Download with a datastore that is a folder,
// beside plain copies that are as durable.
func benchDatastore(ctx context.Context, b *bench) (err error) {
	dir, err := b.sub("datastore")
	if err != nil {
		return err
	}
	ws, err := workspace.Open(ctx, filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ws.Close(ctx)) }()
	d, err := ws.Datastores().Default(ctx, nil)
	if err != nil {
		return err
	}
	large := int64(largeFileSize)
	if b.big {
		large = bigFileSize
	}
	small := filepath.Join(dir, "small")
	if err := randomFiles(small, movedFiles, movedFileSize); err != nil {
		return err
	}
	if err := b.transfers(ctx, d, fmt.Sprintf("%dx4KiB", movedFiles), small); err != nil {
		return err
	}
	if err := randomFiles(filepath.Join(dir, "large"), 1, large); err != nil {
		return err
	}
	return b.transfers(ctx, d, fmt.Sprintf("%dMiB", large>>20), filepath.Join(dir, "large"))
}

// randomFiles makes n files of a size.
func randomFiles(dir string, n int, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := range n {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%05d.bin", i)))
		if err != nil {
			return err
		}
		_, err = io.CopyN(f, rand.Reader, size)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// transfers measures one folder up and down, and an upload that finds all there.
func (b *bench) transfers(ctx context.Context, d *datastore.Datastore, name, source string) error {
	scratch, err := b.sub("copies")
	if err != nil {
		return err
	}
	n := 0
	target := func() string { return filepath.Join(scratch, fmt.Sprint(n)) }
	check := func(done datastore.Transfer, err error) error {
		if err == nil && done.Files == 0 {
			err = errors.New("nothing was moved")
		}
		return err
	}
	up := func(ctx context.Context) error {
		n++
		return check(d.Upload(ctx, source, name+fmt.Sprint(n), nil))
	}
	again := func(ctx context.Context) error {
		_, err := d.Upload(ctx, source, name+fmt.Sprint(n), nil)
		return err
	}
	down := func(ctx context.Context) error { return check(d.Download(ctx, name+fmt.Sprint(n), target(), nil)) }
	plain := func(context.Context) error { return copyFolder(source, target()+"-plain") }
	clean := func(side side) side { // what is on the disk already doesn't slow the next rounds
		return func(ctx context.Context) (sample, error) {
			s, err := side(ctx)
			return s, errors.Join(err, os.RemoveAll(target()), os.RemoveAll(target()+"-plain"))
		}
	}
	sides := []side{timed(up), clean(timed(plain)), timed(again), clean(timed(down))}
	if b.versus(peerDVC) {
		push, err := b.localDVC(ctx, source)
		if err != nil {
			return err
		}
		sides = append(sides, push)
	}
	got, err := b.rounds(ctx, sides...)
	if err != nil {
		return err
	}
	const floor = "copies with fsync of files and folder, 8 at once"
	f := figureOf("datastore-upload-"+name, "ms", 1e3, got[0], floor, got[1])
	f.Beside = []named{{"again, all there", 1e3 * median(got[2].value)}, {"CPU ms", 1e3 * mean(got[0].cpu)}, {"CPU ms of floor", 1e3 * mean(got[1].cpu)}}
	if len(got) > 4 {
		f.Beside = append(f.Beside, named{"dvc push to a folder", 1e3 * median(got[4].value)}, named{"dvc push, CPU ms", 1e3 * mean(got[4].cpu)})
	}
	b.report(f)
	f = figureOf("datastore-download-"+name, "ms", 1e3, got[3], floor, got[1])
	f.Beside = []named{{"CPU ms", 1e3 * mean(got[3].cpu)}}
	b.report(f)
	return nil
}

// copyFolder copies the files of a folder durably, several at once.
func copyFolder(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	next := make(chan string)
	errs := make([]error, copiers)
	var wg sync.WaitGroup
	for i := range copiers {
		wg.Go(func() {
			for name := range next {
				errs[i] = errors.Join(errs[i], copyFile(filepath.Join(from, name), filepath.Join(to, name)))
			}
		})
	}
	for _, e := range entries {
		next <- e.Name()
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	// By small reads and writes: copy_file_range and large blocks were slower, and
	// a floor must not be.
	_, err = io.Copy(struct{ io.Writer }{out}, struct{ io.Reader }{in})
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
