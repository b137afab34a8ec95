package expr

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/tabular"
)

var schema = tabular.Schema{{Name: "i", Type: tabular.Int}, {Name: "f", Type: tabular.Float}, {Name: "s", Type: tabular.String}, {Name: "b", Type: tabular.Bool},
	{Name: "t", Type: tabular.Time}, {Name: "d", Type: tabular.Decimal}, {Name: "n", Type: tabular.Nested}, {Name: "a b", Type: tabular.Int}, {Name: "contains", Type: tabular.Int}}

// rows are five; of the last one all is missing but "a b" and "contains".
func rows() *tabular.Batch {
	nulls := []bool{false, false, false, false, true}
	day := func(d int) int64 { return time.Date(2024, 1, d, 0, 0, 0, 0, time.UTC).UnixNano() }
	return &tabular.Batch{Rows: 5, Columns: []tabular.Column{
		{Field: schema[0], Nulls: nulls, Ints: []int64{1, 2, 3, 9007199254740993, 0}},
		{Field: schema[1], Nulls: nulls, Floats: []float64{1, 2.5, math.NaN(), math.Inf(1), 0}},
		{Field: schema[2], Nulls: nulls, Texts: []string{"anna", "Bert", "it's", "", ""}},
		{Field: schema[3], Nulls: nulls, Bools: []bool{true, false, true, false, false}},
		{Field: schema[4], Nulls: nulls, Ints: []int64{day(1), day(2), day(3), day(4), 0}},
		{Field: schema[5], Nulls: nulls, Texts: []string{"1.10", "-2", "3", "4.5", ""}},
		{Field: schema[6], Nulls: nulls, Texts: []string{"[1]", "{}", "[]", "null", ""}},
		{Field: schema[7], Ints: []int64{1, 2, 3, 4, 5}},
		{Field: schema[8], Ints: []int64{1, 2, 3, 4, 5}},
	}}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"i = 2": "1", "i != 2": "023", "not i = 2": "023", "i<3": "01", "i >= 3": "23", "2 < i": "23",
		"i = 9007199254740993": "3", "i = 9007199254740992": "", "i > 1.5": "123",
		"f = 2.5": "1", "f != 2.5": "023", "f > 2": "13", "f < i": "", "f = i": "0", "d > 1.05": "023", "i > d": "13",
		"s = 'anna' or s = 'Bert'": "01", "s in ('anna', 'it''s')": "02", "s not in ('anna')": "123", "s like 'a%'": "0", "s ilike 'b%'": "1", "s not like '%e%'": "023",
		"starts_with(s, 'an')": "0", "ends_with(s, 't')": "1", "contains(s, \"'\")": "2", "contains(n, '1')": "0", "contains = 5": "4", "s < 'b'": "013",
		"b": "02", "not b": "13", "b = false": "13", "b != true": "13", "true": "01234", "not true": "",
		"t >= '2024-01-03'": "23", "'2024-01-02T00:00:00Z' > t": "0", "t in ('2024-01-01', '2024-01-02')": "01",
		"i is null": "4", "i is not null": "0123", "n is null": "4", "i = 1 or i is null": "04",
		"`a b` = 5": "4", "(i = 1 OR i = 2) AND NOT b": "1", "i = 1 or i = 2 and b": "0", "i = 3 and `a b` = 4 or `a b` = 5": "4",
	} {
		e, err := Parse(text)
		require.NoError(t, err, text)
		f, err := e.Bind(schema)
		require.NoError(t, err, text)
		got := ""
		for i, keep := range f.Keep(rows()) {
			if keep {
				got += fmt.Sprint(i)
			}
		}
		require.Equal(t, want, got, text)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "column 1: expected a column or a value, found the end",
		"i =":                             "column 4: expected a column or a value",
		"i == 1":                          "column 3: write = for equal",
		"i = 1 i = 2":                     "column 7: expected AND, OR or the end",
		"(i = 1":                          "expected AND, OR or )",
		"s = 'x":                          "column 5: the ' that opens here is not closed",
		"x = 1":                           `there is no column "x": use i, f, s, b`,
		"i = 'x'":                         `column "i", which is long, and the text 'x' don't compare`,
		"s = 1":                           "don't compare",
		"t = 'yesterday'":                 `"yesterday" is no time`,
		"n = 'x'":                         "don't compare",
		"i":                               `column "i" is long, which is compared by`,
		"starts_with(i, 'x')":             "starts_with is of texts",
		"starts_with(s, i)":               "expected a text in quotes",
		"s in (i)":                        "a list has values, not columns",
		"i = 1e":                          "expected a number",
		strings.Repeat("(", 70) + "i = 1": "more than 64 parentheses",
		strings.Repeat("x", 70<<10):       "filter has 71680 bytes",
		"\xff":                            "not UTF-8",
	} {
		e, err := Parse(text)
		if err == nil {
			_, err = e.Bind(schema)
		}
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.ErrorContains(t, err, want, text)
	}
}

// TestOracle asks SQLite the same random questions.
func TestOracle(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // of a test
	db, err := sqlite3.Open(":memory:")
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Exec("CREATE TABLE x (n INTEGER PRIMARY KEY, i INTEGER, f REAL, s TEXT)"))
	const n = 200
	fields := tabular.Schema{{Name: "i", Type: tabular.Int}, {Name: "f", Type: tabular.Float}, {Name: "s", Type: tabular.String}}
	b := &tabular.Batch{Rows: n}
	for _, f := range fields {
		b.Columns = append(b.Columns, tabular.NewColumn(f, n))
	}
	words := []string{"", "a", "ab", "abc", "b%"}
	for row := range n {
		values := []string{"NULL", "NULL", "NULL"}
		if i := r.IntN(7); i < 5 {
			b.Columns[0].Ints[row], values[0] = int64(i), fmt.Sprint(i)
		} else {
			b.Columns[0].SetNull(row)
		}
		if f := r.IntN(7); f < 5 {
			b.Columns[1].Floats[row], values[1] = float64(f)/2, fmt.Sprint(float64(f)/2)
		} else {
			b.Columns[1].SetNull(row)
		}
		if s := r.IntN(7); s < 5 {
			b.Columns[2].Texts[row], values[2] = words[s], "'"+words[s]+"'"
		} else {
			b.Columns[2].SetNull(row)
		}
		require.NoError(t, db.Exec(fmt.Sprintf("INSERT INTO x VALUES (%d, %s)", row, strings.Join(values, ", "))))
	}
	var question func(depth int) string
	question = func(depth int) string {
		pick := func(all ...string) string { return all[r.IntN(len(all))] }
		op := pick("=", "!=", "<", "<=", ">", ">=")
		switch k := r.IntN(9); {
		case depth > 3 || k == 0:
			return fmt.Sprintf("i %s %d", op, r.IntN(6))
		case k == 1:
			return fmt.Sprintf("f %s %g", op, float64(r.IntN(6))/2)
		case k == 2:
			return fmt.Sprintf("s %s '%s'", op, pick(words...))
		case k == 3:
			return "i " + op + " f"
		case k == 4:
			return pick("i", "f", "s") + pick(" IS NULL", " IS NOT NULL")
		case k == 5:
			return "s " + pick("", "NOT ") + "IN ('a', 'b%')"
		case k == 6:
			return "NOT (" + question(depth+1) + ")"
		}
		return "(" + question(depth+1) + pick(" AND ", " OR ") + question(depth+1) + ")"
	}
	for range 500 {
		text := question(0)
		want := make([]bool, n)
		s, _, err := db.Prepare("SELECT n FROM x WHERE " + text)
		require.NoError(t, err, text)
		for s.Step() {
			want[s.ColumnInt(0)] = true
		}
		require.NoError(t, s.Close())
		e, err := Parse(text)
		require.NoError(t, err, text)
		f, err := e.Bind(fields)
		require.NoError(t, err, text)
		require.Equal(t, want, f.Keep(b), text)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"i = 1 and (s like 'a%' or not b)", "`a b` in (1, 2.5)", "t > '2024-01-01'", "contains(s, \"x\")"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		e.Columns()
		if bound, err := e.Bind(schema); err == nil {
			require.Len(t, bound.Keep(rows()), 5)
		}
	})
}
