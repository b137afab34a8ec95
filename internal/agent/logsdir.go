package agent

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/mask"
)

// pollEvery is how often files that a script writes are looked at.
const pollEvery = 200 * time.Millisecond

// poll calls look again and again until ended is done, and once more then. What
// look is at when the script ends goes on: its context lasts for as long as the
// run may still be finished.
func poll(ended context.Context, look func(ctx context.Context)) {
	ctx, cancel := outlive(ended, finishTime)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			look(ctx)
		case <-ended.Done():
			look(ctx)
			return
		}
	}
}

// followed is one file below logs/ and how much of it was streamed.
type followed struct {
	writer *history.LogWriter
	masked *mask.Writer // writes to writer
	seen   fileMark     // of which all is streamed
}

// close stores what is left.
func (f *followed) close(ctx context.Context) error {
	return errors.Join(f.masked.Flush(), f.writer.Close(ctx))
}

// followLogs streams what is written below a folder of root, such as the script's
// logs/, into logs of the run, live. What was seen before is left out, and what is new
// noted there. Hidden files are left alone. A file that is written anew is streamed anew.
func (d *drive) followLogs(ended context.Context, root, dir string, seen fileSet) {
	open, failed := map[string]*followed{}, map[string]bool{}
	poll(ended, func(ctx context.Context) {
		err := walk(root, dir, func(name string, info fs.FileInfo) error {
			if strings.HasPrefix(path.Base(name), ".") || !info.Mode().IsRegular() {
				return nil
			}
			if err := d.followFile(ctx, open, seen, root, name, info); err != nil && !failed[name] {
				failed[name] = true
				d.warn("%s could not be streamed at once: %v", name, err)
			}
			return nil
		})
		if err != nil && !failed[""] {
			failed[""] = true
			d.warn("%s/ could not be read: %v", dir, err)
		}
	})
	for name, f := range open {
		last, cancel := context.WithTimeout(context.WithoutCancel(ended), finishTime)
		if err := f.close(last); err != nil {
			d.warn("%s could not be stored: %v", name, err)
		}
		cancel()
		seen[name] = f.seen
	}
}

func (d *drive) followFile(ctx context.Context, open map[string]*followed, seen fileSet, root, name string, info fs.FileInfo) error {
	f := open[name]
	if f == nil {
		if !seen.changed(name, info) {
			return nil
		}
		writer, err := history.NewLogWriter(ctx, d.h, history.LogKey(d.run, name))
		if err != nil {
			return err
		}
		f = &followed{writer: writer, masked: d.hidden.Writer(writer), seen: seen[name]}
		d.tryNoteStart(name, start{From: f.seen.Size, At: writer.Size()})
		open[name] = f
	}
	if info.Size() == f.seen.Size && info.ModTime().Equal(f.seen.Modified) {
		return nil
	}
	file, err := os.Open(filepath.Join(root, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer file.Close()
	stands, err := f.seen.Last.stands(file, f.seen.Size)
	if err == nil && !stands {
		err = f.masked.Flush()
		d.tryNoteStart(name, start{At: f.writer.Size()})
		f.seen = fileMark{}
	}
	if err != nil {
		return err
	}
	f.seen.Modified = info.ModTime()
	n, err := io.Copy(io.MultiWriter(f.masked, &f.seen.Last), io.NewSectionReader(file, f.seen.Size, max(0, info.Size()-f.seen.Size)))
	f.seen.Size += n
	return err
}
