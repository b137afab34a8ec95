package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml/run"
)

// pageSize is how many runs a search asks for.
const pageSize = 100

// question is a search, and the same in SQL for its floor. Fields are named in
// braces there.
type question struct {
	name, filter, order string
	mlflow              bool // MLflow understands it
	sql                 string
}

var questions = []question{
	{"selective", "metrics.m3 > 0.95 AND params.p1 = 'v3'", "metrics.m5 DESC", true,
		`SELECT record, summaries FROM number m JOIN text p ON p.field = {params.p1} AND p.item = m.item AND p.value = 'v3'
		JOIN number o ON o.field = {metrics.m5} AND o.item = m.item JOIN doc ON doc.item = m.item
		WHERE m.field = {metrics.m3} AND m.value > 0.95 ORDER BY o.value DESC LIMIT 100`},
	{"half", "metrics.m3 > 0.5", "metrics.m5 DESC", true,
		`SELECT record, summaries FROM number o CROSS JOIN number m ON m.field = {metrics.m3} AND m.item = o.item AND +m.value > 0.5
		JOIN doc ON doc.item = m.item WHERE o.field = {metrics.m5} ORDER BY o.value DESC LIMIT 100`},
	{"newest", "", "", true,
		`SELECT record, summaries FROM number o JOIN doc ON doc.item = o.item WHERE o.field = {attributes.start_time} ORDER BY o.value DESC LIMIT 100`},
	{"or-not", "(metrics.m1 < 0.01 OR tags.t2 = 'w7') AND NOT params.p1 IN ('v1', 'v2')", "metrics.m5", false,
		`SELECT record, summaries FROM (SELECT item FROM number WHERE field = {metrics.m1} AND value < 0.01 UNION SELECT item FROM text WHERE field = {tags.t2} AND value = 'w7') c
		JOIN text p ON p.field = {params.p1} AND p.item = c.item AND p.value NOT IN ('v1', 'v2') JOIN number o ON o.field = {metrics.m5} AND o.item = c.item
		JOIN doc ON doc.item = c.item ORDER BY o.value LIMIT 100`},
}

// benchSearch measures searches among many ended runs.
func benchSearch(ctx context.Context, b *bench) error {
	sizes := []int{1000, 10_000}
	if b.big {
		sizes = append(sizes, 100_000)
	}
	for _, n := range sizes {
		if err := b.searchAmong(ctx, n); err != nil {
			return fmt.Errorf("%d runs: %w", n, err)
		}
	}
	return nil
}

func (b *bench) searchAmong(ctx context.Context, n int) error {
	s, err := b.newSpace(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	past, err := b.newPastRuns(ctx, filepath.Join(filepath.Dir(s.Details().CacheDir), "objects"), n)
	if err != nil {
		return err
	}
	var ids []string
	for i := range n {
		id, err := past.run(i)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if err := b.buildIndex(ctx, s, n); err != nil {
		return err
	}
	peer, err := b.mlflowSearch(ctx, n)
	if err != nil {
		return err
	}
	for _, q := range questions {
		if err := b.ask(ctx, s, q, n, peer); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	return b.updateIndex(ctx, s, ids)
}

// search asks for the first page.
func (s *space) search(ctx context.Context, q question) (int, error) {
	var opts run.SearchOptions
	if q.order != "" {
		opts.OrderBy = []string{q.order}
	}
	found, _, err := s.Runs().SearchPage(ctx, q.filter, "", pageSize, &opts)
	return len(found), err
}

// buildIndex measures the first search.
func (b *bench) buildIndex(ctx context.Context, s *space, n int) error {
	cpu, begun := cpuSeconds(), time.Now()
	if _, err := s.search(ctx, questions[0]); err != nil {
		return err
	}
	took := time.Since(begun).Seconds()
	path, err := s.indexFile()
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	b.report(figure{Name: fmt.Sprintf("search-first-of-%d", n), Value: took, Unit: "s", N: 1, Note: "reads every record and metric",
		Beside: []named{{"CPU s", cpuSeconds() - cpu}, {"index MB", float64(info.Size()) / 1e6}}})
	return nil
}

// indexFile finds the file of the index.
func (s *space) indexFile() (string, error) {
	files, err := filepath.Glob(filepath.Join(s.Details().CacheDir, "index", "*", "*.db"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("no index below %s: %w", s.Details().CacheDir, err)
	}
	return files[0], nil
}

// ask measures a search of which nothing has changed, beside its SQL.
func (b *bench) ask(ctx context.Context, s *space, q question, n int, peer map[string]float64) error {
	path, err := s.indexFile()
	if err != nil {
		return err
	}
	bare, err := openBare(path, q.sql)
	if err != nil {
		return err
	}
	defer bare.close()
	ours, theirs := 0, 0
	got, err := b.rounds(ctx, timed(func(ctx context.Context) (err error) {
		ours, err = s.search(ctx, q)
		return err
	}), timed(func(context.Context) (err error) {
		theirs, err = bare.run()
		return err
	}))
	if err == nil && ours != theirs {
		err = fmt.Errorf("a search finds %d, its floor %d", ours, theirs)
	}
	if err != nil {
		return err
	}
	f := figureOf(fmt.Sprintf("search-%s-of-%d", q.name, n), "ms", 1e3, got[0], "the same as bare SQL, prepared", got[1])
	f.Beside = []named{{"CPU ms", 1e3 * mean(got[0].cpu)}, {"found", float64(ours)}}
	if took, ok := peer[q.name]; ok {
		f.Beside = append(f.Beside, named{"MLflow on SQLite, search_runs", 1e3 * took})
	}
	b.report(f)
	return nil
}

// updateIndex measures a search after 100 runs have changed.
func (b *bench) updateIndex(ctx context.Context, s *space, ids []string) error {
	round := 0
	change := func(ctx context.Context) error {
		round++
		for i := range 100 {
			r, err := s.Runs().Get(ctx, ids[(round*100+i)%len(ids)], nil)
			if err == nil {
				err = r.Tag(ctx, "t0", fmt.Sprint("changed", round))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	after := func(ctx context.Context) (sample, error) {
		if err := change(ctx); err != nil {
			return sample{}, err
		}
		return timed(func(ctx context.Context) error {
			_, err := s.search(ctx, questions[2])
			return err
		})(ctx)
	}
	got, err := b.rounds(ctx, after, b.readFiles(100))
	if err != nil {
		return err
	}
	f := figureOf(fmt.Sprintf("search-after-100-changes-of-%d", len(ids)), "ms", 1e3, got[0], "reading 100 files", got[1])
	f.Beside = []named{{"CPU ms", 1e3 * mean(got[0].cpu)}}
	b.report(f)
	return nil
}

// bareQuery is a prepared statement on the index file.
type bareQuery struct {
	conn *sqlite3.Conn
	stmt *sqlite3.Stmt
}

func openBare(path, sql string) (*bareQuery, error) {
	c, err := sqlite3.OpenFlags(path, sqlite3.OPEN_READWRITE)
	if err != nil {
		return nil, err
	}
	q := &bareQuery{conn: c}
	if err = c.Exec(`PRAGMA cache_size = -16000`); err == nil {
		if sql, err = q.name(sql); err == nil {
			q.stmt, _, err = c.Prepare(sql)
		}
	}
	if err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

func (q *bareQuery) close() { _ = q.conn.Close() }

// run reads the result.
func (q *bareQuery) run() (n int, err error) {
	for q.stmt.Step() {
		_, _ = q.stmt.ColumnBlob(0, nil), q.stmt.ColumnBlob(1, nil)
		n++
	}
	return n, q.stmt.Reset()
}

// fieldName is a field in braces.
var fieldName = regexp.MustCompile(`\{(\w+)\.(\w+)\}`)

// name puts the numbers of fields in the place of their names.
func (q *bareQuery) name(sql string) (string, error) {
	var failed error
	return fieldName.ReplaceAllStringFunc(sql, func(field string) string {
		parts := fieldName.FindStringSubmatch(field)
		s, _, err := q.conn.Prepare(fmt.Sprintf("SELECT n FROM field WHERE kind = 1 AND entity = '%s' AND name = '%s'", parts[1], parts[2]))
		if err != nil {
			failed = err
			return field
		}
		defer s.Close()
		s.Step()
		return s.ColumnText(0)
	}), failed
}
