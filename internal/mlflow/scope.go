package mlflow

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/mask"
	"github.com/azml-go/azml/internal/record"
)

// scope is what the script of a run reaches: its run and those it makes, their
// experiment, and the registry of models. A nil scope reaches everything.
type scope struct {
	run        string
	experiment string
	all        bool // everything, too, but runs are made as a script makes them
	hidden     *mask.Secrets

	joined   atomic.Int64 // when a client has last read the run, in ns since 1970
	measured atomic.Bool  // a client has logged how busy the machine is, to the run

	mu     sync.Mutex
	made   []string          // IDs of runs
	models []string          // IDs of logged models that were made
	points map[string]uint64 // stored of the run, by writer
}

// NewForRun makes the handler for the script of a run that this process drives.
// Runs that it makes are children of the run and end with it. Unless the run's
// definition allows the script the workspace, requests that name other
// experiments or other runs are refused, and so is what would take an
// experiment or a registered model from others. What is hidden is masked in all
// that is logged but in files. Finish ends it.
func NewForRun(h core.Handle, run record.Run, hidden *mask.Secrets) *Handler {
	handler := newHandler(h, &Options{})
	handler.scope = &scope{run: run.ID, experiment: run.Experiment, hidden: hidden, points: map[string]uint64{}, all: run.Definition != nil && run.Definition.AllowWorkspace}
	return handler
}

// Finish makes durable what was logged through the handler of a run, when no
// request is under way any more and none comes; what fails can be begun again.
// It gives how many points its writers have stored of the run, by their IDs,
// and the IDs of the runs that were made through it.
func (h *Handler) Finish(ctx context.Context) (points map[string]uint64, made []string, err error) {
	s := h.scope
	s.mu.Lock()
	defer s.mu.Unlock()
	err = h.writers.finishAll(ctx, func(id logID, points map[string]uint64) {
		if id == (logID{id: s.run}) {
			maps.Copy(s.points, points)
		}
	})
	return s.points, s.made, err
}

// joinTime is how long after a client has joined the run its first measurements of the
// machine may come: MLflow's client takes ten seconds unless its user says otherwise.
const joinTime = 30 * time.Second

// Measuring tells whether a client of the run's script measures the machine: what it
// logs of it are then the run's system metrics, and nobody else's.
func (h *Handler) Measuring() agent.Measuring {
	switch s := h.scope; {
	case s.measured.Load():
		return agent.Measures
	case h.core.Now().UnixNano()-s.joined.Load() < int64(joinTime):
		return agent.MayMeasure
	}
	return agent.NotMeasuring
}

// noteRead notes that a client has read a run, as it does when it joins one. How far
// the system metrics are, by which it numbers its own, is what it finds then.
func (s *scope) noteRead(id string, now time.Time) {
	if s != nil && id == s.run {
		s.joined.Store(now.UnixNano())
	}
}

// noteLogged notes when what a client logs to a run are measurements of the machine.
func (s *scope) noteLogged(id string, points []metricFields) {
	if s == nil || id != s.run || s.measured.Load() {
		return
	}
	if slices.ContainsFunc(points, func(p metricFields) bool { return agent.IsSystemMetric(p.Key) }) {
		s.measured.Store(true)
	}
}

// mask gives the message without the secrets of the script's run.
func (s *scope) mask(message []byte) []byte {
	if s == nil {
		return message
	}
	return s.hidden.JSON(message)
}

// madeIn gives the ID of the run whose script makes the runs, empty for none.
func (s *scope) madeIn() string {
	if s == nil {
		return ""
	}
	return s.run
}

// adopt makes a new run one of the script's. Unless the script says whose child
// it is, it is the run's own.
func (s *scope) adopt(draft *record.Run) {
	if s == nil {
		return
	}
	draft.MadeIn = s.run
	if draft.Tags[parentTag] == "" && draft.Experiment == s.experiment {
		draft.Tags[parentTag] = s.run
	}
}

// note notes that a run was made.
func (s *scope) note(id string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = append(s.made, id)
}

// noteModel notes that a logged model was made.
func (s *scope) noteModel(id string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = append(s.models, id)
}

// bounded tells whether there is anything that the script doesn't reach.
func (s *scope) bounded() bool { return s != nil && !s.all }

// runs gives the filter for the runs that searches show, nil for all.
func (s *scope) runs() filter.Expr {
	if !s.bounded() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return isOneOf(index.Runs.Schema.Attribute("run_id"), append(slices.Clone(s.made), s.run))
}

// shownModels gives the filter for the logged models that searches show, nil for
// all.
func (s *scope) shownModels() filter.Expr {
	if !s.bounded() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return isOneOf(index.LoggedModels.Schema.Attribute("model_id"), append(slices.Clone(s.models), noModel))
}

// noModel is the ID of no logged model.
const noModel = "-"

func isOneOf(field filter.Field, texts []string) filter.Expr {
	values := make([]filter.Value, len(texts))
	for i, text := range texts {
		values[i].Text = text
	}
	return filter.Comparison{Field: field, Op: filter.In, Values: values}
}

// experiments gives the filter for the experiments that searches show, nil for
// all.
func (s *scope) experiments() filter.Expr {
	if !s.bounded() {
		return nil
	}
	return isOneOf(index.Experiments.Schema.Attribute("name"), []string{s.experiment})
}

// checkRun refuses other runs.
func (s *scope) checkRun(r record.Run) error {
	if !s.bounded() || r.ID == s.run || r.MadeIn == s.run {
		return nil
	}
	return s.refuse("the run " + r.ID)
}

// checkModel refuses logged models that were not made here. What is registered is
// reached as a version, whoever has made it.
func (s *scope) checkModel(id string) error {
	if !s.bounded() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.models, id) {
		return nil
	}
	return s.refuse("the logged model " + id)
}

// checkExperiment refuses other experiments.
func (s *scope) checkExperiment(name string) error {
	if !s.bounded() || name == s.experiment {
		return nil
	}
	return s.refuse("the experiment " + strconv.Quote(cut(name, maxKey)))
}

func (s *scope) checkExperiments(names []string) error {
	for _, name := range names {
		if err := s.checkExperiment(name); err != nil {
			return err
		}
	}
	return nil
}

// taking are the requests that take from others what they rely on.
var taking = map[string]string{
	"/mlflow/experiments/delete":       "deleting its experiment",
	"/mlflow/experiments/restore":      "restoring its experiment",
	"/mlflow/experiments/update":       "renaming its experiment",
	"/mlflow/registered-models/delete": "deleting registered models",
	"/mlflow/registered-models/rename": "renaming registered models",
	"/mlflow/model-versions/delete":    "deleting versions of registered models",
}

// checkPath refuses requests by their path alone.
func (s *scope) checkPath(path string) error {
	if !s.bounded() {
		return nil
	}
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/ajax-api/2.0"), "/api/2.0")
	if what, ok := taking[path]; ok {
		return s.refuse(what)
	}
	return nil
}

func (s *scope) refuse(what string) error {
	return failf(codeDenied, "The script of the run %s may use its own run, the runs it makes and the model registry, and not %s: "+
		"submit it with AllowWorkspace (azml run submit --allow-workspace) if it is to", s.run, what)
}

// reachedRun is run for who need not know whether the run's process is there.
func (c call) reachedRun(ctx context.Context, id string) (record.Run, error) {
	stored, err := history.Get(ctx, c.core, id)
	if err == nil {
		err = c.scope.checkRun(stored.Value)
	}
	return stored.Value, err
}
