//go:build unix

package files

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/azml-go/azml/backend/localfs"
	"github.com/stretchr/testify/require"
)

// bench runs snapshots of a folder of this size: cold, unchanged, and with 1 %
// of it changed, against localfs.
func bench(b *testing.B, fill, change func(dir string, round int)) {
	for _, kind := range []string{"cold", "unchanged", "changed"} {
		b.Run(kind, func(b *testing.B) {
			dir := b.TempDir()
			fill(dir, 0)
			c := &clock{off: time.Hour}
			cache := b.TempDir()
			var stats Stats
			var cpu time.Duration
			round := 0
			local, err := localfs.New(b.TempDir(), nil)
			require.NoError(b, err)
			defer func() { _ = local.Close() }()
			if kind != "cold" {
				saveDir(b, New(local, &Options{CacheDir: cache, Now: c.now}), dir)
			}
			for b.Loop() {
				b.StopTimer()
				round++
				store := New(local, &Options{CacheDir: cache, Now: c.now})
				if kind == "changed" {
					change(dir, round)
				}
				if kind == "cold" {
					fresh, err := localfs.New(b.TempDir(), nil)
					require.NoError(b, err)
					store = New(fresh, &Options{CacheDir: b.TempDir(), Now: c.now})
				}
				before := cpuTime()
				b.StartTimer()
				m, s := saveDir(b, store, dir)
				_, err := store.PutManifest(b.Context(), m)
				require.NoError(b, err)
				cpu += cpuTime() - before
				stats = s
			}
			b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(stats.Objects+1), "objects")
			b.ReportMetric(float64(stats.NewBytes)/(1<<20), "new-MiB")
			b.ReportMetric(float64(stats.Reread), "files-read")
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func BenchmarkSmallFiles(b *testing.B) {
	name := func(dir string, i int) string { return filepath.Join(dir, fmt.Sprint(i%50), fmt.Sprintf("%d.bin", i)) }
	fill := func(dir string, _ int) {
		data := noise(1, 5000*4096)
		for i := range 5000 {
			must(os.MkdirAll(filepath.Dir(name(dir, i)), 0o755))
			must(os.WriteFile(name(dir, i), data[i*4096:][:4096], 0o644))
		}
	}
	change := func(dir string, round int) {
		for i := range 50 {
			must(os.WriteFile(name(dir, i*100), noise(uint64(round*50+i+100), 4096), 0o644))
		}
	}
	bench(b, fill, change)
}

func BenchmarkBigFile(b *testing.B) {
	const size = 1 << 30
	fill := func(dir string, _ int) {
		f, err := os.Create(filepath.Join(dir, "big"))
		must(err)
		for i := range size >> 26 {
			_, err = f.Write(noise(uint64(i), 1<<26))
			must(err)
		}
		must(f.Close())
	}
	change := func(dir string, round int) { // 10 MiB in one place
		f, err := os.OpenFile(filepath.Join(dir, "big"), os.O_WRONLY, 0)
		must(err)
		_, err = f.WriteAt(noise(uint64(round+5000), 10<<20), int64(round%10)*90<<20)
		must(err)
		must(f.Close())
	}
	bench(b, fill, change)
}

func BenchmarkRestore(b *testing.B) {
	dir := b.TempDir()
	for i := range 5000 {
		must(os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), noise(uint64(i), 4096), 0o644))
	}
	objects := newSpy()
	s := New(objects, nil)
	m, _ := saveDir(b, s, dir)
	objects.gets.Store(0)
	for b.Loop() {
		must(s.Restore(b.Context(), m, b.TempDir(), nil))
	}
	b.ReportMetric(float64(objects.gets.Load())/float64(b.N), "requests")
}
