package metrics

import (
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/memory"
)

var benchNames = []string{"train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr"}

// BenchmarkLog is the hot path, with the spool shipped now and then and the
// time given by the caller.
func BenchmarkLog(b *testing.B) {
	l := openLog(b, memory.NewObjects(), b.TempDir(), defaultLimits)
	w := newWriter(b, l)
	b.ReportAllocs()
	now := testTime
	for i := 0; b.Loop(); i++ {
		now = now.Add(time.Microsecond)
		if err := w.Log(benchNames[i%5], float64(i)*0.37, int64(i/5), now); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	reportSpool(b, l, w)
}

// BenchmarkLogNow is the same with the time taken from the clock.
func BenchmarkLogNow(b *testing.B) {
	l := Open(memory.NewObjects(), testPrefix, &Options{SpoolDir: b.TempDir()})
	w := newWriter(b, l)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := w.Log(benchNames[i%5], float64(i)*0.37, int64(i/5), time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLogPercentiles reports how long single calls take, the clock's own
// cost among it.
func BenchmarkLogPercentiles(b *testing.B) {
	l := openLog(b, memory.NewObjects(), b.TempDir(), defaultLimits)
	w := newWriter(b, l)
	took := make([]time.Duration, 0, b.N)
	for i := range b.N {
		start := time.Now()
		if err := w.Log("loss", float64(i), int64(i), start); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
	b.ReportMetric(float64(took[len(took)-1]), "max-ns")
}

// BenchmarkFloor is what a mapped append with a lock and CRC costs.
func BenchmarkFloor(b *testing.B) {
	const size = 64 << 20
	m, err := createMapping(filepath.Join(b.TempDir(), "floor"), size)
	require.NoError(b, err)
	defer m.discard()
	var mu sync.Mutex
	var record [16]byte
	off := 0
	for b.Loop() {
		mu.Lock()
		if off+20 > size {
			off = 0
		}
		end := off + 4 + copy(m.mem[off+4:], record[:])
		crc := crc32.Checksum(m.mem[off+4:end], castagnoli)
		m.mem[off], m.mem[off+1], m.mem[off+2], m.mem[off+3] = byte(crc), byte(crc>>8), byte(crc>>16), byte(crc>>24)
		off = end
		mu.Unlock()
	}
}

// BenchmarkWriteCall is what one write(2) a point costs.
func BenchmarkWriteCall(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "write"))
	require.NoError(b, err)
	defer f.Close()
	var record [20]byte
	for b.Loop() {
		if _, err := f.Write(record[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func reportSpool(b *testing.B, l *Log, w *Writer) {
	b.Helper()
	var bytes int64
	for n := range w.file.number {
		info, err := os.Stat(l.spool.file(w.ID(), n))
		require.NoError(b, err)
		bytes += info.Size()
	}
	b.ReportMetric(float64(bytes+int64(w.file.off))/float64(w.seq), "spool-B/point")
}

// benchValues are what programs log, as the value of the i-th point.
var benchValues = map[string]func(i int) float64{
	"float32":  func(i int) float64 { return float64(float32(1 / (1 + float64(i)*0.013))) },
	"decimals": func(i int) float64 { return float64((i*7919)%100000) / 10000 },
	"float64":  func(i int) float64 { return 1 / (1 + float64(i)*0.013) },
}

// BenchmarkShip is the way from the spool to a store in memory, and
// BenchmarkRead the way back.
func BenchmarkShip(b *testing.B) {
	for name, value := range benchValues {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				l, w := filled(b, value)
				b.StartTimer()
				require.NoError(b, w.Flush(b.Context()))
				b.StopTimer()
				writers, err := l.Writers(b.Context())
				require.NoError(b, err)
				b.ReportMetric(float64(writers[0].Bytes)/benchPoints, "segment-B/point")
				require.NoError(b, w.Close(b.Context()))
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPoints, "ns/point")
		})
	}
}

const benchPoints = 200_000

// filled gives a writer with points in its spool: five metrics a step, a step
// each 10 ms, each metric some 2 µs after the one before.
func filled(b *testing.B, value func(int) float64) (*Log, *Writer) {
	b.Helper()
	l := openLog(b, memory.NewObjects(), b.TempDir(), defaultLimits)
	w := newWriter(b, l)
	for i := range benchPoints {
		at := testTime.Add(time.Duration(i/5)*10*time.Millisecond + time.Duration(i%5*2000+i%97))
		require.NoError(b, w.Log(benchNames[i%5], value(i), int64(i/5), at))
	}
	return l, w
}

func BenchmarkRead(b *testing.B) {
	l, w := filled(b, benchValues["float32"])
	require.NoError(b, w.Close(b.Context()))
	for b.Loop() {
		n := 0
		for _, err := range l.Read(b.Context(), nil) {
			require.NoError(b, err)
			n++
		}
		require.Equal(b, benchPoints, n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPoints, "ns/point")
}

func BenchmarkSummary(b *testing.B) {
	l, w := filled(b, benchValues["float32"])
	require.NoError(b, w.Close(b.Context()))
	for b.Loop() {
		_, err := l.Summary(b.Context())
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPoints, "ns/point")
}

// BenchmarkRun is the cost of having a writer at all: make, log one point,
// flush, close.
func BenchmarkRun(b *testing.B) {
	objects, dir := memory.NewObjects(), b.TempDir()
	for b.Loop() {
		l := Open(objects, testPrefix, &Options{SpoolDir: dir})
		w, err := l.NewWriter()
		require.NoError(b, err)
		require.NoError(b, w.Log("loss", 1, 0, time.Time{}))
		require.NoError(b, w.Close(b.Context()))
	}
}
