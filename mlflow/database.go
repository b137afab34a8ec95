package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml"
)

// database reads MLflow's SQLite database. It is opened for reading only, and
// each question is a transaction of its own: a server that uses the database can
// go on, and at most waits while one metric is read.
type database struct {
	path string
	local
	columns map[string]bool // "table.column" of all that are there

	mu   sync.Mutex
	free []*sqlite3.Conn
}

// needed are columns that MLflow's databases have had since version 1.0.
var needed = []string{"experiments.experiment_id", "experiments.name", "experiments.lifecycle_stage", "runs.run_uuid", "runs.status",
	"runs.start_time", "runs.artifact_uri", "metrics.key", "metrics.timestamp", "metrics.step", "params.key", "tags.key"}

func openDatabase(ctx context.Context, path, artifacts string) (_ source, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no database file", azml.ErrInvalid, path)
	}
	d := &database{path: path, columns: map[string]bool{}}
	if d.local, err = newLocal(filepath.Dir(path), artifacts); err != nil {
		return nil, err
	}
	err = d.query(ctx, func(row *sqlite3.Stmt) { d.columns[row.ColumnText(0)+"."+row.ColumnText(1)] = true },
		"SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'")
	for _, column := range needed {
		if err == nil && !d.columns[column] {
			err = fmt.Errorf("%w: %s is no MLflow database: it has no column %s", azml.ErrInvalid, path, column)
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *database) name() string { return "sqlite:///" + filepath.ToSlash(d.path) }

func (d *database) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	for _, c := range d.free {
		err = errors.Join(err, c.Close())
	}
	d.free = nil
	return err
}

// connect gives a connection for the use of one goroutine.
func (d *database) connect() (*sqlite3.Conn, error) {
	d.mu.Lock()
	if n := len(d.free); n > 0 {
		c := d.free[n-1]
		d.free = d.free[:n-1]
		d.mu.Unlock()
		return c, nil
	}
	d.mu.Unlock()
	c, err := sqlite3.OpenFlags(d.path, sqlite3.OPEN_READONLY)
	if err != nil {
		return nil, err
	}
	if err := c.Exec("PRAGMA busy_timeout = 10000; PRAGMA trusted_schema = OFF"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (d *database) release(c *sqlite3.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = append(d.free, c)
}

// query calls each with every row of the answer.
func (d *database) query(ctx context.Context, each func(row *sqlite3.Stmt), sql string, args ...any) error {
	for row, err := range d.rows(ctx, sql, args...) {
		if err != nil {
			return err
		}
		each(row)
	}
	return nil
}

// rows yields the rows of the answer; one is good until the next.
func (d *database) rows(ctx context.Context, sql string, args ...any) iter.Seq2[*sqlite3.Stmt, error] {
	return func(yield func(*sqlite3.Stmt, error) bool) {
		enough, err := d.step(ctx, sql, args, func(row *sqlite3.Stmt) bool { return yield(row, nil) })
		if err != nil && !enough {
			yield(nil, d.classify(ctx, err))
		}
	}
}

func (d *database) step(ctx context.Context, sql string, args []any, each func(*sqlite3.Stmt) bool) (enough bool, err error) {
	c, err := d.connect()
	if err != nil {
		return false, err
	}
	defer d.release(c)
	defer c.SetInterrupt(c.SetInterrupt(ctx))
	row, _, err := c.Prepare(sql)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, row.Close()) }()
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			err = row.BindText(i+1, arg)
		case int64:
			err = row.BindInt64(i+1, arg)
		}
		if err != nil {
			return false, err
		}
	}
	for row.Step() {
		if !each(row) {
			return true, nil
		}
	}
	return false, row.Err()
}

// classify says what a failure of SQLite means.
func (d *database) classify(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, sqlite3.NOTADB):
		return fmt.Errorf("%w: %s is no SQLite database: %w", azml.ErrInvalid, d.path, err)
	case errors.Is(err, sqlite3.CORRUPT):
		return fmt.Errorf("%w: %s is damaged; \"sqlite3 FILE .recover\" saves what can be read: %w", azml.ErrDamaged, d.path, err)
	case errors.Is(err, sqlite3.BUSY):
		return fmt.Errorf("%w: %s is being written to for long: %w", azml.ErrUnavailable, d.path, err)
	}
	return fmt.Errorf("read %s: %w", d.path, err)
}

// column names a column for a SELECT, or NULL when this version of MLflow has
// none.
func (d *database) column(table, column string) string {
	if d.columns[table+"."+column] {
		return table + "." + column
	}
	return "NULL"
}

// has tells whether there is the table, by one of its columns.
func (d *database) has(column string) bool { return d.columns[column] }

func (d *database) experiments(ctx context.Context) iter.Seq2[experiment, error] {
	sql := "SELECT experiment_id, name, artifact_location, lifecycle_stage, " + d.column("experiments", "creation_time") + ", " +
		d.column("experiments", "last_update_time") + " FROM experiments WHERE " + d.inWorkspace("experiments") + " ORDER BY experiment_id"
	return func(yield func(experiment, error) bool) {
		for row, err := range d.rows(ctx, sql) {
			if err != nil {
				yield(experiment{}, err)
				return
			}
			e := experiment{id: row.ColumnText(0), name: row.ColumnText(1), location: row.ColumnText(2), deleted: row.ColumnText(3) == lifecycleDeleted,
				created: moment(row.ColumnInt64(4)), updated: moment(row.ColumnInt64(5))}
			if d.has("experiment_tags.key") {
				e.tags, err = d.labels(ctx, "SELECT key, value FROM experiment_tags WHERE experiment_id = ?", int64Of(e.id))
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func int64Of(id string) int64 {
	n, _ := strconv.ParseInt(id, 10, 64) // what is none belongs to nothing
	return n
}

// labels reads pairs.
func (d *database) labels(ctx context.Context, sql string, args ...any) (map[string]string, error) {
	found := map[string]string{}
	err := d.query(ctx, func(row *sqlite3.Stmt) { found[row.ColumnText(0)] = row.ColumnText(1) }, sql, args...)
	return found, err
}

// runColumns are what scanRun reads.
func (d *database) runColumns() string {
	return "SELECT run_uuid, experiment_id, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, " +
		d.column("runs", "deleted_time") + " FROM runs "
}

func scanRun(row *sqlite3.Stmt) run {
	return run{id: row.ColumnText(0), experiment: row.ColumnText(1), name: row.ColumnText(2), user: row.ColumnText(3), status: row.ColumnText(4),
		started: moment(row.ColumnInt64(5)), ended: moment(row.ColumnInt64(6)), deleted: row.ColumnText(7) == lifecycleDeleted,
		artifacts: row.ColumnText(8), deletedAt: moment(row.ColumnInt64(9))}
}

func (d *database) runs(ctx context.Context, experimentID string) iter.Seq2[run, error] {
	return func(yield func(run, error) bool) {
		// All rows at once: a transaction must not last as long as an import.
		var list []run
		err := d.query(ctx, func(row *sqlite3.Stmt) { list = append(list, scanRun(row)) },
			d.runColumns()+"WHERE experiment_id = ? ORDER BY start_time, run_uuid", int64Of(experimentID))
		if err != nil {
			yield(run{}, err)
			return
		}
		for _, r := range list {
			err := d.complete(ctx, &r)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (d *database) run(ctx context.Context, id string) (run, error) {
	var found []run
	err := d.query(ctx, func(row *sqlite3.Stmt) { found = append(found, scanRun(row)) }, d.runColumns()+"WHERE run_uuid = ?", id)
	if err != nil {
		return run{}, err
	}
	if len(found) == 0 {
		return run{}, fmt.Errorf("%w: there is no run %s", azml.ErrNotFound, id)
	}
	return found[0], d.complete(ctx, &found[0])
}

// complete reads what is known of a run in other tables.
func (d *database) complete(ctx context.Context, r *run) (err error) {
	if r.params, err = d.labels(ctx, "SELECT key, value FROM params WHERE run_uuid = ?", r.id); err != nil {
		return err
	}
	if r.tags, err = d.labels(ctx, "SELECT key, value FROM tags WHERE run_uuid = ?", r.id); err != nil {
		return err
	}
	r.metrics = map[string]string{}
	mark := func(row *sqlite3.Stmt) {
		r.metrics[row.ColumnText(0)] = strings.Join([]string{row.ColumnText(1), row.ColumnText(2), row.ColumnText(3)}, " ")
	}
	if d.has("latest_metrics.key") {
		err = d.query(ctx, mark, "SELECT key, value, step, timestamp FROM latest_metrics WHERE run_uuid = ?", r.id)
	} else {
		err = d.query(ctx, mark, "SELECT key, count(*), max(step), max(timestamp) FROM metrics WHERE run_uuid = ? GROUP BY key", r.id)
	}
	if err != nil || !d.has("inputs.source_id") {
		return err
	}
	return d.links(ctx, r)
}

// links reads the datasets and logged models that the run has used or made.
func (d *database) links(ctx context.Context, r *run) error {
	var uses []string
	err := d.query(ctx, func(row *sqlite3.Stmt) {
		uses = append(uses, row.ColumnText(0))
		r.datasets = append(r.datasets, dataset{name: row.ColumnText(1), digest: row.ColumnText(2), sourceType: row.ColumnText(3),
			source: row.ColumnText(4), schema: row.ColumnText(5), profile: row.ColumnText(6)})
	}, "SELECT i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema, d.dataset_profile "+
		"FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id "+
		"WHERE i.destination_id = ? AND i.destination_type = 'RUN' AND i.source_type = 'DATASET' ORDER BY d.name, d.digest", r.id)
	for i, use := range uses {
		if err == nil {
			r.datasets[i].tags, err = d.labels(ctx, "SELECT name, value FROM input_tags WHERE input_uuid = ?", use)
		}
	}
	if err != nil {
		return err
	}
	return d.query(ctx, func(row *sqlite3.Stmt) {
		switch id := row.ColumnText(1); row.ColumnText(0) {
		case "MODEL_INPUT":
			r.modelsIn = append(r.modelsIn, id)
		case "MODEL_OUTPUT":
			r.modelsOut = append(r.modelsOut, modelOutput{id, row.ColumnInt64(2)})
		}
	}, "SELECT destination_type, destination_id, "+d.column("inputs", "step")+" FROM inputs WHERE source_id = ? AND source_type IN ('RUN_INPUT', 'RUN_OUTPUT') "+
		"ORDER BY destination_id", r.id)
}

func (d *database) points(ctx context.Context, r run, metric string) iter.Seq2[point, error] {
	isNaN := d.column("metrics", "is_nan")
	return func(yield func(point, error) bool) {
		for row, err := range d.rows(ctx, "SELECT step, timestamp, value, "+isNaN+" FROM metrics WHERE run_uuid = ? AND key = ? "+
			"ORDER BY timestamp, step, value, 4", r.id, metric) {
			if err != nil {
				yield(point{}, err)
				return
			}
			p := point{row.ColumnInt64(0), row.ColumnInt64(1), double(row.ColumnFloat(2)).value()}
			if row.ColumnBool(3) {
				p.value = nan
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (d *database) files(_ context.Context, at place) iter.Seq2[file, error] {
	return d.local.files(at.uri)
}

func (d *database) open(_ context.Context, at place, path string) (io.ReadCloser, error) {
	return d.read(at.uri, path)
}

// counting is a question for a number of things that are left out.
type counting struct{ column, what, sql string }

func (d *database) leftOut(ctx context.Context, e experiment) (map[string]int64, error) {
	return d.count(ctx, []counting{
		{"trace_info.experiment_id", "traces", "SELECT count(*) FROM trace_info WHERE experiment_id = ?"},
		{"scorers.experiment_id", "scorers", "SELECT count(*) FROM scorers WHERE experiment_id = ?"},
		{"issues.experiment_id", "issues", "SELECT count(*) FROM issues WHERE experiment_id = ?"},
	}, int64Of(e.id))
}

func (d *database) others(ctx context.Context) (map[string]int64, error) {
	return d.count(ctx, []counting{
		{"webhooks.webhook_id", "webhooks", "SELECT count(*) FROM webhooks"},
		{"evaluation_datasets.dataset_id", "evaluation datasets", "SELECT count(*) FROM evaluation_datasets"},
		{"experiments.workspace", "experiments of other MLflow workspaces", "SELECT count(*) FROM experiments WHERE workspace <> 'default'"},
		{"registered_models.workspace", "models of other MLflow workspaces", "SELECT count(*) FROM registered_models WHERE workspace <> 'default'"},
	})
}

// count asks the questions whose columns are there.
func (d *database) count(ctx context.Context, questions []counting, args ...any) (map[string]int64, error) {
	counts := map[string]int64{}
	for _, q := range questions {
		if !d.has(q.column) {
			continue
		}
		if err := d.query(ctx, func(row *sqlite3.Stmt) { counts[q.what] = row.ColumnInt64(0) }, q.sql, args...); err != nil {
			return nil, err
		}
	}
	return counts, nil
}
