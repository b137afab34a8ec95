package mlflow

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
)

// source is where an import reads from. Its methods may be called by several
// goroutines at once.
type source interface {
	// name says where it is, without credentials.
	name() string
	// experiments yields all experiments, deleted ones too.
	experiments(ctx context.Context) iter.Seq2[experiment, error]
	// runs yields the experiment's runs, deleted ones too, the oldest first.
	runs(ctx context.Context, experimentID string) iter.Seq2[run, error]
	// run gives one run. Errors: ErrNotFound.
	run(ctx context.Context, id string) (run, error)
	// points yields all values of one of the run's metrics, in an order that
	// stays.
	points(ctx context.Context, r run, metric string) iter.Seq2[point, error]
	// loggedModels yields the experiment's logged models, the oldest first.
	loggedModels(ctx context.Context, experimentID string) iter.Seq2[loggedModel, error]
	// models yields all registered models.
	models(ctx context.Context) iter.Seq2[registeredModel, error]
	// versions yields the versions of a registered model, the lowest first.
	versions(ctx context.Context, model string) iter.Seq2[modelVersion, error]
	// files yields the artifacts of a place. Errors: *unreadable when it is one
	// that can't be read from here.
	files(ctx context.Context, at place) iter.Seq2[file, error]
	// open opens one of these files, for a caller who closes it.
	open(ctx context.Context, at place, path string) (io.ReadCloser, error)
	// leftOut counts what belongs to an experiment and has no place in a
	// workspace.
	leftOut(ctx context.Context, e experiment) (map[string]int64, error)
	// others counts what belongs to no experiment and has no place in a
	// workspace.
	others(ctx context.Context) (map[string]int64, error)
	// close ends the use of the source.
	close() error
}

// experiment is an experiment as MLflow has it.
type experiment struct {
	id       string
	name     string
	location string // of its artifacts
	deleted  bool
	created  time.Time
	updated  time.Time
	tags     map[string]string
}

// run is a run as MLflow has it, but for the values of its metrics.
type run struct {
	id         string
	experiment string // the ID
	name       string
	user       string
	status     string
	started    time.Time
	ended      time.Time
	deleted    bool
	deletedAt  time.Time // zero when not known
	artifacts  string    // the URI
	params     map[string]string
	tags       map[string]string
	metrics    map[string]string // for each name a mark that changes when values come
	datasets   []dataset
	modelsIn   []string
	modelsOut  []modelOutput
}

// dataset is a dataset that a run has used.
type dataset struct {
	name, digest, sourceType, source, schema, profile string
	tags                                              map[string]string
}

// modelOutput is a logged model that a run has made.
type modelOutput struct {
	id   string
	step int64
}

// point is one value of a metric.
type point struct {
	step   int64
	millis int64
	value  float64
}

// The tags that MLflow itself reads.
const (
	tagName   = "mlflow.runName"
	tagParent = "mlflow.parentRunId"
	tagUser   = "mlflow.user"
	tagNote   = "mlflow.note.content"
	tagPrompt = "mlflow.prompt.is_prompt"
)

// ended tells whether MLflow's status is a last one.
func ended(status string) bool {
	return status == "FINISHED" || status == "FAILED" || status == "KILLED"
}

// state identifies the run as it is now: it is another when something about it
// has changed that can be seen without reading its values and artifacts.
func (r run) state() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %d %d %t\n", r.experiment, r.name, r.user, r.status, r.started.UnixMilli(), r.ended.UnixMilli(), r.deleted)
	for _, labels := range []map[string]string{r.params, r.tags, r.metrics} {
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			fmt.Fprintf(h, "%q=%q\n", key, labels[key])
		}
		fmt.Fprintln(h)
	}
	for _, d := range r.datasets {
		fmt.Fprintf(h, "%q %q %d\n", d.name, d.digest, len(d.tags))
	}
	fmt.Fprintf(h, "%q %v\n", r.modelsIn, r.modelsOut)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// loggedModel is a logged model as MLflow has it.
type loggedModel struct {
	id         string
	experiment string // the ID
	name       string
	kind       string
	runID      string
	status     string
	created    time.Time
	artifacts  string // the URI
	params     map[string]string
	tags       map[string]string
	metrics    []modelMetric
}

// modelMetric is the latest value of a metric that is about a logged model.
type modelMetric struct {
	point
	name, runID, dataset, digest string
}

// outdatedBy tells whether other is of the same metric and not before m.
func (m modelMetric) outdatedBy(other modelMetric) bool {
	return m.name == other.name && m.runID == other.runID && m.dataset == other.dataset && m.digest == other.digest && m.compare(other.point) <= 0
}

// registeredModel is a registered model as MLflow has it, but for its versions.
type registeredModel struct {
	name        string
	description string
	created     time.Time
	tags        map[string]string
	aliases     map[string]int
}

// modelVersion is a version of a registered model as MLflow has it.
type modelVersion struct {
	number      int
	description string
	stage       string
	source      string // the URI it was registered from
	storage     string // the URI of its files, when that is another
	runID       string
	runLink     string
	created     time.Time
	tags        map[string]string
}

// place is what artifacts belong to: a run, a logged model, or a URI alone.
type place struct {
	runID      string
	modelID    string
	experiment string // the ID of the run's or logged model's experiment
	uri        string
}

func (r run) place() place { return place{runID: r.id, experiment: r.experiment, uri: r.artifacts} }

func (m loggedModel) place() place {
	return place{modelID: m.id, experiment: m.experiment, uri: m.artifacts}
}

// name names the place to people.
func (p place) name() string { return cmp.Or(p.runID, p.modelID, p.uri) }

// file is one artifact.
type file struct {
	path    string // relative to its place, with "/"
	size    int64
	problem string // why it can't be read, empty when it can
}

// unreadable is a place for artifacts that can't be read from here.
type unreadable struct {
	reason string
	gone   bool // it would be on this machine, but there is nothing
}

// Error says why.
func (u *unreadable) Error() string { return u.reason }

// openSource opens what the URI names. Errors: ErrInvalid, ErrNotFound.
func openSource(ctx context.Context, uri string, opts *ImportOptions) (source, error) {
	scheme, rest, found := strings.Cut(uri, ":")
	switch {
	case found && (scheme == "http" || scheme == "https"):
		return openServer(ctx, uri, opts.Login)
	case found && scheme == "sqlite":
		return openDatabase(ctx, strings.TrimPrefix(rest, "///"), opts.Artifacts)
	case found && scheme == "file":
		dir, err := url.PathUnescape(strings.TrimPrefix(rest, "//"))
		if err != nil {
			return nil, fmt.Errorf("%w: %s is no file URI", azml.ErrInvalid, uri)
		}
		return openFolder(dir, opts.Artifacts)
	case found && len(scheme) > 1 && !strings.ContainsAny(scheme, "/\\."):
		return nil, fmt.Errorf("%w: %s: give an http or https URL, sqlite:///FILE, a database file or the folder of a file store; "+
			"of another database, start \"mlflow server\" on it and give its URL", azml.ErrUnsupported, scheme+":")
	}
	return openPath(ctx, uri, opts.Artifacts)
}
