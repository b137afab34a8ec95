package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/expr"
	"github.com/azml-go/azml/internal/inorder"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/tabular"
)

// The columns that filters of files can name beside partitions.
const (
	columnPath      = "Path"
	columnSize      = "Size"
	columnModified  = "LastModifiedTime"
	columnCreated   = "CreationTime"
	columnExtension = "Extension"
	columnCanSeek   = "CanSeek"
)

func fileSchema() tabular.Schema {
	return tabular.Schema{{Name: columnPath, Type: tabular.String}, {Name: columnSize, Type: tabular.Int}, {Name: columnModified, Type: tabular.Time},
		{Name: columnExtension, Type: tabular.String}, {Name: columnCreated, Type: tabular.Time}, {Name: columnCanSeek, Type: tabular.Bool}}
}

// entries lists the files of a dataset of files, after all steps.
func (d *Dataset) entries(ctx context.Context, missingOK bool) ([]entry, error) {
	entries, err := list(ctx, d.h, d.def.Paths, missingOK)
	if err != nil {
		return nil, err
	}
	return d.picked(entries)
}

// picked gives those of the files that are left after all steps.
func (d *Dataset) picked(entries []entry) ([]entry, error) {
	if len(d.def.Steps) == 0 || d.Type() != TypeFile {
		return entries, nil
	}
	b, err := d.fileTable(entries)
	if err != nil {
		return nil, err
	}
	schema := b.Schema()
	for _, step := range d.def.Steps {
		var e *expr.Expr
		if step.Step == record.StepFilter {
			if e, err = expr.Parse(step.Filter); err != nil {
				return nil, err
			}
		}
		r, err := newRunner(step, e, schema)
		if err != nil {
			return nil, err
		}
		if err := knowsCreated(r.columns, entries); err != nil {
			return nil, err
		}
		b, _ = r.run(b)
	}
	kept := make([]entry, b.Rows)
	for i, n := range b.Columns[len(b.Columns)-1].Ints {
		kept[i] = entries[n]
	}
	return kept, nil
}

// knowsCreated refuses to filter by what a datastore doesn't tell: no file would be
// left.
func knowsCreated(columns []string, entries []entry) error {
	if !slices.Contains(columns, columnCreated) {
		return nil
	}
	for _, e := range entries {
		if e.Created.IsZero() {
			return fmt.Errorf("%w: datastore %q (%s) doesn't tell when files were created: filter by %s", azml.ErrUnsupported, e.store.Name(), e.store.Type(), columnModified)
		}
	}
	return nil
}

// fileTable gives the files as a table, whose last column is the number of the
// entry.
func (d *Dataset) fileTable(entries []entry) (*tabular.Batch, error) {
	schema := append(fileSchema(), d.source()...)
	schema = append(schema, tabular.Field{Name: "", Type: tabular.Int})
	b := &tabular.Batch{Rows: len(entries)}
	for _, f := range schema {
		b.Columns = append(b.Columns, tabular.NewColumn(f, len(entries)))
	}
	partitions := d.partitions()
	for i, e := range entries {
		b.Columns[0].Texts[i] = "/" + e.rel
		if b.Columns[1].Ints[i] = e.Size; e.Size < 0 {
			b.Columns[1].SetNull(i)
		}
		setTime(&b.Columns[2], i, e.Modified)
		b.Columns[3].Texts[i] = path.Ext(e.Path)
		setTime(&b.Columns[4], i, e.Created)
		b.Columns[5].Bools[i] = e.Size >= 0
		b.Columns[len(schema)-1].Ints[i] = int64(i)
		if partitions == nil {
			continue
		}
		values, err := partitions.values(e.Path)
		if err != nil {
			return nil, err
		}
		for n, v := range values {
			c := &b.Columns[len(fileSchema())+n]
			if v.Type == tabular.Time {
				c.Ints[i] = v.Ints[0]
			} else {
				c.Texts[i] = v.Texts[0]
			}
		}
	}
	return b, nil
}

// setTime sets a time, one that is not known as missing.
func setTime(c *tabular.Column, row int, t time.Time) {
	if t.IsZero() {
		c.SetNull(row)
		return
	}
	c.Ints[row] = t.UnixNano()
}

// File is a file of a dataset.
type File struct {
	// Path is the path within the dataset: below the folder that all its paths
	// have in common.
	Path string `json:"path"`
	// Datastore is where the file is.
	Datastore string `json:"datastore"`
	// Source is its path there.
	Source string `json:"source"`
	// Size is the number of bytes, -1 when a web server doesn't tell it.
	Size int64 `json:"size"`
	// Modified is when it was last written, zero where that is not known.
	Modified time.Time `json:"modified,omitzero"`
}

// ListFilesOptions are the options of Dataset.Files; there are none so far.
type ListFilesOptions struct{}

// Files lists the files as they are now, of a table those that it is read from.
// Their order is that of the paths, and within one that of the files' bytes.
// Errors: ErrNotFound when a path means no file.
func (d *Dataset) Files(ctx context.Context, _ *ListFilesOptions) (_ []File, err error) {
	defer d.h.Operation(&ctx, &err, "list files of", kind, d.label())()
	entries, err := d.entries(ctx, false)
	if err != nil {
		return nil, err
	}
	out := make([]File, len(entries))
	for i, e := range entries {
		out[i] = File{Path: e.rel, Datastore: e.store.Name(), Source: e.Path, Size: e.Size, Modified: e.Modified}
	}
	return out, nil
}

// DataChangedTime gives the newest time of the files now, zero when none is
// known, as it is of a query.
func (d *Dataset) DataChangedTime(ctx context.Context) (newest time.Time, err error) {
	defer d.h.Operation(&ctx, &err, "look at", kind, d.label())()
	entries, err := d.entries(ctx, false)
	for _, e := range entries {
		if e.Modified.After(newest) {
			newest = e.Modified
		}
	}
	return newest, err
}

// PartitionKeyValues gives the distinct values of the partition keys with the
// names (nil for all), in the order in which the files have them. Files without a
// byte are passed over. Errors: ErrInvalid for names that are none.
func (d *Dataset) PartitionKeyValues(ctx context.Context, keys []string) (_ []map[string]any, err error) {
	defer d.h.Operation(&ctx, &err, "get partitions of", kind, d.label())()
	p := d.partitions()
	if p == nil {
		return nil, fmt.Errorf("%w: it has no partition format", azml.ErrInvalid)
	}
	if keys == nil {
		keys = p.schema.Names()
	}
	for _, key := range keys {
		if p.schema.Index(key) < 0 {
			return nil, fmt.Errorf("%w: %q is no partition key: there are %q", azml.ErrInvalid, key, p.schema.Names())
		}
	}
	entries, err := d.entries(ctx, false)
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	seen := map[string]bool{}
	for _, e := range nonEmpty(entries) {
		values, err := p.values(e.Path)
		if err != nil {
			return nil, err
		}
		one, id := map[string]any{}, ""
		for _, key := range keys {
			one[key] = values[p.schema.Index(key)].Value(0)
			id += fmt.Sprintf("%q ", fmt.Sprint(one[key]))
		}
		if !seen[id] {
			seen[id] = true
			out = append(out, one)
		}
	}
	return out, nil
}

// DownloadOptions are the options of Dataset.Download.
type DownloadOptions struct {
	// Overwrite replaces files that are there; without it they are an error.
	Overwrite bool
	// IgnoreNotFound passes over files that are gone when it is their turn.
	IgnoreNotFound bool
	// Progress, when not nil, is called with the bytes that are there so far and
	// those that there will be, from several goroutines at once.
	Progress func(done, total int64)
}

// Download copies the files into the folder dir, which is made when it is not
// there, several at once, and gives their paths in it. A file is there whole or
// not at all. Errors: ErrExists naming a file that is there; ErrInvalid naming a
// file whose path leads out of the folder or can't be one here: then nothing is
// copied.
func (d *Dataset) Download(ctx context.Context, dir string, opts *DownloadOptions) (paths []string, err error) {
	defer d.h.Operation(&ctx, &err, "download", kind, d.label())()
	if opts == nil {
		opts = &DownloadOptions{}
	}
	entries, err := d.entries(ctx, opts.IgnoreNotFound)
	if err != nil {
		return nil, err
	}
	if err := checkTargets(entries); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	w := download{root: root, opts: opts, total: total(entries)}
	if err := w.refuse(entries); err != nil {
		return nil, err
	}
	for path, err := range inorder.Map(ctx, parallel, each(entries), func(e entry) (string, error) {
		err := w.file(ctx, e)
		if opts.IgnoreNotFound && errors.Is(err, azml.ErrNotFound) {
			return "", nil
		}
		return filepath.Join(dir, filepath.FromSlash(e.rel)), err
	}) {
		if err != nil {
			return nil, err
		}
		if path != "" {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// parallel is how many files are copied at once.
const parallel = 8

// each yields the elements of a list.
func each[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, one := range list {
			if !yield(one, nil) {
				return
			}
		}
	}
}

// checkTargets refuses paths that can't be files in a folder: a store may have
// any.
func checkTargets(entries []entry) error {
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		switch {
		case !fs.ValidPath(e.rel) || e.rel == "." || !filepath.IsLocal(filepath.FromSlash(e.rel)):
			return fmt.Errorf("%w: the file %q can't be put into a folder: its path leads elsewhere", azml.ErrInvalid, e.uri())
		case seen[e.rel]:
			return fmt.Errorf("%w: two files are %q in the dataset: they are in datastores of their own", azml.ErrInvalid, e.rel)
		}
		seen[e.rel] = true
	}
	return nil
}

// download copies files into a folder.
type download struct {
	root  *os.Root
	opts  *DownloadOptions
	total int64
	done  atomic.Int64
}

// refuse gives an error when a file is there and is not to be replaced.
func (w *download) refuse(entries []entry) error {
	if w.opts.Overwrite {
		return nil
	}
	for _, e := range entries {
		if _, err := w.root.Lstat(filepath.FromSlash(e.rel)); err == nil {
			return fmt.Errorf("%w: %s is there: set Overwrite to replace files", azml.ErrExists, filepath.Join(w.root.Name(), filepath.FromSlash(e.rel)))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// file copies a file under a temporary name first.
func (w *download) file(ctx context.Context, e entry) (err error) {
	from, err := e.store.Open(ctx, e.Path, nil)
	if err != nil {
		return err
	}
	defer from.Close()
	name := filepath.FromSlash(e.rel)
	if folder := filepath.Dir(name); folder != "." {
		if err := w.root.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	draft := filepath.Join(filepath.Dir(name), ".azml-"+core.NewID(8))
	to, err := w.root.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = w.root.Remove(draft)
		}
	}()
	n, err := io.Copy(to, io.TeeReader(from, progress{w}))
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if n != from.Size() && from.Size() >= 0 {
		return fmt.Errorf("%w: %s has %d bytes, of which %d came", azml.ErrConflict, e.uri(), from.Size(), n)
	}
	return w.root.Rename(draft, name)
}

// progress tells of each piece that is written to it.
type progress struct{ w *download }

// Write implements io.Writer.
func (p progress) Write(b []byte) (int, error) {
	done := p.w.done.Add(int64(len(b)))
	if p.w.opts.Progress != nil {
		p.w.opts.Progress(done, p.w.total)
	}
	return len(b), nil
}
