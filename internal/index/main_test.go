package index

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

// space is a workspace as this package sees one.
type space struct {
	core.Handle
	log *logs
}

// logs collects what is logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// warnings gives what was logged as a warning.
func (l *logs) warnings() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "level=WARN") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// open opens the workspace on the store with a cache folder.
func open(t testing.TB, objects backend.Objects, cache string) *space {
	t.Helper()
	l := &logs{}
	h := core.New(core.Config{Objects: objects, Secrets: memory.NewSecrets(), CacheDir: cache, Workspace: record.Workspace{ID: "w"},
		Logger: slog.New(slog.NewTextHandler(l, nil))})
	s := &space{h, l}
	t.Cleanup(func() { s.close(t) })
	return s
}

func (s *space) close(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, s.Close(ctx))
}

// local opens a workspace in a folder.
func local(t testing.TB, dir, cache string) *space {
	t.Helper()
	store, err := localfs.New(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return open(t, store, cache)
}

// put stores a run's record, with what change makes of it.
func (s *space) put(t testing.TB, id string, change func(*record.Run)) {
	t.Helper()
	r := record.Run{ID: id, Experiment: "e", Life: "0123456789abcdef", Root: id, Type: "azml.run", Status: record.Completed}
	if change != nil {
		change(&r)
	}
	require.NoError(t, core.PutQuiet(t.Context(), s.Handle, history.Ref(id).Key, r))
}

// get reads a run's record.
func (s *space) get(t testing.TB, id string) record.Run {
	t.Helper()
	stored, err := history.Get(t.Context(), s.Handle, id)
	require.NoError(t, err)
	return stored.Value
}

// logTo logs points of one metric to a run, and makes them durable.
func (s *space) logTo(t testing.TB, id string, metrics map[string][]float64) {
	t.Helper()
	log, err := history.Metrics(s.Handle, s.get(t, id))
	require.NoError(t, err)
	w, err := log.NewWriter()
	require.NoError(t, err)
	for name, values := range metrics {
		for i, v := range values {
			require.NoError(t, w.Log(name, v, int64(i), time.Time{}))
		}
	}
	require.NoError(t, w.Close(t.Context()))
}

// ids searches runs.
func (s *space) ids(t testing.TB, text string, orderBy ...string) []string {
	t.Helper()
	ids, err := s.search(t.Context(), Runs, text, orderBy...)
	require.NoError(t, err)
	return ids
}

func (s *space) search(ctx context.Context, k *Kind, text string, orderBy ...string) ([]string, error) {
	ids := []string{}
	for id, err := range All(ctx, s.Handle, Request{Kind: k, Filter: text, OrderBy: orderBy}, func(h Hit) (string, error) { return h.ID, nil }) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// files gives the database files in the cache folder.
func dbFiles(t testing.TB, cache string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cache, "index", "*", "*"+fileSuffix))
	require.NoError(t, err)
	return files
}

// seeded gives a source of random numbers and tells its seed.
func seeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	if text := os.Getenv("AZML_TEST_SEED"); text != "" {
		_, err := fmt.Sscan(text, &seed)
		require.NoError(t, err)
	}
	t.Logf("AZML_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// gen makes random rows and filters over few fields and values, so that much is
// equal and much is missing.
type gen struct{ *rand.Rand }

var (
	texts   = []string{"", "a", "A", "ab", "aB", "é", "É", "a%", "a_b", "it's", "\"", "zz", "a\nb", "NaN", "1", "ß"}
	numbers = []float64{0, 1, -1, 0.5, 1e300, -1e300, math.Inf(1), math.Inf(-1), math.NaN(), 1e-300, 3, math.Copysign(0, -1)}
	// likes are patterns.
	likes = []string{"", "%", "_", "a%", "%b", "A_", "a\\%", "é", "a%b", "__", "it's%", "%%a%"}
)

func pick[T any](g gen, from []T) T { return from[g.IntN(len(from))] }

func (g gen) field() filter.Field {
	return pick(g, []filter.Field{
		{Entity: filter.Metric, Key: "m1", Type: filter.Number}, {Entity: filter.Metric, Key: "m 2", Type: filter.Number},
		{Entity: filter.Metric, Key: "rare", Type: filter.Number}, {Entity: filter.Metric, Key: "never", Type: filter.Number},
		{Entity: filter.Param, Key: "p1", Type: filter.Text}, {Entity: filter.Param, Key: "m1", Type: filter.Text},
		{Entity: filter.Tag, Key: "t`1", Type: filter.Text}, {Entity: filter.Tag, Key: "rare", Type: filter.Text},
		Runs.Schema.Attribute("status"), Runs.Schema.Attribute("start_time"), Runs.Schema.Attribute("end_time"),
		Runs.Schema.Attribute("run_name"), Runs.Schema.Attribute("run_id"), Runs.Schema.Attribute("number"),
	})
}

func (g gen) value(f filter.Field) filter.Value {
	if f.Type == filter.Text {
		return filter.Value{Text: pick(g, append(texts, "Completed", "Failed", "r3", "r17"))}
	}
	for {
		if v := pick(g, append(numbers, 1000, 2000, 3000)); !math.IsNaN(v) {
			return filter.Value{Number: v}
		}
	}
}

func (g gen) expr(depth int) filter.Expr {
	if depth > 0 {
		switch g.IntN(6) {
		case 0, 1:
			return filter.And{g.expr(depth - 1), g.expr(depth - 1)}
		case 2:
			return filter.Or{g.expr(depth - 1), g.expr(depth - 1), g.expr(depth - 1)}
		case 3:
			return filter.Not{Term: g.expr(depth - 1)}
		}
	}
	f := g.field()
	if g.IntN(6) == 0 {
		f = filter.Field{Entity: filter.Dataset, Key: pick(g, filter.DatasetKeys), Type: filter.Text}
	}
	ops := []filter.Op{filter.Equal, filter.In, filter.IsNull, filter.LikeOp, filter.ILikeOp}
	if f.Type == filter.Number {
		ops = []filter.Op{filter.Equal, filter.In, filter.IsNull, filter.Less, filter.LessEqual, filter.Greater, filter.GreaterEqual}
	}
	c := filter.Comparison{Field: f, Op: pick(g, ops), Values: []filter.Value{g.value(f)}}
	switch c.Op {
	case filter.In:
		c.Values = append(c.Values, g.value(f), g.value(f))
	case filter.IsNull:
		c.Values = nil
	case filter.LikeOp, filter.ILikeOp:
		c.Values[0].Text = pick(g, likes)
	}
	return c
}

func (g gen) order() []filter.Order {
	var out []filter.Order
	for range g.IntN(4) {
		out = append(out, filter.Order{Field: g.field(), Desc: g.IntN(2) == 0})
	}
	return out
}
