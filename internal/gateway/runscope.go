package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// RunScope is what the agent of one run reaches: the run, the runs and the logged
// models that its script makes, its environment, its data, and the registry of
// models, in which it removes nothing. Files are content-addressed: it adds any, replaces and
// removes none. What has an unguessable name, such as the agent's own audit log,
// is open to who knows the name and is not listed.
type RunScope struct {
	h       core.Handle
	run     record.Run
	data    DataScope
	foreign sync.Map // IDs of runs that are known to be others'
}

// NewRunScope gives the scope of the run, as its record is when it is submitted,
// with data as the part of it that is about datasets.
func NewRunScope(h core.Handle, run record.Run, data DataScope) *RunScope {
	return &RunScope{h: h, run: run, data: data}
}

var _ Scope = (*RunScope)(nil)

// area is a part of the workspace, by the beginning of its keys.
type area int

const (
	elsewhere    area = iota
	reading           // read only
	ofRuns            // a run's
	ofModels          // of logged models
	registering       // read, created and changed
	creating          // read and created
	unguessable       // read, created and appended to, never listed
	experimentOf      // the experiment's record
	ofData            // records of datasets and datastores
)

// areas are looked through in order.
func (s *RunScope) areaOf(key string) area {
	env := s.run.Definition.Environment
	experiment := history.ExperimentRef(s.run.Experiment).Key
	for _, a := range []struct {
		prefix string
		area   area
	}{
		{"workspace.json", reading},
		{"environments/" + env.Name + "/" + env.Version + ".json", reading},
		{"files/condemned.json", reading},
		{"files/", creating},
		{history.Numbers(s.run.Experiment).Prefix, creating},
		{experiment, experimentOf},
		{history.Prefix, ofRuns},
		{history.LoggedModelPrefix, ofModels},
		{registry.Prefix, registering},
		{core.DatasetPrefix, ofData},
		{"dataset-definitions/", ofData},
		{"datastores/", ofData},
		{"audit/", unguessable},
		{"uploads/", unguessable},
	} {
		if strings.HasPrefix(key, a.prefix) {
			return a.area
		}
	}
	return elsewhere
}

func (s *RunScope) denied(what, key string) error {
	return fmt.Errorf("%w: run %s may not %s %s", azml.ErrDenied, s.run.ID, what, key)
}

// Read implements Scope.
func (s *RunScope) Read(ctx context.Context, key string) error {
	if err := backend.ValidKey(key); err != nil {
		return err
	}
	switch s.areaOf(key) {
	case elsewhere:
		return s.denied("read", key)
	case ofData:
		return s.data.Read(ctx, key)
	case ofRuns:
		return s.own(ctx, "read", key, s.ownsRun)
	case ofModels:
		return s.own(ctx, "read", key, s.ownsModel)
	}
	return nil
}

// Put implements Scope.
func (s *RunScope) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) error {
	if err := backend.ValidKey(key); err != nil {
		return err
	}
	conditional := opts.IfNoneMatch || opts.IfMatch != ""
	switch area := s.areaOf(key); {
	case area == creating:
		return s.create(ctx, key, content)
	case area == ofData:
		return s.data.Put(ctx, key, content, opts)
	case area == registering && conditional, area == experimentOf && opts.IfMatch != "",
		area == unguessable && strings.HasPrefix(key, "uploads/") && conditional:
		return nil
	case area == ofRuns && isRecord(key, history.Prefix):
		return s.putRecord(ctx, key, content, conditional, s.ownsRun, s.isOwnRun)
	case area == ofRuns:
		return s.own(ctx, "write", key, s.ownsRun)
	case area == ofModels && isRecord(key, history.LoggedModelPrefix):
		return s.putRecord(ctx, key, content, conditional, s.ownsModel, s.isOwnModel)
	case area == ofModels:
		return s.own(ctx, "write", key, s.ownsModel)
	}
	return s.denied("write", key)
}

// Append implements Scope.
func (s *RunScope) Append(ctx context.Context, key string) error {
	if err := backend.ValidKey(key); err != nil {
		return err
	}
	switch area := s.areaOf(key); {
	case strings.HasPrefix(key, "audit/"):
		return nil
	case area == ofRuns && !isRecord(key, history.Prefix):
		return s.own(ctx, "append to", key, s.ownsRun)
	case area == ofModels && !isRecord(key, history.LoggedModelPrefix):
		return s.own(ctx, "append to", key, s.ownsModel)
	}
	return s.denied("append to", key)
}

// Delete implements Scope.
func (s *RunScope) Delete(ctx context.Context, key string) error {
	if err := backend.ValidKey(key); err != nil {
		return err
	}
	switch area := s.areaOf(key); {
	case strings.HasPrefix(key, "uploads/"):
		return nil
	case area == ofRuns && !isRecord(key, history.Prefix):
		return s.own(ctx, "delete", key, s.ownsRun)
	case area == ofModels && !isRecord(key, history.LoggedModelPrefix):
		return s.own(ctx, "delete", key, s.ownsModel)
	}
	return s.denied("delete", key)
}

// Listed implements Scope.
func (s *RunScope) Listed(ctx context.Context, key string) bool {
	switch s.areaOf(key) {
	case unguessable:
		return false
	case ofData:
		return s.data.Listed(ctx, key)
	case ofRuns:
		mine, err := s.ownsRun(ctx, key)
		return mine && err == nil
	case ofModels:
		mine, err := s.ownsModel(ctx, key)
		return mine && err == nil
	case elsewhere:
		return !strings.Contains(strings.TrimSuffix(key, "/"), "/") && strings.HasSuffix(key, "/") // the top folders, which are always the same
	}
	return true
}

// Secret implements Scope.
func (s *RunScope) Secret(name string) error {
	if slices.ContainsFunc(s.run.Definition.Secrets, func(allowed string) bool { return strings.EqualFold(allowed, name) }) {
		return nil
	}
	return fmt.Errorf("%w: run %s was not given the secret %q", azml.ErrDenied, s.run.ID, name)
}

// Datastore implements Scope.
func (s *RunScope) Datastore(ctx context.Context, name string) (Datastore, error) {
	return s.data.Datastore(ctx, name)
}

// isRecord tells the record of a run or of a logged model from what belongs to it.
func isRecord(key, prefix string) bool {
	rest := strings.TrimPrefix(key, prefix)
	if prefix == history.Prefix {
		_, rest, _ = strings.Cut(rest, "/")
		return rest == "run.json"
	}
	return !strings.Contains(rest, "/")
}

// create allows what is not there yet, and what is there with the same bytes: a try
// whose answer was lost.
func (s *RunScope) create(ctx context.Context, key string, content backend.Content) error {
	object, err := s.h.Objects().Get(ctx, key, &backend.GetOptions{})
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer object.Body.Close()
	there, sent := sha256.New(), sha256.New()
	if _, err := io.Copy(there, object.Body); err != nil {
		return err
	}
	if _, err := io.Copy(sent, io.NewSectionReader(content, 0, content.Size())); err != nil {
		return err
	}
	if !bytes.Equal(there.Sum(nil), sent.Sum(nil)) {
		return s.denied("replace", key)
	}
	return nil
}

// own gives an error unless the run or logged model that the key belongs to is
// one of this run's. Of one that is not there, nothing can be told: reading finds
// nothing, and nothing is written beside no record.
func (s *RunScope) own(ctx context.Context, what, key string, owns func(ctx context.Context, key string) (bool, error)) error {
	ok, err := owns(ctx, key)
	switch {
	case errors.Is(err, azml.ErrNotFound) && what == "read":
		return nil
	case errors.Is(err, azml.ErrNotFound):
		return s.denied(what, key)
	case err != nil:
		return err
	case !ok:
		return s.denied(what, key)
	}
	return nil
}

// putRecord allows the creation of a record that says that it is this run's, and
// changes of one that is and goes on saying so.
func (s *RunScope) putRecord(ctx context.Context, key string, content backend.Content, conditional bool,
	owns func(context.Context, string) (bool, error), says func(key string, data []byte) (bool, error)) error {
	if !conditional {
		return s.denied("write without a condition", key)
	}
	const most = 64 << 20 // no record is larger
	if content.Size() > most {
		return s.denied("write so much to", key)
	}
	data, err := io.ReadAll(io.NewSectionReader(content, 0, content.Size()))
	if err != nil {
		return err
	}
	if ok, err := says(key, data); err != nil || !ok {
		return errors.Join(s.denied("write this to", key), err)
	}
	if ok, err := owns(ctx, key); !ok && !errors.Is(err, azml.ErrNotFound) {
		return errors.Join(s.denied("write", key), err)
	}
	return nil
}

// ownsRun tells whether the run of the key is this one, or made by its script.
func (s *RunScope) ownsRun(ctx context.Context, key string) (bool, error) {
	id, rest, _ := strings.Cut(strings.TrimPrefix(key, history.Prefix), "/")
	life := history.LifeOf(key)
	if id == s.run.ID {
		return rest == "run.json" || rest == "" || life == s.run.Life, nil
	}
	if _, known := s.foreign.Load(id); known {
		return false, nil
	}
	other, err := history.Get(ctx, s.h, id)
	if err != nil {
		return false, err
	}
	if !s.mine(other.Value) {
		s.foreign.Store(id, true)
		return false, nil
	}
	return life == "" || life == other.Value.Life, nil
}

func (s *RunScope) mine(r record.Run) bool {
	return s.run.Definition.AllowWorkspace || r.ID == s.run.ID || r.MadeIn == s.run.ID
}

func (s *RunScope) isOwnRun(key string, data []byte) (bool, error) {
	stored, err := core.Restore[record.Run](key, data, "")
	r := stored.Value
	s.foreign.Delete(r.ID) // its ID may have been that of another, which was deleted
	return s.mine(r) && history.Ref(r.ID).Key == key && s.reaches(r), err
}

// reaches tells whether the record gives whoever keeps the run no wider a scope than
// there is: what a run may reach is what its record said when it was submitted.
func (s *RunScope) reaches(r record.Run) bool {
	if r.ID == s.run.ID {
		return r.Life == s.run.Life && reflect.DeepEqual(r.Definition, s.run.Definition)
	}
	return s.run.Definition.AllowWorkspace || r.Definition == nil && r.Agent == nil
}

// ownsModel tells whether the logged model of the key was made by the run or by
// one that its script has made.
func (s *RunScope) ownsModel(ctx context.Context, key string) (bool, error) {
	id, _, _ := strings.Cut(strings.TrimPrefix(key, history.LoggedModelPrefix), "/")
	stored, err := core.Get[record.LoggedModel](ctx, s.h, history.LoggedModelPrefix+strings.TrimSuffix(id, ".json")+".json")
	if err != nil {
		return false, err
	}
	return s.mineModel(ctx, stored.Value)
}

func (s *RunScope) mineModel(ctx context.Context, m record.LoggedModel) (bool, error) {
	if s.run.Definition.AllowWorkspace || m.RunID == s.run.ID {
		return true, nil
	}
	if m.RunID == "" {
		return m.Experiment == s.run.Experiment, nil
	}
	return s.ownsRun(ctx, history.Ref(m.RunID).Key)
}

func (s *RunScope) isOwnModel(key string, data []byte) (bool, error) {
	stored, err := core.Restore[record.LoggedModel](key, data, "")
	if err != nil || history.LoggedModelPrefix+stored.Value.ID+".json" != key {
		return false, err
	}
	return s.mineModel(context.Background(), stored.Value)
}
