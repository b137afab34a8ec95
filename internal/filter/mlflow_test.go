package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// mlflowRun is a run as the Python script makes one.
type mlflowRun struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Status  string            `json:"status"`
	Start   int64             `json:"start"`
	End     *int64            `json:"end,omitempty"`
	Metrics map[string]string `json:"metrics"`
	Params  map[string]string `json:"params"`
	Tags    map[string]string `json:"tags"`
}

func (r *mlflowRun) row() Row {
	row := Row{
		{Attribute, "run_id", Text}: {Text: r.ID}, {Attribute, "run_name", Text}: {Text: r.Name}, {Attribute, "status", Text}: {Text: r.Status},
		{Attribute, "start_time", Number}: {Number: float64(r.Start)},
	}
	if r.End != nil {
		row[Field{Attribute, "end_time", Number}] = Value{Number: float64(*r.End)}
	}
	for key, text := range r.Metrics {
		v, _ := strconv.ParseFloat(text, 64)
		row[Field{Metric, key, Number}] = Value{Number: v}
	}
	for key, v := range r.Params {
		row[Field{Param, key, Text}] = Value{Text: v}
	}
	for key, v := range r.Tags {
		row[Field{Tag, key, Text}] = Value{Text: v}
	}
	return row
}

type mlflowQuery struct {
	Filter string   `json:"filter"`
	Order  []string `json:"order"`
}

type mlflowAnswer struct {
	IDs   []string `json:"ids"`
	Error string   `json:"error"`
}

func askMLflow(t *testing.T, runs []mlflowRun, queries []mlflowQuery) []mlflowAnswer {
	t.Helper()
	request, err := json.Marshal(map[string]any{"runs": runs, "queries": queries})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), testenv.MLflowSkinny(t), "testdata/search.py")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var answers []mlflowAnswer
	require.NoError(t, json.Unmarshal(out, &answers))
	require.Len(t, answers, len(queries))
	return answers
}

// mlflowGen makes what MLflow understands, too.
type mlflowGen struct{ *rand.Rand }

func (g mlflowGen) pick(from ...string) string { return from[g.IntN(len(from))] }

var mlflowTexts = []string{"", "a", "A", "ab", "aB", "é", "É", "a%", "a_b", "x.y", "(", "*", "[a]", "NaN", "1", "ſ", "K"}

func (g mlflowGen) run(id string) mlflowRun {
	labels := func(keys ...string) map[string]string {
		out := map[string]string{}
		for _, key := range keys {
			if g.IntN(3) > 0 {
				out[key] = g.pick(mlflowTexts...)
			}
		}
		return out
	}
	r := mlflowRun{ID: id, Name: g.pick(mlflowTexts...), Status: g.pick("RUNNING", "FINISHED"), Start: int64(g.IntN(3)) * 1000,
		Metrics: map[string]string{}, Params: labels("p", "p q", "m"), Tags: labels("t", "t.u")}
	if g.IntN(2) > 0 {
		r.End = new(int64(g.IntN(3)) * 1000)
	}
	for _, key := range []string{"m", "m.n", "val/m"} {
		if g.IntN(3) > 0 {
			r.Metrics[key] = g.pick("0", "1", "-1", "0.5", "1e300", "NaN", "Inf", "-Inf", "1e-300")
		}
	}
	return r
}

func (g mlflowGen) key(entity, key string) string {
	plain := entity + "." + key
	if strings.ContainsAny(key, " /") || g.IntN(3) == 0 {
		q := g.pick("`", "\"")
		return entity + "." + q + key + q
	}
	return plain
}

func (g mlflowGen) text() string {
	q := g.pick("'", "\"")
	return q + g.pick(mlflowTexts...) + q
}

func (g mlflowGen) pattern() string {
	return "'" + g.pick("%", "a%", "%b", "_", "__", "a_b", "A%", "%a%", "é", "(", "*", "[a]", "s", "k", "x.y", "") + "'"
}

func (g mlflowGen) comparison() string {
	numeric := func() string {
		return " " + g.pick("=", "!=", "<", "<=", ">", ">=") + " " + g.pick("0", "1", "-1", "0.5", ".5", "1.", "1e300", "-1e300", "1e400", "1000", "2000")
	}
	textual := func() string {
		if g.IntN(2) == 0 {
			return " " + g.pick("LIKE", "ILIKE", "like", "Ilike") + " " + g.pattern()
		}
		return g.pick(" = ", " != ", "=", "!=") + g.text()
	}
	switch g.IntN(7) {
	case 0, 1:
		return g.key(g.pick("metrics", "metric"), g.pick("m", "m.n", "val/m", "none")) + numeric()
	case 2:
		return g.key(g.pick("params", "param", "parameter", "parameters"), g.pick("p", "p q", "m", "none")) + textual()
	case 3:
		return g.key(g.pick("tags", "tag"), g.pick("t", "t.u", "none")) + textual()
	case 4:
		return g.key(g.pick("tags", "params"), g.pick("t", "p", "none")) + g.pick(" IS NULL", " IS NOT NULL", " is null")
	case 5:
		return g.pick("", "attributes.", "attr.", "run.", "attribute.") + g.pick("run_name", "status", "run_id") + textual()
	}
	if g.IntN(3) == 0 {
		return "run_id " + g.pick("IN", "NOT IN", "in") + " ('r1', \"r2\", 'none')"
	}
	return g.pick("start_time", "attributes.end_time", "created") + numeric()
}

func (g mlflowGen) query() mlflowQuery {
	var terms, order []string
	for range g.IntN(4) {
		terms = append(terms, g.comparison())
	}
	for range g.IntN(3) {
		field := g.pick("metrics.m", "metrics.`m.n`", "params.p", "tags.t", "start_time", "attributes.end_time", "run_id", "metrics.none", "run_name")
		order = append(order, field+g.pick("", " ASC", " DESC", " desc"))
	}
	return mlflowQuery{strings.Join(terms, g.pick(" AND ", " and ")), append([]string{}, order...)}
}

// TestAgainstMLflow compares random searches with MLflow's own.
func TestAgainstMLflow(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if text := os.Getenv("AZML_TEST_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("AZML_TEST_SEED=%d", seed)
	g := mlflowGen{rand.New(rand.NewPCG(seed, 1))}
	var runs []mlflowRun
	for i := range 60 {
		runs = append(runs, g.run(fmt.Sprintf("r%d", i)))
	}
	var queries []mlflowQuery
	for range 1500 {
		queries = append(queries, g.query())
	}
	found := 0
	for i, answer := range askMLflow(t, runs, queries) {
		q := queries[i]
		require.Empty(t, answer.Error, "%+v", q)
		e, err := schema.Parse(q.Filter)
		require.NoError(t, err, "%+v", q)
		order, err := schema.ParseOrder(q.Order...)
		require.NoError(t, err, "%+v", q)
		var ids []string
		rows := map[string]Row{}
		for _, r := range runs {
			if rows[r.ID] = r.row(); Match(e, rows[r.ID]) {
				ids = append(ids, r.ID)
			}
		}
		slices.Sort(ids)
		slices.SortStableFunc(ids, func(a, b string) int { return Compare(rows[a], rows[b], order) })
		require.Equal(t, answer.IDs, append([]string{}, ids...), "%+v", q)
		found += len(ids)
	}
	require.Greater(t, found, 3000, "most searches find something")
}

// TestAcceptedByMLflow says of odd filters whether MLflow takes them and whether
// we do.
func TestAcceptedByMLflow(t *testing.T) {
	t.Parallel()
	cases := []struct {
		filter       string
		theirs, ours bool
	}{
		{"metrics.a > 1", true, true}, {"metrics.`a b` > 1", true, true}, {"metrics.\"a b\" > 1", true, true}, {"`metric`.a > 1", true, true},
		{"metrics.a.b.c > 1", true, true}, {"tags.mlflow.source.name = 'x'", true, true}, {"params.a = \"x\"", true, true},
		{"run_id IN ('a','b',)", true, true}, {"metrics.é > 1", true, true}, {"metrics.1a > 2", true, true}, {"params.order = 'x'", true, true},
		{"metrics.timestamp > 1", true, true}, {"tags.select = 'x'", true, true}, {"metrics.a > 1\nand metrics.b > 1", true, true},
		{"`run name` = 'x'", true, true}, {"params.a = ''", true, true}, {"metrics.a > 1e400", true, true}, {"", true, true},
		{"metrics.a > 'x'", false, false}, {"params.a = 1", false, false}, {"start_time > '1'", false, false}, {"1 < metrics.a", false, false},
		{"metrics.a > 1;", false, false}, {"a.b = 'x'", false, false}, {"Metrics.a > 1", false, false}, {"tag.a = `x`", false, false},
		{"metrics.a > 0x10", false, false}, {"metrics.a > inf", false, false}, {"metrics.a != nan", false, false}, {"metrics.a > - 1", false, false},
		{"metrics . a > 1", false, false}, {"params.a > 'x'", false, false}, {"metrics.a LIKE 'x'", false, false},

		// What we take and MLflow does not.
		{"metrics.a > 1 or metrics.b > 2", false, true}, {"(metrics.a > 1)", false, true}, {"not metrics.a > 1", false, true},
		{"tags.a IN ('x')", false, true}, {"run_name IN ('x')", false, true}, {"metrics.a IS NULL", false, true}, {"end_time IS NULL", false, true},
		{"metrics.a/b > 1", false, true}, {"metrics.a-b > 1", false, true}, {"metrics.1 > 2", false, true}, {"metrics.a > +1", false, true},
		{"params.a NOT LIKE 'x'", false, true}, {"   ", false, true},

		// What MLflow takes although it is no comparison, or does not mean what it says.
		{"metrics.a > 1 and", true, false}, {"and metrics.a > 1", true, false}, {"metrics.a > 1 metrics.b > 2", true, false},
		{"params.a = 'it\\'s'", true, false},
	}
	var queries []mlflowQuery
	for _, c := range cases {
		queries = append(queries, mlflowQuery{c.filter, []string{}})
	}
	runs := []mlflowRun{{ID: "r", Metrics: map[string]string{"a": "2", "b": "2", "a b": "2"}, Params: map[string]string{"a": "x"}, Tags: map[string]string{}}}
	for i, answer := range askMLflow(t, runs, queries) {
		c := cases[i]
		require.Equal(t, c.theirs, answer.Error == "", "MLflow: %q: %s", c.filter, answer.Error)
		_, err := schema.Parse(c.filter)
		require.Equal(t, c.ours, err == nil, "%q: %v", c.filter, err)
	}
}
