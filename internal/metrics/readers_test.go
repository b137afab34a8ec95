package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// readersScript opens the file with each reader and prints its rows as JSON:
// times in nanoseconds, doubles as their bits.
const readersScript = `
import json, struct, sys
path = sys.argv[1]
bits = lambda f: None if f is None else "%016x" % struct.unpack("<Q", struct.pack("<d", f))[0]
def show(reader, rows):
    for r in rows:
        name, kind, type_, step, time, value, text, writer, seq = r
        print(json.dumps([reader, name, kind, type_, step, time, bits(value), text, writer, seq]))
columns = ["name", "kind", "type", "step", "time", "value", "text", "writer", "seq"]

import pyarrow.parquet, pyarrow as pa, pyarrow.compute as pc
t = pyarrow.parquet.read_table(path)
assert t.schema.field("time").type == pa.timestamp("ns", tz="UTC"), t.schema
assert t.schema.names == columns[:7] + ["exact", "writer", "seq", "after"], t.schema
t = t.set_column(t.schema.get_field_index("time"), "time", t["time"].cast(pa.int64()))
show("pyarrow", zip(*[t[c].to_pylist() for c in columns]))
one = pyarrow.parquet.read_table(path, filters=[("name", "=", "loss")])
print(json.dumps(["filtered", one.num_rows]))

import pandas
frame = pandas.read_parquet(path)
frame["time"] = frame["time"].astype("int64")
for c in ("name", "kind", "type", "writer", "text"):
    frame[c] = frame[c].astype(object).where(frame[c].notna(), None)
values = t["value"].to_pylist()  # pandas has no null but NaN
show("pandas", ((*r[:5], v if v is None else r[5], *r[6:]) for r, v in zip(frame[columns].itertuples(index=False), values)))

import duckdb
con = duckdb.connect()
con.execute("SET TimeZone='UTC'")
rows = con.execute("SELECT name, kind, type, step, epoch_ns(time), value, text, writer, seq FROM read_parquet(?, file_row_number=true) ORDER BY file_row_number", [path]).fetchall()
show("duckdb", rows)
print(json.dumps(["above", con.execute("SELECT count(*) FROM read_parquet(?) WHERE name = 'loss' AND value > 0.5 AND NOT isnan(value)", [path]).fetchone()[0]]))
print(json.dumps(["nan", con.execute("SELECT count(*) FROM read_parquet(?) WHERE isnan(value)", [path]).fetchone()[0]]))

import polars
frame = polars.read_parquet(path)
frame = frame.with_columns(frame["time"].dt.epoch("ns").alias("time"))
show("polars", frame.select(columns).iter_rows())
print(json.dumps(["lazy", polars.scan_parquet(path).filter((polars.col("name") == "loss") & (polars.col("value") > 0.5)).collect().filter(polars.col("value").is_not_nan()).height]))
`

// TestReaders has pyarrow, pandas, DuckDB and Polars read a sealed object, and
// compares every value.
func TestReaders(t *testing.T) {
	t.Parallel()
	python := testenv.ParquetReaders(t)
	limits := defaultLimits
	limits.groupRows = 1000
	l, _ := newLog(t, limits)
	logRandom(t, l, 2, 2000)
	w := newWriter(t, l)
	above, nans, losses := 0, 0, 1200
	for i := range losses {
		v := float64(i) / float64(losses)
		if i%100 == 0 {
			v = []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}[i/100%4]
		}
		if v > 0.5 {
			above++
		}
		require.NoError(t, w.Log("loss", v, int64(i), testTime.Add(time.Duration(i)*time.Second)))
	}
	require.NoError(t, w.Close(t.Context()))
	for i, edge := range []any{int64(1<<53 + 1), int64(math.MinInt64), int64(math.MaxInt64), true, false, nil, "", "ü\n\"", math.MaxFloat64} {
		w := newWriter(t, l)
		require.NoError(t, w.Append(Point{Name: "edge", Kind: KindScalar, Value: edge, Step: int64(i), Time: testTime}))
		require.NoError(t, w.Close(t.Context()))
	}
	points := readAll(t, l)
	for _, p := range points {
		if f, ok := p.Value.(float64); ok && math.IsNaN(f) {
			nans++
		}
	}
	mustSeal(t, l)
	path := filepath.Join(t.TempDir(), "metrics.parquet")
	var file bytes.Buffer
	require.NoError(t, l.Export(t.Context(), &file, FormatParquet, nil))
	require.NoError(t, os.WriteFile(path, file.Bytes(), 0o600))

	want, micro := map[string]string{}, map[string]string{} // DuckDB's times of a zone have microseconds
	for _, p := range points {
		id := p.Writer + "/" + strconv.FormatUint(p.Seq, 10)
		want[id] = readerRow(t, p)
		p.Time = p.Time.Truncate(time.Microsecond)
		micro[id] = readerRow(t, p)
	}
	rows := map[string]int{}
	counts := map[string]int{}
	for _, line := range runReaders(t, python, path) {
		var row []any
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		require.NoError(t, d.Decode(&row))
		reader := row[0].(string)
		if len(row) == 2 {
			n, err := strconv.Atoi(row[1].(json.Number).String())
			require.NoError(t, err)
			counts[reader] = n
			continue
		}
		rows[reader]++
		data, err := json.Marshal(row[1:])
		require.NoError(t, err)
		id := row[8].(string) + "/" + row[9].(json.Number).String()
		if reader == "duckdb" {
			require.Equal(t, micro[id], string(data), reader)
		} else {
			require.Equal(t, want[id], string(data), reader)
		}
	}
	n := len(points)
	require.Equal(t, map[string]int{"pyarrow": n, "pandas": n, "duckdb": n, "polars": n}, rows)
	require.Equal(t, map[string]int{"filtered": losses, "above": above, "nan": nans, "lazy": above}, counts)
}

// readerRow is what a reader is to print for the point.
func readerRow(t *testing.T, p Point) string {
	t.Helper()
	v, _, err := encode(p.Kind.code(), p.Value)
	require.NoError(t, err)
	var value, str any
	if f, ok := number(v.typ, v.bits); ok {
		value = fmt.Sprintf("%016x", math.Float64bits(f))
	}
	if s, ok := text(v); ok && v.typ != typeFloat {
		str = s
	}
	data, err := json.Marshal([]any{p.Name, p.Kind, typeNames[v.typ], p.Step, p.Time.UnixNano(), value, str, p.Writer, p.Seq})
	require.NoError(t, err)
	return string(data)
}

func runReaders(t *testing.T, python, path string) [][]byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "-c", readersScript, path)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, said.String())
	return bytes.Split(bytes.TrimSpace(out), []byte("\n"))
}
