package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/atomicfile"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// metricsFile is what AZML_METRICS_FILE names for a process of this node, which appends
// one JSON object a line, see line.
func (d *drive) metricsFile(local int) string {
	if local == 0 {
		return filepath.Join(d.dir, "metrics.jsonl")
	}
	return filepath.Join(d.dir, fmt.Sprintf("metrics-%d.jsonl", d.number(local)))
}

// newWriter makes the writer of what a process of this node logs by its file: one for each
// file, so that it can be told from the store how much of that was taken over.
func (d *drive) newWriter(local int) (*metrics.Writer, error) {
	log, err := history.Metrics(d.h, d.run)
	if err != nil {
		return nil, err
	}
	w, err := log.NewWriter()
	if err != nil {
		return nil, err
	}
	if err := writeMarker(d.metricsFile(local), w.ID()); err != nil {
		return nil, errors.Join(err, w.Close(context.Background())) // of which nothing is to be stored
	}
	return w, nil
}

// writers are all that there are on this node.
func (d *drive) writers() (all []*metrics.Writer) {
	if d.metrics != nil {
		all = append(all, d.metrics)
	}
	for _, r := range d.ranks {
		if r.points != d.metrics {
			all = append(all, r.points)
		}
	}
	return all
}

// followMetrics takes over what a process of the script appends to its file, until it has
// ended. Those of later attempts go on with the same file.
func (d *drive) followMetrics(ended context.Context, r *rank) {
	poll(ended, func(ctx context.Context) {
		r.metrics.take(ended.Err() != nil, func(number int, text []byte) {
			take := func(ctx context.Context) error { return d.takeLine(ctx, r.points, text) }
			err := take(ctx)
			if errors.Is(err, azml.ErrUnavailable) && ctx.Err() == nil {
				err = persist(ctx, d.waits, take)
				d.waitsNoMore()
			}
			if err != nil {
				d.warn("line %d of the metrics file: %v", number, err)
			}
		})
	})
	if r.metrics.err != nil {
		d.warn("the metrics file could not be read: %v", r.metrics.err)
	}
}

// lineReader reads the lines of a file that grows. One that is written anew is read anew.
type lineReader struct {
	path   string
	offset int64
	last   ending
	number int
	err    error
}

// take hands on the complete lines that have come since the last time; with
// atEnd also a last one without its newline.
func (r *lineReader) take(atEnd bool, hand func(number int, text []byte)) {
	file, err := os.Open(r.path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.err = err
		}
		return
	}
	defer file.Close()
	stands, err := r.last.stands(file, r.offset)
	if err == nil && !stands {
		r.offset, r.number, r.last = 0, 0, nil
	}
	if err == nil {
		_, err = file.Seek(r.offset, io.SeekStart)
	}
	if err != nil {
		r.err = err
		return
	}
	in := bufio.NewReaderSize(file, 1<<16)
	for {
		text, err := in.ReadBytes('\n')
		if err != nil && (!atEnd || len(text) == 0) {
			if !errors.Is(err, io.EOF) {
				r.err = err
			}
			return
		}
		r.offset += int64(len(text))
		r.number++
		_, _ = r.last.Write(text) // never fails
		if text = bytes.TrimSpace(text); len(text) > 0 {
			hand(r.number, text)
		}
		if err != nil {
			return
		}
	}
}

// takeLine carries out one line of a metrics file, whose points go to the writer.
func (d *drive) takeLine(ctx context.Context, to *metrics.Writer, text []byte) error {
	l, err := d.parse(text)
	if err != nil {
		return err
	}
	switch {
	case l.Param != "":
		return d.change(ctx, func(r *record.Run) (err error) {
			r.Params, err = core.AddLabels(r.Params, map[string]string{l.Param: l.text()})
			return err
		})
	case l.Tag != "":
		return d.change(ctx, func(r *record.Run) error {
			r.Tags = core.ChangeLabels(r.Tags, map[string]string{l.Tag: l.text()}, nil)
			return core.CheckRunTags(r.Tags)
		})
	}
	point, err := l.point()
	if err != nil {
		return err
	}
	if point.Kind == metrics.KindImage {
		if point.Value, err = d.storeImage(ctx, l.Name, l.Image); err != nil {
			return err
		}
	}
	if point.Time.IsZero() {
		point.Time = d.h.Now()
	}
	return to.Append(point)
}

func (d *drive) change(ctx context.Context, change func(*record.Run) error) error {
	_, err := history.Update(ctx, d.h, d.run.ID, core.Quiet, change)
	return err
}

// storeImage stores an image that the script has written as a file of the run
// and gives its path there.
func (d *drive) storeImage(ctx context.Context, name, path string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return "", fmt.Errorf("%w: image %q: name a file below the working folder, with a relative path", azml.ErrInvalid, path)
	}
	data, err := os.ReadFile(filepath.Join(d.codeDir(), filepath.FromSlash(path)))
	if err != nil {
		return "", err
	}
	if err := history.CheckImage(data); err != nil {
		return "", fmt.Errorf("image %q: %w", path, err)
	}
	return history.StoreArtifact(ctx, d.h, d.run, history.ArtifactPath("images", name, filepath.Ext(path)), data)
}

// marker ends the name of the file beside a metrics file that names the metrics writer
// of the process that drives the run, and those of who has cleared up after it without
// coming to an end, a line each, so that whoever does that now knows how many
// lines of the metrics file were taken over.
const marker = ".writer"

func writeMarker(file, writer string) error {
	return atomicfile.Write(file+marker, []byte(writer), 0o600)
}

func addMarker(file, writer string) error {
	f, err := os.OpenFile(file+marker, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + writer)
	return errors.Join(err, f.Close())
}

// linesTaken counts the points that the writers named by the marker have logged
// from the metrics file: all but samples of the machine and images.
func linesTaken(ctx context.Context, log *metrics.Log, file string) (int, error) {
	text, err := os.ReadFile(file + marker)
	if err != nil {
		return 0, err
	}
	writers := strings.Fields(string(text))
	n := 0
	for point, err := range log.Read(ctx, nil) {
		if err != nil {
			return 0, err
		}
		if slices.Contains(writers, point.Writer) && point.Kind != metrics.KindImage && !strings.HasPrefix(point.Name, SystemPrefix) {
			n++
		}
	}
	return n, nil
}

// taken tells which lines of a metrics file the lost process had taken over,
// given how many points it has logged from it.
type taken struct {
	left  int
	kinds map[string]metrics.Kind
}

// was tells whether the next line was taken over. It counts as the writer does:
// a line that it refused, or that logs nothing, is no point. An image is taken
// when a later point is: whether it could be read is not known any more. So is
// a point that looks like our own samples of the machine.
func (t *taken) was(text []byte) bool {
	if t.left == 0 {
		return false
	}
	l, err := parseLine(text)
	if err != nil || l.Name == "" {
		return true
	}
	p, err := l.point()
	if err != nil || p.Kind == metrics.KindImage || strings.HasPrefix(p.Name, SystemPrefix) || isEmpty(p.Value) {
		return true
	}
	if kind, seen := t.kinds[p.Name]; seen && kind != p.Kind {
		return true
	}
	t.kinds[p.Name] = p.Kind
	t.left--
	return true
}

// isEmpty tells a list or table without elements, which logs nothing.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case []any:
		return len(v) == 0
	case []metrics.Column:
		return len(v) == 0 || len(v[0].Values) == 0
	}
	return false
}
