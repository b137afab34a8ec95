package workspace

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// FsckOptions are the options of Workspace.Fsck.
type FsckOptions struct {
	// Deep reads every byte of every file's content and checks its digest;
	// without it only what is there and of which size is compared.
	Deep bool
	// Progress, when not nil, is called again and again with what is being
	// checked, in a word, and how many of it are done.
	Progress func(what string, done int)
}

// Problem is one thing that is not as it must be.
type Problem struct {
	// Key is the key of the object, or the digest of a missing content.
	Key string `json:"key"`
	// Problem says what is wrong.
	Problem string `json:"problem"`
	// Affected lists what can't be read because of it, as far as it is known.
	Affected []string `json:"affected,omitempty"`
}

// FsckReport is the result of Fsck.
type FsckReport struct {
	// Problems lists what is damaged or missing, by key. Empty means sound.
	Problems []Problem `json:"problems"`
	// Notes lists what is odd and harmless: leftovers of processes that died,
	// objects that are not azml's.
	Notes []Problem `json:"notes"`
	// Records is the number of records read.
	Records int `json:"records"`
	// Runs is the number of runs.
	Runs int `json:"runs"`
	// Manifests is the number of manifests in use.
	Manifests int `json:"manifests"`
	// Chunks is the number of chunks of contents in use.
	Chunks int `json:"chunks"`
	// Bytes is their size.
	Bytes int64 `json:"bytes"`
}

// Clean tells whether no problem was found.
func (r *FsckReport) Clean() bool { return len(r.Problems) == 0 }

// Fsck verifies the workspace: that every record can be read and what it names
// is there, every metric, every manifest and every chunk. It changes nothing
// and can run beside writers. Damage is in the report and no error; errors are
// those of a store that can't be read.
func (w *Workspace) Fsck(ctx context.Context, opts *FsckOptions) (_ *FsckReport, err error) {
	defer w.h.Operation(&ctx, &err, "check", kind, w.Name())()
	if opts == nil {
		opts = &FsckOptions{}
	}
	progress := opts.Progress
	if progress == nil {
		progress = func(string, int) {}
	}
	c := &checker{ctx: ctx, h: w.h, report: &FsckReport{Problems: []Problem{}, Notes: []Problem{}}, there: map[string]bool{}, logged: map[string]bool{}, data: map[string]string{}, used: map[string]bool{}, runs: map[string]record.Run{}, left: map[string]string{}, progress: progress}
	if err := c.checkRecords(); err != nil {
		return nil, err
	}
	if err := c.checkLives(); err != nil {
		return nil, err
	}
	if err := c.checkRuns(); err != nil {
		return nil, err
	}
	if err := c.checkLoggedModels(); err != nil {
		return nil, err
	}
	if err := c.checkFiles(opts.Deep); err != nil {
		return nil, err
	}
	if err := c.checkDatastoreSecrets(); err != nil {
		return nil, err
	}
	if err := c.checkAudit(); err != nil {
		return nil, err
	}
	byKey := func(a, b Problem) int { return strings.Compare(a.Key+a.Problem, b.Key+b.Problem) }
	slices.SortFunc(c.report.Problems, byKey)
	slices.SortFunc(c.report.Notes, byKey)
	return c.report, nil
}

// checker gathers what Fsck finds.
type checker struct {
	ctx    context.Context //nolint:containedctx // one walk, one context
	h      core.Handle
	report *FsckReport
	there  map[string]bool       // the keys of the records that are there
	logged map[string]bool       // the logged models that are not deleted
	data   map[string]string     // why a dataset that runs name is not there, "" when it is
	runs   map[string]record.Run // by their IDs, with what is looked at later
	left   map[string]string     // a key of an object of each life of a run, in the end of those that are over
	used   map[string]bool       // the secrets that records name
	parts  []string              // the keys of parts of lists of runs' files
	roots  []string              // manifests that records name
	list   string                // the folder of the list of files that is being walked
	before int                   // how many roots there were before it
	series string                // prefix of the series of numbers that is being walked
	last   int
	gaps   []gap

	progress func(what string, done int)
}

// A gap is something that a record says is there and is not. It is no problem
// when the record is being deleted, or its deletion was cut off.
type gap struct {
	record string // its key
	Problem
}

func (c *checker) problem(key, format string, args ...any) {
	c.report.Problems = append(c.report.Problems, Problem{Key: key, Problem: fmt.Sprintf(format, args...)})
}

func (c *checker) note(key, format string, args ...any) {
	c.report.Notes = append(c.report.Notes, Problem{Key: key, Problem: fmt.Sprintf(format, args...)})
}

func (c *checker) gap(record, key, format string, args ...any) {
	c.gaps = append(c.gaps, gap{record, Problem{Key: key, Problem: fmt.Sprintf(format, args...)}})
}

// A shape is a pattern of keys (path.Match) and what objects of such keys are.
type shape struct {
	pattern string
	check   func(c *checker, key string) error
}

// shapes lists all keys of a workspace, as docs/format.md does.
var shapes = []shape{
	{key, check[record.Workspace]},
	{"experiments/*.json", check[record.Experiment]},
	{"experiments/*/runs/*.json", (*checker).runNumber},
	{"runs/*/run.json", (*checker).run},
	{"runs/*/heartbeat-*.json", check[record.Heartbeat]},
	{"runs/*/files-*/*.json", (*checker).runFiles},
	{"runs/*/datasets-*/*.json", check[record.RunDataset]},
	{"runs/*/nodes-*/*.json", check[record.RunNode]},
	{"runs/*/clock-*.json", leftover},
	{"models/*.json", (*checker).registeredModel},
	{"models/*/*.json", (*checker).model},
	{"logged-models/*.json", (*checker).loggedModel},
	{"logged-models/*/files/*.json", (*checker).loggedModelFiles},
	{"uploads/*/upload.json", check[record.Upload]},
	{"uploads/*/parts/*.json", (*checker).filesPart},
	{"environments/*/*.json", (*checker).environment},
	{"compute/*.json", check[record.Compute]},
	{"clusters/*/state.json", check[record.ClusterState]},
	{"clusters/*/queue/*.json", check[record.QueuedRun]},
	{"datastores/*.json", (*checker).datastore},
	{"datasets/*/*.json", (*checker).dataset},
	{"dataset-definitions/*.json", (*checker).definition},
	{"endpoints/*.json", (*checker).endpoint},
	{"endpoints/*/hosts/*.json", check[record.EndpointHost]},
	{"tokens/*.json", check[record.AccessToken]},
	{"probe-*", leftover},
}

// shapeOf gives the shape of the key, nil when it has none.
func shapeOf(key string) *shape {
	i := slices.IndexFunc(shapes, func(s shape) bool { ok, err := path.Match(s.pattern, key); return ok && err == nil })
	if i < 0 {
		return nil
	}
	return &shapes[i]
}

// others are prefixes of objects that are no records: they are checked as
// metrics or files, or have no inner form.
func other(key string) bool {
	parts := strings.Split(key, "/")
	switch parts[0] {
	case "files", "audit", "data", "index":
		return true
	case "runs":
		return len(parts) > 3 && (strings.HasPrefix(parts[2], "metrics-") || strings.HasPrefix(parts[2], "logs-"))
	case "logged-models":
		return len(parts) > 3 && parts[2] == "metrics"
	case "endpoints":
		return len(parts) > 3 && (parts[2] == "logs" || parts[2] == "requests")
	}
	return false
}

// checkRecords walks all objects.
func (c *checker) checkRecords() error {
	if err := c.reference(key, "the workspace's own record", key); err != nil {
		return err
	}
	for info, err := range c.h.Objects().List(c.ctx, &backend.ListOptions{}) {
		if err != nil {
			return err
		}
		if life := history.LifeOf(info.Key); life != "" && c.left[life] == "" {
			c.left[life] = info.Key
		}
		if other(info.Key) {
			continue
		}
		c.there[info.Key] = true
		c.progress("records", len(c.there))
		s := shapeOf(info.Key)
		if s == nil {
			c.note(info.Key, "it is no object of a workspace")
			continue
		}
		if err := s.check(c, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// read reads a record; ok is false when it is damaged or just gone.
func read[T any, P interface {
	*T
	record.Record
}](c *checker, key string) (value T, ok bool, err error) {
	stored, err := core.Get[T, P](c.ctx, c.h, key)
	c.report.Records++
	switch {
	case errors.Is(err, azml.ErrNotFound):
		return value, false, nil
	case errors.Is(err, azml.ErrDamaged), errors.Is(err, azml.ErrUnsupported):
		c.problem(key, "%v", err)
		return value, false, nil
	}
	return stored.Value, err == nil, err
}

func check[T any, P interface {
	*T
	record.Record
}](c *checker, key string) error {
	_, _, err := read[T, P](c, key)
	return err
}

func leftover(c *checker, key string) error {
	c.note(key, "left by a process that died; it can be deleted")
	return nil
}

// number checks that the numbers of a series have no gap.
func (c *checker) number(key string) {
	prefix := key[:strings.LastIndexByte(key, '/')+1]
	if prefix != c.series {
		c.series, c.last = prefix, 0
	}
	c.last++
	if expected := (core.Series{Prefix: prefix}).Key(c.last); key != expected {
		c.problem(expected, "the record is missing: numbers are never taken out")
		if _, err := fmt.Sscanf(key[len(prefix):], "%d.json", &c.last); err != nil {
			c.problem(key, "the name is no number")
		}
	}
}

func (c *checker) exists(key string) (bool, error) {
	_, err := c.h.Objects().Stat(c.ctx, key)
	if errors.Is(err, azml.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// reference checks that what the record of this key names is there.
func (c *checker) reference(key, what, target string) error {
	there, err := c.exists(target)
	if err == nil && !there {
		c.gap(key, key, "%s is not there", what)
	}
	return err
}

// filesPart notes the manifest of a part of a list of files. Those of uploads are
// removed when the upload ends, so their numbers may have gaps.
func (c *checker) filesPart(key string) error {
	r, ok, err := read[record.Files](c, key)
	if err == nil && ok {
		c.part(key, r)
	}
	return err
}

// part notes what a part of a list needs; with a whole one, those before it need
// nothing. All parts of a list come one after the other.
func (c *checker) part(key string, r record.Files) {
	if list := path.Dir(key); list != c.list {
		c.list, c.before = list, len(c.roots)
	}
	if r.Whole {
		c.roots = c.roots[:c.before]
	}
	if r.Manifest != "" {
		c.roots = append(c.roots, r.Manifest)
	}
}

func (c *checker) environment(key string) error {
	e, ok, err := read[record.Environment](c, key)
	if err == nil && ok && e.Docker.BuildContext != nil {
		c.roots = append(c.roots, e.Docker.BuildContext.Files)
	}
	return err
}

func (c *checker) endpoint(key string) error {
	e, ok, err := read[record.Endpoint](c, key)
	if err != nil || !ok {
		return err
	}
	for _, revision := range e.Revisions() {
		for _, d := range revision.Deployments {
			if d.Source != "" {
				c.roots = append(c.roots, d.Source)
			}
			if d.Environment == nil {
				continue
			}
			name := d.Environment.Name + "/" + d.Environment.Version
			if err := c.reference(key, "environment "+name, "environments/"+name+".json"); err != nil {
				return err
			}
		}
	}
	for _, id := range e.Models() {
		if err := c.reference(key, "model "+id, modelKey(id)); err != nil {
			return err
		}
	}
	return nil
}

// checkFiles checks all manifests in use and the contents they need.
func (c *checker) checkFiles(deep bool) error {
	ids := func(yield func(string, error) bool) {
		for _, id := range c.roots {
			if !yield(id, nil) {
				return
			}
		}
	}
	report, err := c.h.Files().Verify(c.ctx, ids, &files.VerifyOptions{Deep: deep, Progress: func(chunks int) { c.progress("contents", chunks) }})
	if err != nil {
		return err
	}
	c.report.Manifests, c.report.Chunks, c.report.Bytes = report.Manifests, report.Chunks, report.Bytes
	for _, d := range report.Damages {
		c.report.Problems = append(c.report.Problems, Problem{Key: d.Key, Problem: d.Err.Error(), Affected: d.Files})
	}
	for _, key := range report.Unreferenced {
		c.note(key, "nothing in use needs it; the garbage collector removes it")
	}
	return nil
}
