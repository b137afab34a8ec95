package metrics

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

const testPrefix = "runs/r1/metrics/"

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

func TestMain(m *testing.M) {
	if job := os.Getenv("METRICS_TEST_CHILD"); job != "" {
		os.Exit(child(job))
	}
	goleak.VerifyTestMain(m)
}

// smallLimits make files roll and frames end every few points.
var smallLimits = limits{
	spoolMin: 256, spoolMax: 600, framePoints: 7, frameBytes: 400,
	appendBytes: 150, segmentBytes: 900, segmentAppends: 9, groupRows: 90, groupBytes: 4000,
}

func openLog(t testing.TB, objects backend.Objects, dir string, l limits) *Log {
	t.Helper()
	log := Open(objects, testPrefix, &Options{SpoolDir: dir, Now: func() time.Time { return testTime }})
	log.limits = l
	return log
}

func newLog(t testing.TB, l limits) (*Log, *memory.Objects) {
	t.Helper()
	objects := memory.NewObjects()
	return openLog(t, objects, t.TempDir(), l), objects
}

func newWriter(t testing.TB, l *Log) *Writer {
	t.Helper()
	w, err := l.NewWriter()
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

func readAll(t testing.TB, l *Log) []Point {
	t.Helper()
	points, err := collectPoints(l.Read(t.Context(), nil))
	require.NoError(t, err)
	return points
}

func collectPoints(seq func(func(Point, error) bool)) (points []Point, err error) {
	for p, e := range seq {
		if e != nil {
			return points, e
		}
		points = append(points, p)
	}
	return points, nil
}

// byWriter parts points by writer and checks that each writer's numbers run
// from 1 without a gap.
func byWriter(t testing.TB, points []Point) map[string][]Point {
	t.Helper()
	out := make(map[string][]Point)
	for _, p := range points {
		require.EqualValues(t, len(out[p.Writer])+1, p.Seq, "writer %s", p.Writer)
		out[p.Writer] = append(out[p.Writer], p)
	}
	return out
}

// same compares points, with every bit of floats.
func same(t testing.TB, want, got []Point) {
	t.Helper()
	require.Equal(t, len(want), len(got), "number of points")
	for i := range want {
		require.Equal(t, show(want[i]), show(got[i]), "point %d", i)
	}
}

func show(p Point) string {
	value := fmt.Sprintf("%T %#v", p.Value, p.Value)
	if f, ok := p.Value.(float64); ok {
		value = fmt.Sprintf("float bits %x", math.Float64bits(f))
	}
	return fmt.Sprintf("%q %s step %d at %d: %s", p.Name, p.Kind, p.Step, p.Time.UnixNano(), value)
}

func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	if s := os.Getenv("METRICS_TEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed: METRICS_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// randomPoint draws a point of a name whose kind goes by the name.
func randomPoint(r *rand.Rand) Point {
	kinds := Kinds()
	k := r.IntN(4 * len(kinds))
	p := Point{
		Name: fmt.Sprintf("näme %d", k), Kind: KindScalar, Step: int64(r.IntN(100)) - 50,
		Time: testTime.Add(time.Duration(r.Int64N(int64(time.Hour)))),
	}
	if r.IntN(20) == 0 {
		p.Step = int64(r.Uint64())
	}
	if k < len(kinds) {
		p.Kind = kinds[k]
	}
	switch p.Kind {
	case KindScalar:
		p.Value = randomScalar(r)
	case KindList:
		p.Value = randomList(r, 1+r.IntN(9))
	case KindTable:
		n := 1 + r.IntN(4)
		p.Value = []Column{{Name: "a", Values: randomList(r, n)}, {Name: "ö", Values: randomList(r, n)}}
	default:
		p.Value = fmt.Sprintf("outputs/%d.json", r.Uint32())
	}
	return p
}

func randomList(r *rand.Rand, n int) []any {
	values := make([]any, n)
	for i := range values {
		values[i] = randomScalar(r)
	}
	list, err := List(values)
	if err != nil {
		panic(err)
	}
	return list
}

func randomScalar(r *rand.Rand) any {
	switch r.IntN(12) {
	case 0:
		return int64(r.Uint64())
	case 1:
		return r.IntN(2) == 0
	case 2:
		return nil
	case 3:
		return string(make([]byte, r.IntN(300))) + "é"
	case 4:
		special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64,
			math.SmallestNonzeroFloat64, math.Float64frombits(0x7ff8dead0000beef), 0.1, 1e15, 1 << 53}
		return special[r.IntN(len(special))]
	case 5:
		return float64(r.Float32())
	case 6:
		return math.Float64frombits(r.Uint64() &^ (1 << 62)) // never a signalling NaN
	case 7:
		return float64(r.IntN(100000)) / 1000
	}
	return r.Float64()
}
