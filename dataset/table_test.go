package dataset_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/tabular"
)

const people = "id,name,age,joined\n1,Anna,34,2024-01-01\n2,Bert,,2024-01-02\n3,\"Carl \"\"C\"\"\",7,2024-01-03\n4,Dora,99,\n"

func TestTransforms(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, map[string]string{"p/a.csv": people, "p/b.csv": "id,name,age,joined\n5,Eve,20,2024-02-01\n"})
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("p/*.csv"), nil))
	require.Equal(t, tabular.Schema{{Name: "id", Type: tabular.Int}, {Name: "name", Type: tabular.String}, {Name: "age", Type: tabular.Int}, {Name: "joined", Type: tabular.Time}}, d.Columns())
	timed := must(t)(d.WithTimestampColumns("joined", ""))
	day := func(n int) time.Time { return time.Date(2024, 1, n, 0, 0, 0, 0, time.UTC) }
	chain := func(steps ...func(*dataset.Dataset) (*dataset.Dataset, error)) *dataset.Dataset {
		now := d
		for _, step := range steps {
			now = must(t)(step(now))
		}
		return now
	}
	take := func(n int64) func(*dataset.Dataset) (*dataset.Dataset, error) {
		return func(d *dataset.Dataset) (*dataset.Dataset, error) { return d.Take(n) }
	}
	skip := func(n int64) func(*dataset.Dataset) (*dataset.Dataset, error) {
		return func(d *dataset.Dataset) (*dataset.Dataset, error) { return d.Skip(n) }
	}
	filter := func(f string) func(*dataset.Dataset) (*dataset.Dataset, error) {
		return func(d *dataset.Dataset) (*dataset.Dataset, error) { return d.Filter(f) }
	}
	for name, tt := range map[string]struct {
		d    *dataset.Dataset
		want []any
	}{
		"all":                 {d, ints(1, 2, 3, 4, 5)},
		"take":                {chain(take(2)), ints(1, 2)},
		"take none":           {chain(take(0)), ints()},
		"take many":           {chain(take(99)), ints(1, 2, 3, 4, 5)},
		"skip":                {chain(skip(3)), ints(4, 5)},
		"skip and take":       {chain(skip(1), take(2), skip(1)), ints(3)},
		"filter":              {chain(filter("age > 10")), ints(1, 4, 5)},
		"filter after take":   {chain(take(3), filter("age > 10")), ints(1)},
		"take after filter":   {chain(filter("age is not null"), skip(1), take(2)), ints(3, 4)},
		"text":                {chain(filter("contains(name, '\"') or starts_with(name, 'E')")), ints(3, 5)},
		"before":              {must(t)(timed.TimeBefore(day(2), nil)), ints(1, 2)},
		"before, without":     {must(t)(timed.TimeBefore(day(2), &dataset.TimeOptions{ExcludeBoundary: true})), ints(1)},
		"after":               {must(t)(timed.TimeAfter(day(3), nil)), ints(3, 5)},
		"between":             {must(t)(timed.TimeBetween(day(2), day(3), nil)), ints(2, 3)},
		"recent":              {must(t)(timed.TimeRecent(time.Hour, nil)), ints()},
		"columns behind":      {must(t)(chain(filter("age > 10")).KeepColumns("joined", "id")), ints(1, 4, 5)},
		"filter, then gone":   {must(t)(must(t)(d.Filter("name = 'Eve'")).DropColumns("name")), ints(5)},
		"nothing of a sample": {must(t)(d.TakeSample(0, nil)), ints()},
		"all of a sample":     {must(t)(d.TakeSample(1, nil)), ints(1, 2, 3, 4, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, column(t, tt.d, "id"))
			n, err := tt.d.Count(t.Context(), nil)
			require.NoError(t, err)
			require.EqualValues(t, len(tt.want), n)
		})
	}
}

func TestTransformsRefuse(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, map[string]string{"a.csv": people})
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	for name, tt := range map[string]struct {
		do   func() (*dataset.Dataset, error)
		want string
	}{
		"take":         {func() (*dataset.Dataset, error) { return d.Take(-1) }, "use 0 or more"},
		"sample":       {func() (*dataset.Dataset, error) { return d.TakeSample(1.5, nil) }, "use 0 to 1"},
		"NaN":          {func() (*dataset.Dataset, error) { return d.TakeSample(math.NaN(), nil) }, "use 0 to 1"},
		"filter":       {func() (*dataset.Dataset, error) { return d.Filter("agee > 1") }, `there is no column "agee": use id, name, age, joined`},
		"keep":         {func() (*dataset.Dataset, error) { return d.KeepColumns("x") }, `there is no column "x"`},
		"keep twice":   {func() (*dataset.Dataset, error) { return d.KeepColumns("id", "id") }, "comes twice"},
		"keep none":    {func() (*dataset.Dataset, error) { return d.KeepColumns() }, "no column would be left"},
		"drop all":     {func() (*dataset.Dataset, error) { return d.DropColumns("id", "name", "age", "joined") }, "no column would be left"},
		"timestamp":    {func() (*dataset.Dataset, error) { return d.WithTimestampColumns("id", "") }, "is long, not datetime"},
		"partition":    {func() (*dataset.Dataset, error) { return d.WithTimestampColumns("", "joined") }, "needs a timestamp"},
		"the same":     {func() (*dataset.Dataset, error) { return d.WithTimestampColumns("joined", "joined") }, "must differ"},
		"no timestamp": {func() (*dataset.Dataset, error) { return d.TimeBefore(time.Now(), nil) }, "it has no timestamp column"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.do()
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, tt.want)
		})
	}
	timed := must(t)(d.WithTimestampColumns("joined", ""))
	require.Equal(t, "joined", timed.Details().Timestamp)
	require.Empty(t, must(t)(timed.DropColumns("joined")).Details().Timestamp)
}

func TestRandomSplit(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("i\n")
	for i := range 20_000 {
		fmt.Fprintln(&text, i)
	}
	ws, _ := setup(t, map[string]string{"a.csv": text.String()})
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	first, rest, err := d.RandomSplit(0.3, &dataset.SampleOptions{Seed: 7})
	require.NoError(t, err)
	a, b := column(t, first, "i"), column(t, rest, "i")
	require.InDelta(t, 6000, len(a), 300)
	both := map[any]bool{}
	for _, v := range append(append([]any{}, a...), b...) {
		require.False(t, both[v])
		both[v] = true
	}
	require.Len(t, both, 20_000)
	again, _, err := d.RandomSplit(0.3, &dataset.SampleOptions{Seed: 7})
	require.NoError(t, err)
	require.Equal(t, a, column(t, again, "i"))
	require.Equal(t, first.ID(), again.ID())
	other, _, err := d.RandomSplit(0.3, nil)
	require.NoError(t, err)
	require.NotEqual(t, a, column(t, other, "i"))
}

type person struct {
	ID     int32     `dataset:"id"`
	Name   string    `dataset:"name"`
	Age    *int      `dataset:"age"`
	Joined time.Time // by its name
	Note   string    `dataset:"-"`
}

func TestRows(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, map[string]string{"a.csv": people, "n.jsonl": `{"x":1.5,"l":[1,2],"d":"a"}` + "\n" + `{"l":null,"x":null}`})
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	got := all(t, dataset.Rows[person](t.Context(), d, nil))
	require.Len(t, got, 4)
	require.Equal(t, person{ID: 1, Name: "Anna", Age: new(34), Joined: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}, got[0])
	require.Nil(t, got[1].Age)
	require.Equal(t, `Carl "C"`, got[2].Name)
	require.True(t, got[3].Joined.IsZero())

	type nested struct {
		X float64
		L []int
		D string
	}
	j := must(t)(ws.Datasets().FromJSONLinesFiles(t.Context(), at("n.jsonl"), nil))
	rows := all(t, dataset.Rows[nested](t.Context(), j, nil))
	require.Equal(t, nested{1.5, []int{1, 2}, "a"}, rows[0])
	require.True(t, math.IsNaN(rows[1].X))
	require.Nil(t, rows[1].L)

	for range dataset.Rows[person](t.Context(), d, nil) {
		break // and goleak finds what goes on
	}
}

func TestRowsRefuse(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, map[string]string{"a.csv": people})
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	first := func(err error, want string) {
		t.Helper()
		require.ErrorIs(t, err, azml.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
	type unknown struct{ X int }
	for _, err := range dataset.Rows[unknown](t.Context(), d, nil) {
		first(err, `there is no column "X" for the field X`)
	}
	type wrong struct{ Name int }
	for _, err := range dataset.Rows[wrong](t.Context(), d, nil) {
		first(err, `column "name" is string, which does not go to the field Name of type int`)
	}
	type none struct{ x int }
	for _, err := range dataset.Rows[none](t.Context(), d, nil) {
		first(err, "no field for a column")
	}
	for _, err := range dataset.Rows[int](t.Context(), d, nil) {
		first(err, "int is no struct")
	}
	big, _ := setup(t, map[string]string{"a.csv": "i\n1\n300\n"})
	type small struct{ I uint8 }
	n := must(t)(big.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	for _, err := range dataset.Rows[small](t.Context(), n, nil) {
		first(err, `row 2, column "i": 300 is too great for uint8`)
	}
	_ = none{x: 1}
}

func TestLaterRows(t *testing.T) {
	t.Parallel()
	ws, store := setup(t, map[string]string{"d/a.csv": "i\n" + strings.Repeat("1\n", 300) + "x\n"})
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("d"), nil))
	_, err := d.Count(t.Context(), nil)
	require.NoError(t, err, "rows are counted as they are")
	for _, err := range d.Batches(t.Context(), nil) {
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, `workspaceblobstore/d/a.csv, row 301 (line 302), column "i": "x" is no long`)
		}
	}
	n := 0
	for b, err := range d.Batches(t.Context(), &dataset.BatchesOptions{NullOnError: true}) {
		require.NoError(t, err)
		n += b.Rows
		require.True(t, b.Columns[0].Null(300))
	}
	require.Equal(t, 301, n)
	require.NoError(t, store.Delete(t.Context(), "d/a.csv", nil))
	for _, err := range d.Batches(t.Context(), nil) {
		require.ErrorIs(t, err, azml.ErrNotFound)
	}
}

func TestPartitions(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, map[string]string{
		"in/CH/2024/01/02/x.csv": "v\n1\n", "in/LI/2024/01/03/x.csv": "v\n2\n", "in/CH/2024/01/03/x.csv": "v\n3\n", "in/LI/2024/01/04/x.csv": "",
	})
	opts := &dataset.DelimitedOptions{TableOptions: dataset.TableOptions{PartitionFormat: "{country}/{day:yyyy/MM/dd}/x.csv", IncludePath: "file"}}
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("in/**/*.csv"), opts))
	require.Equal(t, []string{"v", "file", "country", "day"}, d.Columns().Names())
	require.Equal(t, []string{"country", "day"}, d.PartitionKeys())
	require.Equal(t, ints(1, 3, 2), column(t, d, "v"))
	require.Equal(t, []any{"CH", "CH", "LI"}, column(t, d, "country"))
	require.Equal(t, "/in/CH/2024/01/02/x.csv", column(t, d, "file")[0])
	require.Equal(t, ints(3), column(t, must(t)(d.Filter("country = 'CH' and day >= '2024-01-03'")), "v"))
	values, err := d.PartitionKeyValues(t.Context(), []string{"country"})
	require.NoError(t, err)
	require.Equal(t, []map[string]any{{"country": "CH"}, {"country": "LI"}}, values)

	f := must(t)(ws.Datasets().FromFiles(t.Context(), at("in"), &dataset.FilesOptions{PartitionFormat: "{country}/{day:yyyy/MM/dd}/*.csv"}))
	files, err := must(t)(f.Filter("country = 'LI' and Size > 0 and Extension = '.csv'")).Files(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, "LI/2024/01/03/x.csv", files[0].Path)

	for format, want := range map[string]string{
		"x/*.csv":          "it has no key",
		"{a":               "a { without }",
		"a}":               "a } without {",
		"{}":               "a key has no name",
		"{Path}":           `"Path" is reserved`,
		"{d:MM}":           "has no yyyy",
		"{d:yyyy}{e:yyyy":  "a { without }",
		"{a:yyyy}{b:yyyy}": "one time only",
		"{d:yyyyX}":        "use yyyy, MM",
		"{v}/*.csv":        "is in the files and comes from their paths",
		"{z}/q.csv":        "does not fit the partition format",
	} {
		_, err := ws.Datasets().FromDelimitedFiles(t.Context(), at("in/**/x.csv"), &dataset.DelimitedOptions{TableOptions: dataset.TableOptions{PartitionFormat: format}})
		require.ErrorIs(t, err, azml.ErrInvalid, format)
		require.ErrorContains(t, err, want)
	}
}

func TestWriting(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, map[string]string{"a.csv": people + "5,\"x\ny\",,1999-01-01T10:00:00.5Z\n"})
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	csv := must(t)(d.ToCSV(t.Context(), dataset.Path{Path: "out"}, &dataset.WriteOptions{Separator: ';'}))
	pq := must(t)(d.ToParquet(t.Context(), dataset.Path{Path: "out/"}, nil))
	for name, back := range map[string]*dataset.Dataset{
		"csv":     must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), csv.Paths(), &dataset.DelimitedOptions{Separator: ';'})),
		"parquet": must(t)(ws.Datasets().FromParquetFiles(t.Context(), pq.Paths(), nil)),
	} {
		require.ElementsMatch(t, d.Columns(), back.Columns(), name)
		for _, c := range d.Columns() {
			require.Equal(t, column(t, d, c.Name), column(t, back, c.Name), "%s %s", name, c.Name)
		}
	}
	small := must(t)(d.Filter("age is not null"))
	parts := must(t)(small.PartitionBy(t.Context(), []string{"age"}, dataset.Path{Path: "parts"}, nil))
	require.Equal(t, []string{"age"}, parts.PartitionKeys())
	require.Equal(t, []any{int64(1)}, column(t, must(t)(parts.Filter("age = '34'")), "id"))
	_, err := d.PartitionBy(t.Context(), []string{"age"}, dataset.Path{Path: "parts"}, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "missing values")
	_, err = d.PartitionBy(t.Context(), []string{"joined"}, dataset.Path{}, nil)
	require.ErrorContains(t, err, "by which nothing can be partitioned")
	asFiles := must(t)(small.PartitionBy(t.Context(), []string{"age"}, dataset.Path{}, &dataset.PartitionByOptions{AsFiles: true}))
	require.Equal(t, dataset.TypeFile, asFiles.Type())
}
