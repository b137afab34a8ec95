package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/workspace"
)

// The bytes of delimited text that are made as they are read; the latter with -big.
const (
	fewGenerated  = 512 << 20
	manyGenerated = 10_000_000_000
)

// generated is a datastore with one file, table.csv, that lies nowhere: the same
// lines again and again, up to a size.
type generated struct {
	head, lines string
	size        int64
}

// newGenerated makes one of about the size, in whole turns of its lines.
func newGenerated(size int64) *generated {
	g := &generated{head: "id,price,score,name,good,when\n"}
	var lines strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&lines, "%d,%d.%02d,0.%017d,customer %d,%t,2024-01-02 03:04:%02d\n", i, i*7, i%100, i*1_000_003, i, i%3 == 0, i%60)
	}
	g.lines = lines.String()
	g.size = int64(len(g.head)) + size/int64(len(g.lines))*int64(len(g.lines))
	return g
}

func (g *generated) rows() int64 { return (g.size - int64(len(g.head))) / int64(len(g.lines)) * 1000 }

func (*generated) Type() string { return "Generated" }

func (g *generated) Source() (backend.DatastoreSource, error) {
	return backend.DatastoreSource{Type: g.Type()}, nil
}

func (g *generated) Open(context.Context, backend.DatastoreSource) (backend.Datastore, error) {
	return g, nil
}

func (*generated) Check(context.Context) error { return nil }

func (*generated) Close() error { return nil }

func (g *generated) info() backend.Info {
	return backend.Info{Key: "table.csv", Size: g.size, ETag: "one", Modified: time.Unix(1e9, 0).UTC()}
}

func (g *generated) Stat(context.Context, string) (backend.Info, error) { return g.info(), nil }

func (g *generated) Get(_ context.Context, _ string, opts *backend.GetOptions) (*backend.Object, error) {
	end := g.size
	if opts.Length > 0 {
		end = min(end, opts.Offset+opts.Length)
	}
	return &backend.Object{Info: g.info(), Body: &generatedBody{g, opts.Offset, end}}, nil
}

func (*generated) Put(context.Context, string, backend.Content, *backend.PutOptions) (backend.Info, error) {
	return backend.Info{}, azml.ErrUnsupported
}

func (*generated) Delete(context.Context, string, *backend.DeleteOptions) error {
	return azml.ErrUnsupported
}

func (g *generated) List(context.Context, *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) { yield(g.info(), nil) }
}

// generatedBody is a range of the file.
type generatedBody struct {
	g       *generated
	at, end int64
}

func (b *generatedBody) Read(p []byte) (int, error) {
	if b.at >= b.end {
		return 0, io.EOF
	}
	text := b.g.head
	if at := b.at - int64(len(text)); at >= 0 {
		text = b.g.lines[at%int64(len(b.g.lines)):]
	} else {
		text = text[b.at:]
	}
	n := copy(p[:min(int64(len(p)), b.end-b.at)], text)
	b.at += int64(n)
	return n, nil
}

func (*generatedBody) Close() error { return nil }

// readGenerated is the child: it reads that many bytes into structs, and prints how
// many rows there were.
func readGenerated(ctx context.Context, dir, size string) (err error) {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	g := newGenerated(n)
	ws, err := workspace.Open(ctx, filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key"),
		Datastores: []backend.DatastoreDriver{g}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ws.Close(ctx)) }()
	if _, err := ws.Datastores().Register(ctx, "bench", g, nil); err != nil {
		return err
	}
	d, err := ws.Datasets().FromDelimitedFiles(ctx, path("table.csv"), nil)
	if err != nil {
		return err
	}
	rows := int64(0)
	for row, err := range dataset.Rows[tableRow](ctx, d, nil) {
		if err != nil {
			return err
		}
		if rows++; row.Name == "" {
			return fmt.Errorf("row %d has no name", rows)
		}
	}
	if rows != g.rows() {
		return fmt.Errorf("read %d rows of %d", rows, g.rows())
	}
	return json.NewEncoder(os.Stdout).Encode(rows)
}

// flatMemory reads a little and much in processes of their own, whose peaks of
// memory are to be the same.
func (b *bench) flatMemory(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	much := int64(fewGenerated)
	if b.big {
		much = manyGenerated
	}
	peak := func(size int64) (memory float64, took sample, err error) {
		dir, err := b.sub("memory")
		if err != nil {
			return 0, took, err
		}
		cmd := exec.CommandContext(ctx, program, childFlag, childTable, dir, strconv.FormatInt(size, 10))
		cmd.Stderr = b.log
		begun := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, took, err
		}
		took = sample{time.Since(begun).Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
		return peakMemory(cmd.ProcessState), took, nil
	}
	little, _, err := peak(much / 16)
	if err != nil || little == 0 {
		return err
	}
	most, took, err := peak(much)
	if err != nil {
		return err
	}
	b.report(figure{Name: "dataset-memory", Value: most, Unit: "MB", N: 1, Floor: &named{"reading a sixteenth of it", little}, Ratio: most / little,
		Beside: []named{{"s", took.value}, {"CPU s", took.cpu}, {"MB/s", float64(much) / 1e6 / took.value}},
		Note:   fmt.Sprintf("resident memory at its highest, of %.1f GB of delimited text that is made as it is read into structs, once", float64(much)/1e9)})
	return nil
}
