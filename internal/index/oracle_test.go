package index

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// run makes a random run and gives what it has to be found by.
func (g gen) run(t *testing.T, s *space, id string) filter.Row {
	row := filter.Row{}
	set := func(f filter.Field, v filter.Value) { row[f] = v }
	text := func(name, value string) {
		if value != "" {
			set(Runs.Schema.Attribute(name), filter.Value{Text: value})
		}
	}
	labels := func(e filter.Entity, keys ...string) map[string]string {
		out := map[string]string{}
		for _, key := range keys {
			if g.IntN(3) > 0 && (key != "rare" || g.IntN(8) == 0) {
				out[key] = pick(g, texts)
				set(filter.Field{Entity: e, Key: key, Type: filter.Text}, filter.Value{Text: out[key]})
			}
		}
		return out
	}
	created := time.UnixMilli(int64(g.IntN(4)) * 1000).UTC()
	var rec record.Run
	s.put(t, id, func(r *record.Run) {
		r.Number, r.DisplayName, r.Started = g.IntN(3), pick(g, texts), created
		r.Status = pick(g, []record.Status{record.Completed, record.Failed})
		r.Tags, r.Params = labels(filter.Tag, "t`1", "rare"), labels(filter.Param, "p1", "m1")
		for i := range g.IntN(4) {
			d := record.DatasetInput{Name: pick(g, texts[1:]), Digest: pick(g, texts), Tags: map[string]string{DatasetContext: pick(g, texts)}}
			r.Datasets = append(r.Datasets, d)
			for key, v := range map[string]string{"name": d.Name, "digest": d.Digest, "context": d.Tags[DatasetContext]} {
				if v != "" {
					set(filter.DatasetField(i, key), filter.Value{Text: v})
				}
			}
		}
		if g.IntN(2) == 0 {
			r.Ended = created.Add(time.Duration(g.IntN(3)) * time.Second)
		}
		rec = *r
	})
	text("run_id", id)
	text("experiment", "e")
	text("type", "azml.run")
	text("root_run_id", id)
	text("status", string(rec.Status))
	text("run_name", rec.DisplayName)
	number := func(name string, v float64) { set(Runs.Schema.Attribute(name), filter.Value{Number: v}) }
	number("number", float64(rec.Number))
	number("start_time", float64(created.UnixMilli()))
	if !rec.Ended.IsZero() {
		number("end_time", float64(rec.Ended.UnixMilli()))
	}
	logged := map[string][]float64{}
	for _, name := range []string{"m1", "m 2", "rare"} {
		if g.IntN(3) > 0 && (name != "rare" || g.IntN(8) == 0) {
			values := []float64{pick(g, numbers), pick(g, numbers)}
			logged[name] = values
			set(filter.Field{Entity: filter.Metric, Key: name, Type: filter.Number}, filter.Value{Number: values[1]})
		}
	}
	if len(logged) > 0 {
		s.logTo(t, id, logged)
	}
	return row
}

// expected answers a query by looking at all rows.
func expected(rows map[string]filter.Row, e filter.Expr, order []filter.Order) []string {
	ids := []string{}
	for id, row := range rows {
		if filter.Match(e, row) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	slices.SortStableFunc(ids, func(a, b string) int { return filter.Compare(rows[a], rows[b], order) })
	return ids
}

// TestOracle compares random searches among random runs, page by page, with what
// package filter says, while runs change in between.
func TestOracle(t *testing.T) {
	t.Parallel()
	g := gen{seeded(t)}
	s := open(t, memory.NewObjects(), t.TempDir())
	rows := map[string]filter.Row{}
	for i := range 120 {
		id := fmt.Sprintf("r%d", i)
		rows[id] = g.run(t, s, id)
	}
	x, err := Of(s.Handle)
	require.NoError(t, err)
	for i := range 300 {
		if i%20 == 19 { // change one
			id := pick(g, slices.Sorted(maps.Keys(rows)))
			require.NoError(t, s.Objects().Delete(t.Context(), "runs/"+id+"/run.json", &backend.DeleteOptions{}))
			delete(rows, id)
			id = fmt.Sprintf("new%d", i)
			rows[id] = g.run(t, s, id)
		}
		var e filter.Expr
		text := ""
		if g.IntN(8) > 0 {
			text = g.expr(3).String()
		}
		e, err := Runs.Schema.Parse(text)
		require.NoError(t, err, text)
		var keys []string
		for _, o := range g.order() {
			keys = append(keys, o.String())
		}
		order, err := Runs.Schema.ParseOrder(keys...)
		require.NoError(t, err)
		q := Query{Kind: Runs, Filter: e, Order: order, Size: []int{1, 2, 7, 50, 1000}[g.IntN(5)]}
		got := []string{}
		for {
			page, err := x.Search(t.Context(), q)
			require.NoError(t, err, "%s ORDER BY %v", text, order)
			for _, hit := range page.Hits {
				got = append(got, hit.ID)
			}
			if q.Token = page.Next; q.Token == "" {
				break
			}
			require.Len(t, page.Hits, q.Size)
		}
		require.Equal(t, expected(rows, e, order), got, "filter %s\norder %v\npages of %d", text, order, q.Size)
	}
	require.Empty(t, s.log.warnings())
}

// TestWays answers each search in every way that there is, not only in the one
// that looks best.
func TestWays(t *testing.T) {
	t.Parallel()
	g := gen{seeded(t)}
	s := open(t, memory.NewObjects(), t.TempDir())
	rows := map[string]filter.Row{}
	for i := range 60 {
		id := fmt.Sprintf("r%d", i)
		rows[id] = g.run(t, s, id)
	}
	x, err := Of(s.Handle)
	require.NoError(t, err)
	require.NoError(t, x.Refresh(t.Context(), false))
	db, err := x.database(t.Context())
	require.NoError(t, err)
	c, err := db.acquire(t.Context())
	require.NoError(t, err)
	defer db.release(c)
	for range 250 {
		e := g.expr(3)
		order, err := Runs.Schema.ParseOrder()
		require.NoError(t, err)
		order = append(g.order(), order...)
		order = slices.CompactFunc(order, func(a, b filter.Order) bool { return a.Field == b.Field })
		want := expected(rows, e, order)
		find := search{c, Runs}
		e, err = find.spread(e)
		require.NoError(t, err)
		some, err := find.candidates(e, 1e9)
		require.NoError(t, err)
		for name, way := range map[string]func() ([]match, error){
			"sort all":        func() ([]match, error) { return find.sort(nil, e, order, nil, 1000) },
			"sort candidates": func() ([]match, error) { return find.sort(some.items, e, order, nil, 1000) },
			"walk":            func() ([]match, error) { return find.walk(e, order, nil, 1000) },
		} {
			items, err := way()
			require.NoError(t, err)
			got := []string{}
			for _, item := range items {
				hit, err := c.hit(item)
				require.NoError(t, err)
				got = append(got, hit.ID)
			}
			require.Equal(t, want, got, "%s: %s ORDER BY %v", name, e, order)
		}
	}
}

func TestSummaries(t *testing.T) {
	t.Parallel()
	s := open(t, memory.NewObjects(), t.TempDir())
	s.put(t, "r", nil)
	s.logTo(t, "r", map[string][]float64{"a": {2, math.NaN(), -1, math.Inf(1), 3}})
	x, err := Of(s.Handle)
	require.NoError(t, err)
	page, err := x.Search(t.Context(), Query{Kind: Runs, Size: 1})
	require.NoError(t, err)
	sum := page.Hits[0].Metrics["a"]
	require.WithinDuration(t, time.Now(), sum.Time, time.Minute)
	sum.Time = time.Time{}
	require.Equal(t, Summary{Kind: "scalar", Count: 5, Tally: metrics.Tally{Numbers: 4, NaNs: 1, Min: -1, Max: math.Inf(1)}, Number: true, Last: 3, Step: 4}, sum)

	_, err = decodeSummaries([]byte(strings.Repeat("\xff", 20)))
	require.Error(t, err)
}
