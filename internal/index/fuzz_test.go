package index

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// FuzzSummaries reads bytes as summaries: what can be read is written again as
// the same summaries.
func FuzzSummaries(f *testing.F) {
	f.Add(Summaries{"a": {Kind: "scalar", Count: 3, Tally: metrics.Tally{Numbers: 2, NaNs: 1, Min: -1, Max: 2}, Number: true, Last: 2, Step: 7, Time: time.Unix(1, 2),
		last: metrics.Order{Latest: -5, Writer: "w", Seq: 9}}, "": {}}.encode())
	f.Add([]byte{})
	f.Add([]byte{1, 'a', 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		sums, err := decodeSummaries(data)
		if err != nil {
			return
		}
		again, err := decodeSummaries(sums.encode())
		require.NoError(t, err)
		require.Equal(t, sums.encode(), again.encode())
	})
}

// FuzzToken gives any text as a page token, also one with the right digest.
func FuzzToken(f *testing.F) {
	f.Add(`{"v":["3ff0000000000000"],"id":"r"}`)
	f.Add(`{"v":[null],"id":""}`)
	f.Add(`{"v":["x"]}`)
	f.Add("")
	order := []filter.Order{{Field: Runs.Schema.Attribute("start_time"), Desc: true}}
	f.Fuzz(func(t *testing.T, text string) {
		q := Query{Kind: Runs, Order: order, Token: text}
		if p, err := q.position(); err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
		} else {
			require.Nil(t, p)
			require.Empty(t, text)
		}
		q.Token = base64.RawURLEncoding.EncodeToString(append(q.sum([]byte(text)), text...))
		p, err := q.position()
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		require.Len(t, p.values, 1)
	})
}

// TestAbsurd searches with the greatest filters that there may be.
func TestAbsurd(t *testing.T) {
	t.Parallel()
	s := open(t, memory.NewObjects(), t.TempDir())
	s.put(t, "r", nil)
	names := map[string][]float64{}
	for i := range 10_000 {
		names["m"+strings.Repeat("x", i%50)+string(rune('a'+i%26))+time.Duration(i).String()] = []float64{float64(i)}
	}
	s.logTo(t, "r", names)
	require.Equal(t, []string{"r"}, s.ids(t, "metrics.`maa"+"0s` = 0 or metrics.`ma0s` = 0", "metrics.`ma0s`"))
	for name, text := range map[string]string{
		"wide or":  strings.Repeat("metrics.a > 1 or ", 499) + "run_id = 'r'",
		"wide and": strings.Repeat("metrics.a is null and ", 499) + "run_id = 'r'",
		"deep":     strings.Repeat("(", 60) + "run_id = 'r'" + strings.Repeat(")", 60),
		"nots":     strings.Repeat("not ", 60) + "run_id = 'r'",
		"list":     "run_id in (" + strings.Repeat("'a',", 9999) + "'r')",
		"pattern":  "run_id like '" + strings.Repeat("%", 1000) + "r%'",
	} {
		require.Equal(t, []string{"r"}, s.ids(t, text, strings.Repeat("metrics.a, ", 15)+"metrics.b desc"), name)
	}
	require.Empty(t, s.log.warnings())
}

// TestManyDatasets searches for one of very many, and bounds what that costs.
func TestManyDatasets(t *testing.T) {
	t.Parallel()
	s := open(t, memory.NewObjects(), t.TempDir())
	s.put(t, "few", func(r *record.Run) { r.Datasets = []record.DatasetInput{{Name: "few", Digest: "d"}} })
	s.put(t, "none", nil)
	s.put(t, "many", func(r *record.Run) {
		for i := range 1000 {
			r.Datasets = append(r.Datasets, record.DatasetInput{Name: fmt.Sprintf("d%d", i), Digest: "x"})
		}
	})
	for text, want := range map[string][]string{
		"datasets.name = 'd999'":                              {"many"},
		"datasets.name like 'd99_' and dataset.digest = 'x'":  {"many"},
		"datasets.digest in ('d', 'y')":                       {"few"},
		"datasets.digest is null":                             {"none"},
		"datasets.digest is not null":                         {"few", "many"},
		"datasets.name != 'few'":                              {"many"},
		"datasets.name != 'd5'":                               {"few", "many"},
		"not datasets.name = 'few'":                           {"many", "none"},
		"not (datasets.name = 'few')":                         {"many", "none"},
		"not datasets.name != 'few'":                          {"few", "none"},
		"not not datasets.name = 'few'":                       {"few"},
		"datasets.name not like 'd%'":                         {"few"},
		"datasets.name not in ('few')":                        {"many"},
		"datasets.name = 'd1' and datasets.name = 'd2'":       {"many"},
		"datasets.context = 'train'":                          {},
		"not (datasets.name = 'few' or datasets.name = 'd1')": {"none"},
		"datasets.name = 'few' or " + strings.Repeat("run_id = 'none' or ", 90) + "datasets.name = 'd7'": {"few", "many", "none"},
	} {
		require.Equal(t, want, s.ids(t, text, "run_id"), text)
	}
	_, err := s.search(t.Context(), Runs, strings.Repeat("datasets.name = 'x' or ", 5)+"datasets.name = 'x'")
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "1000 datasets")
	_, err = s.search(t.Context(), Runs, "datasets.name in ("+strings.Repeat("'x',", 9998)+"'x')")
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = s.search(t.Context(), Runs, "", "datasets.name")
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = s.search(t.Context(), Runs, "datasets.colour = 'x'")
	require.ErrorContains(t, err, "name, digest, context")
}

// TestPlans looks how SQLite carries searches out: values are found by their
// index or by item, never by going through a table.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := open(t, memory.NewObjects(), t.TempDir())
	s.put(t, "r", nil)
	s.logTo(t, "r", map[string][]float64{"a": {1}})
	require.Len(t, s.ids(t, "metrics.a > 0 and not (tags.x = 'y' and status in ('a', 'b')) or params.p like 'a%'", "metrics.a desc, params.p, start_time"), 1)
	require.Len(t, s.ids(t, "metrics.a > 0", "metrics.a"), 1)
	x, err := Of(s.Handle)
	require.NoError(t, err)
	db, err := x.database(t.Context())
	require.NoError(t, err)
	c, err := db.acquire(t.Context())
	require.NoError(t, err)
	defer db.release(c)
	looked := 0
	for sql := range c.statements {
		if !strings.HasPrefix(sql, "SELECT i.n") {
			continue
		}
		plan, _, err := c.Prepare("EXPLAIN QUERY PLAN " + sql)
		require.NoError(t, err)
		for plan.Step() {
			step := plan.ColumnText(3)
			require.NotRegexp(t, `SCAN (number|text|o\d|i$)`, step, sql)
			looked++
		}
		require.NoError(t, plan.Close())
	}
	require.Greater(t, looked, 5)
}
