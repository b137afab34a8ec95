package filter

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

var schema = &Schema{
	Attributes: map[string]Type{"run_id": Text, "run_name": Text, "status": Text, "start_time": Number, "end_time": Number},
	Aliases:    map[string]string{"created": "start_time", "run name": "run_name"},
	Entities:   []Entity{Metric, Param, Tag},
	Order:      []Order{{Field: Field{Attribute, "start_time", Number}, Desc: true}},
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "<nil>"},
		{"blank", " \t\n ", "<nil>"},
		{"metric", "metrics.acc > 0.9", "metrics.`acc` > 0.9"},
		{"no space", "metric.acc>=-1e-3", "metrics.`acc` >= -0.001"},
		{"numbers", "metrics.a IN (.5, 1., 2)", "metrics.`a` IN (0.5, 1, 2)"},
		{"beyond numbers", "metrics.a < 1e400 or metrics.a > -1e400", "(metrics.`a` < 1e999) OR (metrics.`a` > -1e999)"},
		{"aliases of entities", "param.a = '1' AND parameters.a = '1' AND tag.a = 'x' AND attr.status = 'x' AND run.status = 'y'",
			"(params.`a` = '1') AND (params.`a` = '1') AND (tags.`a` = 'x') AND (attributes.`status` = 'x') AND (attributes.`status` = 'y')"},
		{"aliases of attributes", "created > 1 and attributes.`run name` = 'x'", "(attributes.`start_time` > 1) AND (attributes.`run_name` = 'x')"},
		{"quoted attribute", "`run name` = \"x\"", "attributes.`run_name` = 'x'"},
		{"quoted entity", "`metric`.a = 1", "metrics.`a` = 1"},
		{"quoted keys", "metrics.`a b` = 1 and metrics.\"c.d\" = 2 and tags.`a``b` = ''", "(metrics.`a b` = 1) AND (metrics.`c.d` = 2) AND (tags.`a``b` = '')"},
		{"dots and dashes", "metrics.val/top-1.x = 1 and tags.mlflow.source.name = 'a'", "(metrics.`val/top-1.x` = 1) AND (tags.`mlflow.source.name` = 'a')"},
		{"quotes in values", `params.a = 'it''s' or params.a = "it's" or params.a = "say ""x"""`, "(params.`a` = 'it''s') OR (params.`a` = 'it''s') OR (params.`a` = 'say \"x\"')"},
		{"unequal", "metrics.a != 1", "NOT (metrics.`a` = 1)"},
		{"like", "params.a like 'x%' and tags.b NOT ILIKE '_y'", "(params.`a` LIKE 'x%') AND (NOT (tags.`b` ILIKE '_y'))"},
		{"lists", "run_id IN ('a', \"b\",) and status not in ('c')", "(attributes.`run_id` IN ('a', 'b')) AND (NOT (attributes.`status` IN ('c')))"},
		{"null", "tags.a is null or metrics.b IS NOT NULL", "(tags.`a` IS NULL) OR (NOT (metrics.`b` IS NULL))"},
		{"precedence", "metrics.a=1 or metrics.b=2 and not metrics.c=3", "(metrics.`a` = 1) OR ((metrics.`b` = 2) AND (NOT (metrics.`c` = 3)))"},
		{"parentheses", "NOT(metrics.a=1 or (metrics.b=2))AND metrics.c=3", "(NOT ((metrics.`a` = 1) OR (metrics.`b` = 2))) AND (metrics.`c` = 3)"},
		{"keywords as keys", "metrics.and = 1 and params.order = 'x' and tags.not = 'y'", "(metrics.`and` = 1) AND (params.`order` = 'x') AND (tags.`not` = 'y')"},
		{"unicode", "metrics.größe > 1 and tags.名 = '値'", "(metrics.`größe` > 1) AND (tags.`名` = '値')"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := schema.Parse(tt.text)
			require.NoError(t, err)
			if e == nil {
				require.Equal(t, "<nil>", tt.want)
				return
			}
			require.Equal(t, tt.want, e.String())
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, column, say string }{
		{"no comparison", "metrics.a", "10", "expected =, !=, <, <=, >, >=, IN or IS NULL, found the end"},
		{"no value", "metrics.a >", "12", "expected a number such as 0.5"},
		{"text for a number", "metrics.a > 'x'", "13", "has numbers"},
		{"words for a number", "metrics.a > inf", "13", "expected a number"},
		{"hexadecimal", "metrics.a > 0x10", "13", "expected a number"},
		{"underscores", "metrics.a > 1_000", "13", "expected a number"},
		{"number for a text", "params.a = 1", "12", "has text"},
		{"text is not ordered", "params.a > '1'", "10", "compared by =, !=, LIKE"},
		{"like of a number", "start_time LIKE '1'", "12", "has numbers"},
		{"value in backticks", "tags.a = `x`", "10", "text in quotes"},
		{"open quote", "tags.a = 'x", "10", "not closed"},
		{"open key", "metrics.`a > 1", "9", "not closed"},
		{"no key", "metrics. > 1", "1", "needs a name"},
		{"empty key", "metrics.`` > 1", "1", "needs a name"},
		{"unknown attribute", "metrics.é > 1 AND state = 'x'", "19", "use end_time, run_id, run_name, start_time, status, or metrics.NAME"},
		{"unknown entity", "datasets.name = 'x'", "1", "use attributes, metrics, params, tags"},
		{"entity in capitals", "Metrics.a > 1", "1", "no kind of field"},
		{"other equal", "metrics.a == 1", "11", "write = instead of =="},
		{"other unequal", "metrics.a <> 1", "11", "write != instead of <>"},
		{"value first", "1 < metrics.a", "1", "no attribute"},
		{"and at the end", "metrics.a > 1 and", "18", "the name of a field"},
		{"and at the beginning", "and metrics.a > 1", "1", "no attribute"},
		{"nothing between", "metrics.a > 1 metrics.b > 2", "15", "expected AND, OR or the end"},
		{"semicolon", "metrics.a > 1;", "14", ""},
		{"open parenthesis", "(metrics.a > 1", "15", "AND, OR or )"},
		{"closed only", "metrics.a > 1)", "14", "AND, OR or the end"},
		{"nothing in parentheses", "()", "2", "the name of a field"},
		{"empty list", "run_id IN ()", "12", "text in quotes"},
		{"no list", "run_id IN 'a'", "11", "a list in parentheses"},
		{"open list", "run_id IN ('a'", "15", ", or )"},
		{"is what", "tags.a IS 'x'", "11", "NULL or NOT NULL"},
		{"not what", "tags.a NOT = 'x'", "12", "LIKE"},
		{"deep", strings.Repeat("(", 100) + "metrics.a = 1" + strings.Repeat(")", 100), "66", "more than 64"},
		{"deep nots", strings.Repeat("not ", 100) + "metrics.a = 1", "261", "more than 64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := schema.Parse(tt.text)
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, "filter, column "+tt.column+": ")
			require.ErrorContains(t, err, tt.say)
		})
	}
	for _, tt := range []struct{ name, text, say string }{
		{"long", strings.Repeat(" ", maxBytes+1), "bytes"},
		{"no UTF-8", "tags.a = '\xff'", "UTF-8"},
		{"many comparisons", strings.Repeat("metrics.a=1 or ", 500) + "metrics.a=1", "more than 500 comparisons"},
		{"many values", "metrics.a in (" + strings.Repeat("1,", maxValues+1) + ")", "more than 10000 values"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := schema.Parse(tt.text)
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, tt.say)
		})
	}
}

func TestParseOrder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		keys []string
		want string
	}{
		{"default", nil, "attributes.`start_time` DESC"},
		{"one", []string{"metrics.acc desc"}, "metrics.`acc` DESC, attributes.`start_time` DESC"},
		{"several", []string{"metrics.`a b`, params.x ASC", " tags.y  DESC "}, "metrics.`a b` ASC, params.`x` ASC, tags.`y` DESC, attributes.`start_time` DESC"},
		{"twice", []string{"created", "start_time DESC", "created DESC"}, "attributes.`start_time` ASC"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			orders, err := schema.ParseOrder(tt.keys...)
			require.NoError(t, err)
			var texts []string
			for _, o := range orders {
				texts = append(texts, o.String())
			}
			require.Equal(t, tt.want, strings.Join(texts, ", "))
		})
	}
	for _, text := range []string{"", " ", "metrics.a foo", "metrics.a DESC ASC", "metrics.a,", ",", "Metrics.a", "nothing", "metrics.a DESC metrics.b", "metrics.\xff",
		strings.Repeat("metrics.a,", 16) + "metrics.b", "metrics.a" + strings.Repeat(" ", maxBytes)} {
		_, err := schema.ParseOrder(text)
		require.ErrorIs(t, err, azml.ErrInvalid, "%q", text)
		require.ErrorContains(t, err, "order")
	}
}

func row() Row {
	return Row{
		{Attribute, "status", Text}: {Text: "Completed"}, {Metric, "a", Number}: {Number: 0.5}, {Metric, "nan", Number}: {Number: math.NaN()},
		{Metric, "inf", Number}: {Number: math.Inf(1)}, {Param, "p", Text}: {Text: "Été_1"}, {Tag, "empty", Text}: {},
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want truth
	}{
		{"", yes},
		{"metrics.a = 0.5", yes}, {"metrics.a = 0.4", no}, {"metrics.a != 0.4", yes}, {"metrics.a != 0.5", no},
		{"metrics.a < 0.5", no}, {"metrics.a <= 0.5", yes}, {"metrics.a > 0.4", yes}, {"metrics.a >= 0.6", no}, {"metrics.a in (1, 0.5)", yes},
		{"metrics.nan = 0", no}, {"metrics.nan != 0", yes}, {"metrics.nan < 1e999", no}, {"metrics.nan >= -1e999", no}, {"metrics.nan not in (1)", yes},
		{"metrics.nan is null", no}, {"metrics.inf > 1e308", yes}, {"metrics.inf = 1e999", yes}, {"metrics.inf > 1e999", no},
		{"params.p = 'Été_1'", yes}, {"params.p = 'été_1'", no}, {"params.p LIKE 'É%'", yes}, {"params.p LIKE 'é%'", no}, {"params.p ILIKE 'é__\\_1'", no},
		{"params.p ILIKE 'éT__1'", yes}, {"params.p NOT LIKE 'x'", yes}, {"tags.empty = ''", yes}, {"tags.empty is null", no},
		{"tags.none = 'x'", unknown}, {"tags.none != 'x'", unknown}, {"not tags.none = 'x'", unknown}, {"tags.none not like '%'", unknown},
		{"tags.none in ('x')", unknown}, {"tags.none not in ('x')", unknown}, {"tags.none is null", yes}, {"tags.none is not null", no},
		{"tags.none = 'x' or metrics.a = 0.5", yes}, {"tags.none = 'x' or metrics.a = 1", unknown}, {"metrics.a = 0.5 and tags.none = 'x'", unknown},
		{"tags.none = 'x' and metrics.a = 1", no}, {"not (tags.none = 'x' and metrics.a = 1)", yes}, {"not (tags.none = 'x' or metrics.a = 0.5)", no},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			e, err := schema.Parse(tt.text)
			require.NoError(t, err)
			require.Equal(t, tt.want == yes, Match(e, row()))
			if e != nil {
				require.Equal(t, tt.want, eval(e, row()))
			}
		})
	}
}

func TestUnequalMissing(t *testing.T) {
	t.Parallel()
	models := &Schema{Attributes: map[string]Type{"name": Text}, Entities: []Entity{Tag}, UnequalMissing: true}
	for text, want := range map[string]bool{
		"tags.none != 'true'": true, "tags.none = 'true'": false, "tags.`empty` != ''": false, "tags.empty != 'x'": true, "name != 'x'": false,
		"not tags.none != 'true'": false,
	} {
		e, err := models.Parse(text)
		require.NoError(t, err)
		require.Equal(t, want, Match(e, row()), text)
	}
}

func TestLike(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, text string
		like, ilike   bool
	}{
		{"", "", true, true}, {"", "a", false, false}, {"%", "", true, true}, {"%", "any\nlines", true, true}, {"_", "", false, false},
		{"_", "é", true, true}, {"a%", "abc", true, true}, {"A%", "abc", false, true}, {"%c", "abc", true, true}, {"%b%", "abc", true, true},
		{"a_c", "abc", true, true}, {"a_c", "ac", false, false}, {"%a%b%c%", "xxaxxbxxcxx", true, true}, {"%ab", "aab", true, true},
		{"a%b%c", "abcbc", true, true}, {"a%b%c", "abcb", false, false}, {"*", "abc", false, false}, {"[a]%", "abc", false, false},
		{"?bc", "abc", false, false}, {"\\%", "%", false, false}, {"É", "é", false, true}, {"straße", "STRASSE", false, false}, {"ß", "ẞ", false, true},
		{"K", "\u212a", false, true}, {"Σ", "ς", false, true}, {"%%", "", true, true}, {"a", "a\n", false, false},
		{strings.Repeat("%a", 40) + "b", strings.Repeat("a", 5000), false, false}, // not exponential
	} {
		require.Equal(t, tt.like, Like(tt.pattern, tt.text), "%q LIKE %q", tt.text, tt.pattern)
		require.Equal(t, tt.ilike, ILike(tt.pattern, tt.text), "%q ILIKE %q", tt.text, tt.pattern)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	m := Field{Metric, "m", Number}
	number := func(v float64) Row { return Row{m: {Number: v}} }
	missing := Row{}
	for _, desc := range []bool{false, true} {
		orders := []Order{{m, desc}}
		one, two := number(1), number(2)
		if desc {
			one, two = two, one
		}
		sorted := []Row{one, two, number(math.NaN()), missing}
		for i := range sorted {
			for j := range sorted {
				require.Equal(t, sign(i-j), Compare(sorted[i], sorted[j], orders), "%v %d %d", desc, i, j)
			}
		}
	}
	p := Field{Param, "p", Text}
	require.Equal(t, 1, Compare(Row{p: {Text: "é"}}, Row{p: {Text: "z"}}, []Order{{m, true}, {p, false}}), "by bytes")
}

func sign(n int) int {
	return max(-1, min(1, n))
}

// FuzzParse checks that what is accepted can be written and read again with the
// same meaning, and that all errors are of the class they have to be.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"metrics.a > 1", "not (tags.`a b` = 'x''y' or run_id in ('a',)) and params.\"p\" not ilike '%'", "created IS NOT NULL", "(((", "metrics.a < 1e999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := schema.ParseOrder(text); err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
		}
		e, err := schema.Parse(text)
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		if e == nil {
			return
		}
		eval(e, row())
		again, err := schema.Parse(e.String())
		if err != nil { // the longer form may be beyond the bounds
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.Greater(t, len(text)+len(e.String()), maxDepth)
			return
		}
		require.Equal(t, e.String(), again.String())
		require.Equal(t, eval(e, row()), eval(again, row()))
	})
}
