package rundata

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/mount"
	"github.com/azml-go/azml/internal/record"
)

// download copies an input to this machine, unless it is there.
func (b *binding) download(ctx context.Context, in record.DataInput, seen *dataset.Observed) error {
	fetch, name := seen.Fetch, ""
	if seen.Dataset.Type() == dataset.TypeTabular {
		name = in.Name + ".parquet"
		fetch = func(ctx context.Context, dir string, _ func(files, bytes int64)) error {
			return seen.FetchTable(ctx, filepath.Join(dir, table))
		}
	}
	start := time.Now()
	log := &progressLog{b: b, in: in, total: seen, next: start.Add(progressEvery)}
	var dir string
	if key := seen.Key(); key == "" { // a query: nobody knows whether it has the same rows
		dir = filepath.Join(b.at.Dir, "."+in.Name)
		if err := os.MkdirAll(dir, folderMode); err != nil {
			return err
		}
		if err := fetch(ctx, dir, log.tell); err != nil {
			return err
		}
	} else {
		kept, err := keep(ctx, b.h, key, func(ctx context.Context, dir string) error { return fetch(ctx, dir, log.tell) })
		if err != nil {
			return err
		}
		b.closes = append(b.closes, kept.release)
		dir = kept.dir
		if kept.found {
			fmt.Fprintf(b.at.Log, "input %s: %s is on this machine already\n", in.Name, in.Dataset)
		}
	}
	if name == "" {
		log.done(start)
		return b.link(in, dir, in.Name)
	}
	fmt.Fprintf(b.at.Log, "input %s: the rows of %s as Parquet, ready after %s\n", in.Name, in.Dataset, time.Since(start).Round(time.Millisecond))
	return b.link(in, filepath.Join(dir, table), name)
}

// table is the name of the file with the rows of a table.
const table = "rows.parquet"

// link gives what is kept a name among the run's data, and where the script looks.
func (b *binding) link(in record.DataInput, kept, name string) error {
	path := filepath.Join(b.at.Dir, name)
	if err := os.Symlink(kept, path); err != nil {
		return err
	}
	return b.place(in.Name, path, in.PathOnCompute)
}

// mountInput mounts an input, or downloads it where that is not possible.
func (b *binding) mountInput(ctx context.Context, in record.DataInput, seen *dataset.Observed) (dataset.Mode, error) {
	path := filepath.Join(b.at.Dir, in.Name)
	reading, end := context.WithCancel(context.WithoutCancel(ctx)) // beyond the preparation
	tree, ok := seen.FS(reading).(mount.Tree)
	if !ok {
		end()
		return dataset.ModeMount, fmt.Errorf("%w: its files can't be mounted", azml.ErrUnsupported)
	}
	var once sync.Once
	mounted, err := mount.Read(path, tree, func(name string, err error) {
		once.Do(func() {
			b.at.Warn("input %s: the script got an input/output error for %s: %v", in.Name, name, err)
		})
	})
	if errors.Is(err, azml.ErrUnsupported) {
		end()
		fmt.Fprintf(b.at.Log, "input %s: it is downloaded instead of mounted: %v\n", in.Name, err)
		if err := os.RemoveAll(path); err != nil {
			return dataset.ModeDownload, err
		}
		return dataset.ModeDownload, b.download(ctx, in, seen)
	}
	if err != nil {
		end()
		return dataset.ModeMount, err
	}
	b.closes = append(b.closes, func() error {
		defer end()
		return mounted.Close()
	})
	fmt.Fprintf(b.at.Log, "input %s: %s mounted, %d files, %d bytes\n", in.Name, in.Dataset, seen.Files, seen.Bytes)
	return dataset.ModeMount, b.place(in.Name, path, in.PathOnCompute)
}

// progressEvery is the time between two lines about a download.
const progressEvery = 10 * time.Second

// progressLog writes into the run's log how far a download is.
type progressLog struct {
	b     *binding
	in    record.DataInput
	total *dataset.Observed

	mu   sync.Mutex
	next time.Time
}

func (p *progressLog) tell(files, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(progressEvery)
		fmt.Fprintf(p.b.at.Log, "input %s: %d of %d files, %d of %d bytes\n", p.in.Name, files, p.total.Files, bytes, p.total.Bytes)
	}
}

func (p *progressLog) done(start time.Time) {
	fmt.Fprintf(p.b.at.Log, "input %s: %s, %d files, %d bytes, ready after %s\n", p.in.Name, p.in.Dataset, p.total.Files, p.total.Bytes,
		time.Since(start).Round(time.Millisecond))
}
