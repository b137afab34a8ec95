package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/workspace"
)

const (
	// tableRows is the number of rows of the tables that are read.
	tableRows = 1_000_000
	// fewFiles and manyFiles are the files of datasets that are registered, these
	// with -big.
	fewFiles  = 50_000
	manyFiles = 1_000_000
)

// tableRow is a row of the tables.
type tableRow struct {
	ID    int64     `dataset:"id" parquet:"id"`
	Price float64   `dataset:"price" parquet:"price"`
	Score float64   `dataset:"score" parquet:"score"`
	Name  string    `dataset:"name" parquet:"name,dict"`
	Good  bool      `dataset:"good" parquet:"good"`
	When  time.Time `dataset:"when" parquet:"when,timestamp(microsecond)"`
}

// tables are the same rows as delimited text and as Parquet.
type tables struct {
	*workspace.Workspace
	dir string
}

// newTables writes the tables into a folder that is a datastore.
func (b *bench) newTables(ctx context.Context) (_ *tables, err error) {
	dir, err := b.sub("tables")
	if err != nil {
		return nil, err
	}
	ws, err := workspace.Open(ctx, filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key")})
	if err != nil {
		return nil, err
	}
	t := &tables{ws, filepath.Join(dir, "data")}
	if err := errors.Join(os.Mkdir(t.dir, 0o700), t.write()); err != nil {
		return nil, errors.Join(err, ws.Close(ctx))
	}
	if _, err = ws.Datastores().Register(ctx, "bench", datastore.Folder{Path: t.dir}, nil); err != nil {
		return nil, errors.Join(err, ws.Close(ctx))
	}
	return t, nil
}

func (t *tables) write() error {
	text, err := os.Create(filepath.Join(t.dir, "table.csv"))
	if err != nil {
		return err
	}
	defer text.Close()
	columns, err := os.Create(filepath.Join(t.dir, "table.parquet"))
	if err != nil {
		return err
	}
	defer columns.Close()
	out := bufio.NewWriterSize(text, 1<<20)
	fmt.Fprintln(out, "id,price,score,name,good,when")
	w := parquet.NewGenericWriter[tableRow](columns, parquet.MaxRowsPerRowGroup(122_880), parquet.Compression(&parquet.Snappy))
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // rows of a test, the same each time
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range tableRows {
		row := tableRow{int64(i), float64(r.IntN(100_000)) / 100, r.Float64(), fmt.Sprintf("customer %d", r.IntN(5000)), i%3 == 0, begin.Add(time.Duration(i) * time.Second)}
		fmt.Fprintf(out, "%d,%.2f,%v,%s,%t,%s\n", row.ID, row.Price, row.Score, row.Name, row.Good, row.When.Format("2006-01-02 15:04:05"))
		if _, err := w.Write([]tableRow{row}); err != nil {
			return err
		}
	}
	return errors.Join(out.Flush(), w.Close())
}

func path(name string) []dataset.Path { return []dataset.Path{{Datastore: "bench", Path: name}} }

// benchDataset measures the reading of tables and the registering of many files.
func benchDataset(ctx context.Context, b *bench) error {
	t, err := b.newTables(ctx)
	if err != nil {
		return err
	}
	defer t.Close(ctx)
	var frames *frames
	if b.versus(peerFrames) {
		if frames, err = b.startFrames(ctx, t.dir); err != nil {
			return err
		}
		defer frames.close()
	}
	if err := b.readCSV(ctx, t, frames); err != nil {
		return err
	}
	if err := b.readParquet(ctx, t, frames); err != nil {
		return err
	}
	if err := b.manyFiles(ctx, t); err != nil {
		return err
	}
	return b.flatMemory(ctx)
}

// readCSV reads delimited text into structs.
func (b *bench) readCSV(ctx context.Context, t *tables, frames *frames) error {
	d, err := t.Datasets().FromDelimitedFiles(ctx, path("table.csv"), nil)
	if err != nil {
		return err
	}
	read := func(ctx context.Context) error {
		n, sum := 0, int64(0)
		for row, err := range dataset.Rows[tableRow](ctx, d, nil) {
			if err != nil {
				return err
			}
			n++
			sum += row.ID
		}
		return rightRows(n, sum)
	}
	return b.besidePeers(ctx, "dataset-csv-to-structs", filepath.Join(t.dir, "table.csv"), read, frames,
		"csv pandas", "csv pandas (its pyarrow engine)", "csv pyarrow", "csv duckdb")
}

// readParquet sums up all columns.
func (b *bench) readParquet(ctx context.Context, t *tables, frames *frames) error {
	d, err := t.Datasets().FromParquetFiles(ctx, path("table.parquet"), nil)
	if err != nil {
		return err
	}
	read := func(ctx context.Context) error {
		n, sum, greatest, names := 0, int64(0), int64(0), 0
		numbers := 0.0
		for batch, err := range d.Batches(ctx, nil) {
			if err != nil {
				return err
			}
			n += batch.Rows
			c := batch.Columns
			for row := range batch.Rows {
				sum += c[0].Ints[row]
				numbers += c[1].Floats[row] + c[2].Floats[row]
				names += len(c[3].Texts[row])
				greatest = max(greatest, c[5].Ints[row])
			}
		}
		if names == 0 || numbers == 0 || greatest == 0 {
			return errors.New("there is nothing in the columns")
		}
		return rightRows(n, sum)
	}
	return b.besidePeers(ctx, "dataset-parquet-scan", filepath.Join(t.dir, "table.parquet"), read, frames, "parquet pyarrow", "parquet duckdb")
}

func rightRows(n int, sum int64) error {
	if n != tableRows || sum != tableRows*(tableRows-1)/2 {
		return fmt.Errorf("read %d rows with the sum %d", n, sum)
	}
	return nil
}

// besidePeers measures reading beside the bare reading of the file's bytes, and
// what the peers take for the same file.
func (b *bench) besidePeers(ctx context.Context, name, file string, read func(context.Context) error, frames *frames, peers ...string) error {
	sides := []side{timed(read), timed(func(context.Context) error { _, err := os.ReadFile(file); return err })}
	if frames == nil {
		peers = nil
	}
	for _, peer := range peers {
		sides = append(sides, frames.side(peer))
	}
	got, err := b.rounds(ctx, sides...)
	if err != nil {
		return err
	}
	f := figureOf(name, "ms", 1e3, got[0], "reading the file's bytes", got[1])
	f.Beside = []named{{"million rows/s", tableRows / 1e6 / median(got[0].value)}, {"CPU ms", 1e3 * mean(got[0].cpu)}}
	for i, peer := range peers {
		f.Beside = append(f.Beside, named{peer, 1e3 * median(got[i+2].value)}, named{peer + ", CPU ms", 1e3 * mean(got[i+2].cpu)})
	}
	f.Note = fmt.Sprintf("%d rows of six columns", tableRows)
	b.report(f)
	return nil
}

// manyFiles registers and checks a dataset of many files, once.
func (b *bench) manyFiles(ctx context.Context, t *tables) error {
	n := fewFiles
	if b.big {
		n = manyFiles
	}
	for i := range n {
		name := filepath.Join(t.dir, "many", fmt.Sprintf("%04d", i/1000), fmt.Sprintf("image-%07d.png", i))
		if i%1000 == 0 {
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				return err
			}
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			return err
		}
	}
	walk, err := timed(func(context.Context) error { return walkFiles(filepath.Join(t.dir, "many")) })(ctx)
	if err != nil {
		return err
	}
	var d *dataset.Dataset
	register, err := timed(func(ctx context.Context) error {
		made, err := t.Datasets().FromFiles(ctx, path("many/**/*.png"), nil)
		if err == nil {
			d, err = made.Register(ctx, "many", nil)
		}
		return err
	})(ctx)
	if err != nil {
		return err
	}
	check, err := timed(func(ctx context.Context) error {
		changes, err := d.Check(ctx, nil)
		if err == nil && (!changes.None() || changes.Files != int64(n)) {
			err = fmt.Errorf("the check found %+v", changes)
		}
		return err
	})(ctx)
	if err != nil {
		return err
	}
	for _, one := range []struct {
		name string
		got  sample
	}{{"dataset-register", register}, {"dataset-check", check}} {
		b.report(figure{Name: one.name, Value: one.got.value, Unit: "s", N: n, Floor: &named{"walking the folder with the files' sizes and times", walk.value},
			Ratio: one.got.value / walk.value, Beside: []named{{"CPU s", one.got.cpu}}, Note: fmt.Sprintf("%d files, once", n)})
	}
	return nil
}

func walkFiles(root string) error {
	folders, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		files, err := os.ReadDir(filepath.Join(root, folder.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			if _, err := f.Info(); err != nil {
				return err
			}
		}
	}
	return nil
}
