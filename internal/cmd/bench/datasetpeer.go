package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// peerFrames are pandas, pyarrow and DuckDB.
const peerFrames = "frames"

var framesPackages = []string{"pyarrow==26.0.1", "pandas==3.1.1", "duckdb==1.5.6"}

// framesScript reads the tables again and again, each time when a line asks for
// it, and answers with the seconds and CPU seconds it took.
const framesScript = `
import json, os, sys, time
os.chdir(sys.argv[1])
import duckdb, pandas as pd, pyarrow as pa, pyarrow.csv, pyarrow.parquet
duckdb.execute("SET enable_progress_bar = false")
N = 1_000_000

def duck(query):
    return duckdb.sql(query).fetchall()

def duckdb_csv():
    duckdb.execute("CREATE OR REPLACE TEMP TABLE t AS SELECT * FROM read_csv('table.csv')")
    return duckdb.sql("SELECT count(*) FROM t").fetchall()[0][0]

def arrow_parquet():
    t = pyarrow.parquet.read_table("table.parquet")
    import pyarrow.compute as pc
    pc.sum(t["id"]), pc.sum(t["price"]), pc.sum(t["score"]), pc.sum(pc.binary_length(t["name"])), pc.max(t["when"])
    return t.num_rows

DO = {
    "csv pandas": lambda: len(pd.read_csv("table.csv", parse_dates=["when"])),
    "csv pandas (its pyarrow engine)": lambda: len(pd.read_csv("table.csv", engine="pyarrow")),
    "csv pyarrow": lambda: pyarrow.csv.read_csv("table.csv").num_rows,
    "csv duckdb": duckdb_csv,
    "parquet pyarrow": arrow_parquet,
    "parquet duckdb": lambda: duck("SELECT count(*), sum(id), sum(price) + sum(score), sum(length(name)), epoch_us(max(\"when\")) FROM 'table.parquet'")[0][0],
}
for line in sys.stdin:
    cpu, begun = time.process_time(), time.perf_counter()
    n = DO[line.strip()]()
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "cpu": time.process_time() - cpu, "right": n == N}), flush=True)
`

// frames is a Python process that reads the tables with the peers.
type frames struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startFrames starts it with the interpreter that the tests use, if they named
// one, or one with the packages installed.
func (b *bench) startFrames(ctx context.Context, dir string) (*frames, error) {
	python := os.Getenv("AZML_TEST_PARQUET_READERS_PYTHON")
	if python == "" {
		var err error
		if python, err = b.venv(ctx, peerFrames, framesPackages); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, python, "-c", framesScript, dir)
	cmd.Stderr = b.log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &frames{cmd, in, bufio.NewScanner(out)}, cmd.Start()
}

// side measures one of the readings.
func (f *frames) side(what string) side {
	return func(context.Context) (sample, error) {
		if _, err := fmt.Fprintln(f.in, what); err != nil {
			return sample{}, err
		}
		if !f.out.Scan() {
			return sample{}, errors.Join(fmt.Errorf("%s: no answer", what), f.out.Err())
		}
		var answer struct {
			Seconds, CPU float64
			Right        bool
		}
		err := json.Unmarshal(f.out.Bytes(), &answer)
		if err == nil && !answer.Right {
			err = fmt.Errorf("%s: it read another number of rows", what)
		}
		return sample{answer.Seconds, answer.CPU}, err
	}
}

func (f *frames) close() { _, _ = f.in.Close(), f.cmd.Wait() }
