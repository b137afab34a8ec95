package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// curves are what programs log, as the i-th value of a metric.
var curves = map[string]func(r *rand.Rand, metric, i int) any{
	"loss": func(r *rand.Rand, metric, i int) any {
		return float64(float32((0.2 + 2/math.Sqrt(float64(i+1))) * (1 + 0.02*r.NormFloat64())))
	},
	"random": func(r *rand.Rand, _, _ int) any { return r.Float64() },
	"ints":   func(_ *rand.Rand, metric, i int) any { return int64(i * (metric + 1)) },
}

// BenchmarkSeal seals five metrics a step, steps of about 10 ms.
func BenchmarkSeal(b *testing.B) {
	for name, value := range curves {
		b.Run(name, func(b *testing.B) {
			const points = 1_000_000
			for b.Loop() {
				b.StopTimer()
				r := rand.New(rand.NewPCG(1, 1))
				l := openLog(b, memory.NewObjects(), b.TempDir(), defaultLimits)
				w := newWriter(b, l)
				at := testTime
				for i := range points {
					if i%5 == 0 {
						at = at.Add(time.Duration(1e7 * (1 + 0.01*r.NormFloat64())))
					}
					p := Point{Name: benchNames[i%5], Kind: KindScalar, Step: int64(i / 5), Time: at.Add(time.Duration(i%5*300 + r.IntN(50))), Value: value(r, i%5, i/5)}
					require.NoError(b, w.Append(p))
				}
				spool := int64(w.file.off)
				for n := range w.file.number {
					spool += int64(w.log.limits.spoolMax)
					_ = n
				}
				require.NoError(b, w.Close(b.Context()))
				writers, err := l.Writers(b.Context())
				require.NoError(b, err)
				b.ReportMetric(float64(writers[0].Bytes)/points, "segment-B/point")
				b.StartTimer()
				done := mustSeal(b, l)
				b.StopTimer()
				b.ReportMetric(float64(done.Bytes)/points, "sealed-B/point")
				s, err := l.readSealed(b.Context())
				require.NoError(b, err)
				rd, err := l.openTables(b.Context(), s, nil)
				require.NoError(b, err)
				for c, col := range rd.file.Metadata().RowGroups[0].Columns {
					fmt.Println(c, col.MetaData.PathInSchema, col.MetaData.Encoding, float64(col.MetaData.TotalCompressedSize)/float64(rd.file.Metadata().RowGroups[0].NumRows))
				}
				fmt.Println("digest", s.Digest.Size)
				_ = backend.Info{}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/points, "ns/point")
		})
	}
}
