package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/internal/metrics"
)

// The numbers of points that are sealed, and those with -big.
const (
	sealPoints    = 2_000_000
	bigSealPoints = 20_000_000
	chartPoints   = 10_000_000
)

// curve is a kind of numbers that programs log.
type curve struct {
	name  string
	value func(r *rand.Rand, metric, step int) any
	pace  time.Duration // of the steps, 0 for as fast as it goes
}

func loss(r *rand.Rand, metric, step int) any {
	return float64(float32((0.1*float64(metric+1) + 2/math.Sqrt(float64(step+1))) * (1 + 0.02*r.NormFloat64())))
}

// curves are five metrics a step. A loss is a float32 with 2 % of noise, as
// frameworks give it; the pace of a step varies by 1 %.
var curves = []curve{
	{"loss, logged at full speed", loss, 0},
	{"loss, a step each 10 ms", loss, 10 * time.Millisecond},
	{"random float64", func(r *rand.Rand, _, _ int) any { return r.Float64() }, 0},
	{"ints", func(_ *rand.Rand, metric, step int) any { return int64(step * (metric + 1)) }, 0},
}

// metricLog is a metric log in a scratch folder.
type metricLog struct {
	*metrics.Log
	store *localfs.Store
	dir   string
}

func (b *bench) newMetricLog() (*metricLog, error) {
	dir, err := b.sub("metrics")
	if err != nil {
		return nil, err
	}
	store, err := localfs.New(filepath.Join(dir, "objects"), nil)
	if err != nil {
		return nil, err
	}
	return &metricLog{Log: metrics.Open(store, "m/", &metrics.Options{SpoolDir: filepath.Join(dir, "spool")}), store: store, dir: dir}, nil
}

// fill logs points of a curve to a new writer.
func (l *metricLog) fill(c curve, points, names int) (*metrics.Writer, error) {
	w, err := l.NewWriter()
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // numbers of a test, the same each time
	at := time.Now()
	for i := range points {
		p := metrics.Point{Name: logNames[i%names], Kind: metrics.KindScalar, Step: int64(i / names), Value: c.value(r, i%names, i/names)}
		if c.pace > 0 {
			if i%names == 0 {
				at = at.Add(time.Duration(float64(c.pace) * (1 + 0.01*r.NormFloat64())))
			}
			p.Time = at.Add(time.Duration(i%names*250 + r.IntN(60)))
		}
		if err := w.Append(p); err != nil {
			return w, err
		}
	}
	return w, nil
}

// objects gives the size of the log's objects whose names end so.
func (l *metricLog) objects(ctx context.Context, suffix string) (size int64, keys []string, err error) {
	for info, err := range l.store.List(ctx, &backend.ListOptions{}) {
		if err != nil {
			return 0, nil, err
		}
		if strings.HasSuffix(info.Key, suffix) {
			size += info.Size
			keys = append(keys, info.Key)
		}
	}
	return size, keys, nil
}

// spoolBytes is what the spool files hold; they are made of zeros behind that.
func (l *metricLog) spoolBytes() (size int64, err error) {
	files, err := filepath.Glob(filepath.Join(l.dir, "spool", "*.spool"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		size += int64(len(bytes.TrimRight(data, "\x00")))
	}
	return size, err
}

// benchSeal measures the sizes of logged points and their sealing.
func benchSeal(ctx context.Context, b *bench) error {
	points := sealPoints
	if b.big {
		points = bigSealPoints
	}
	for i, c := range curves {
		if err := b.measureSizes(ctx, c); err != nil {
			return err
		}
		if i == 0 {
			if err := b.measureSeal(ctx, c, points); err != nil {
				return err
			}
		}
	}
	if err := b.measureSmallSeal(ctx); err != nil {
		return err
	}
	return b.measureChart(ctx)
}

// measureSmallSeal seals logs of one point: what the end of every run that
// logs costs in the background.
func (b *bench) measureSmallSeal(ctx context.Context) error {
	const writes = 4 // points, digest, record; a segment is deleted
	floor, err := b.newWriter(recordSize)
	if err != nil {
		return err
	}
	seal := func(ctx context.Context) (sample, error) {
		l, err := b.newMetricLog()
		if err != nil {
			return sample{}, err
		}
		defer l.store.Close()
		w, err := l.fill(curves[0], 1, 1)
		if err != nil {
			return sample{}, err
		}
		if err := w.Close(ctx); err != nil {
			return sample{}, err
		}
		return timed(func(ctx context.Context) error { _, err := l.Seal(ctx); return err })(ctx)
	}
	got, err := b.rounds(ctx, seal, floor.times(writes))
	if err != nil {
		return err
	}
	f := figureOf("metric-seal-one-point", "ms", 1e3, got[0], fmt.Sprintf("%d new files, each with fsync of file and folder", writes), got[1])
	f.Beside = []named{{"CPU ms", 1e3 * mean(got[0].cpu)}, {"floor's CPU ms", 1e3 * mean(got[1].cpu)}}
	f.Note = "in the background of a run's end"
	b.report(f)
	return nil
}

func (b *bench) measureSizes(ctx context.Context, c curve) error {
	const points = 1_000_000
	l, err := b.newMetricLog()
	if err != nil {
		return err
	}
	defer l.store.Close()
	w, err := l.fill(c, points, len(logNames))
	if err != nil {
		return err
	}
	spool, err := l.spoolBytes()
	if err != nil {
		return err
	}
	if err := w.Close(ctx); err != nil {
		return err
	}
	segments, _, err := l.objects(ctx, ".seg")
	if err != nil {
		return err
	}
	done, err := l.Seal(ctx)
	if err != nil {
		return err
	}
	digest, _, err := l.objects(ctx, ".digest")
	if err != nil {
		return err
	}
	b.report(figure{Name: "metric-bytes", Value: float64(done.Bytes) / points, Unit: "bytes/point", N: points,
		Beside: []named{{"spool", float64(spool) / points}, {"segments", float64(segments) / points}, {"of which digest", float64(digest) / points}},
		Note:   "sealed; " + c.name + ", five metrics a step"})
	return nil
}

// measureSeal seals once, beside a bare writing of the same columns.
func (b *bench) measureSeal(ctx context.Context, c curve, points int) error {
	l, err := b.newMetricLog()
	if err != nil {
		return err
	}
	defer l.store.Close()
	begun := time.Now()
	w, err := l.fill(c, points, len(logNames))
	if err != nil {
		return err
	}
	logged := time.Since(begun).Seconds()
	if err := w.Close(ctx); err != nil {
		return err
	}
	shipped := time.Since(begun).Seconds()
	got, err := timed(func(ctx context.Context) error { _, err := l.Seal(ctx); return err })(ctx)
	if err != nil {
		return err
	}
	floor, err := timed(func(context.Context) error { return b.bareParquet(c, points) })(ctx)
	if err != nil {
		return err
	}
	b.report(figure{Name: "metric-throughput", Value: float64(points) / logged, Unit: "points/s", N: points,
		Beside: []named{{"until durable in the store", float64(points) / shipped}}, Note: "one goroutine, values made among it"})
	b.report(figure{Name: "metric-seal", Value: got.value, Unit: "s", N: points, Floor: &named{"bare parquet-go, the same columns", floor.value},
		Ratio: got.value / floor.value, Beside: []named{{"CPU s", got.cpu}, {"floor's CPU s", floor.cpu}}, Note: fmt.Sprintf("%d points, once", points)})
	return nil
}

// bareRow has the columns of sealed metrics that have values here.
type bareRow struct {
	Name   string  `parquet:"name,dict"`
	Kind   string  `parquet:"kind,dict"`
	Type   string  `parquet:"type,dict"`
	Step   int64   `parquet:"step,delta"`
	Time   int64   `parquet:"time,delta,timestamp(nanosecond)"`
	Value  float64 `parquet:"value,split"`
	Writer string  `parquet:"writer,dict"`
	Seq    int64   `parquet:"seq,delta"`
}

// bareParquet writes rows that are there already, sorted, with fsync.
func (b *bench) bareParquet(c curve, points int) error {
	file, err := os.Create(filepath.Join(b.dir, "bare.parquet"))
	if err != nil {
		return err
	}
	defer file.Close()
	w := parquet.NewGenericWriter[bareRow](file, parquet.Compression(&zstd.Codec{}))
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // numbers of a test, the same each time
	rows := make([]bareRow, 4096)
	for i := 0; i < points; i += len(rows) {
		for j := range rows {
			v, _ := c.value(r, 0, i+j).(float64)
			rows[j] = bareRow{"train/loss", "scalar", "float", int64(i + j), int64(i+j) * 1000, v, "0123456789abcdef", int64(i + j)}
		}
		if _, err := w.Write(rows); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return file.Sync()
}

// measureChart draws a metric of many points, beside a bare reading of as many
// bytes as the digest has.
func (b *bench) measureChart(ctx context.Context) error {
	points := sealPoints
	if b.big {
		points = chartPoints
	}
	l, err := b.newMetricLog()
	if err != nil {
		return err
	}
	defer l.store.Close()
	w, err := l.fill(curves[0], points, 1)
	if err != nil {
		return err
	}
	if err := w.Close(ctx); err != nil {
		return err
	}
	if _, err := l.Seal(ctx); err != nil {
		return err
	}
	size, keys, err := l.objects(ctx, ".digest")
	if err != nil {
		return err
	}
	chart := func(steps *metrics.StepRange) side {
		return timed(func(ctx context.Context) error {
			_, err := l.Chart(ctx, logNames[0], &metrics.ChartOptions{Steps: steps})
			return err
		})
	}
	summary := timed(func(ctx context.Context) error { _, err := l.Summary(ctx); return err })
	read := timed(func(ctx context.Context) error {
		obj, err := l.store.Get(ctx, keys[0], &backend.GetOptions{})
		if err != nil {
			return err
		}
		defer obj.Body.Close()
		_, err = io.Copy(io.Discard, obj.Body)
		return err
	})
	third, n := int64(points)/3, int64(points)
	got, err := b.rounds(ctx, chart(nil), read, chart(&metrics.StepRange{First: third, Last: 2 * third}),
		chart(&metrics.StepRange{First: third, Last: third + n/1000}), summary)
	if err != nil {
		return err
	}
	f := figureOf("metric-chart", "ms", 1e3, got[0], fmt.Sprintf("reading the digest of %d bytes", size), got[1])
	f.Beside = []named{{"a third of the steps", 1e3 * median(got[2].value)}, {"a thousandth of the steps", 1e3 * median(got[3].value)},
		{"summaries", 1e3 * median(got[4].value)}}
	f.Note = fmt.Sprintf("1,000 buckets of a sealed metric of %d points", points)
	b.report(f)
	return nil
}
