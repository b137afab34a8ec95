package rundata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
	"github.com/azml-go/azml/internal/record"
)

// Scope is what a run elsewhere reaches of datasets, by its definition: of the
// inputs their records and the files and queries that they point to, of the outputs
// the folders that they are stored in and the versions that they become. Files that
// are in an output's folder already it replaces and removes only when the output
// may, or when the folder is this run's alone. The datastores' credentials stay here.
// It is a gateway.DataScope.
type Scope struct {
	h   core.Handle
	run record.Run
	out dataset.Reach // the folders of the outputs

	mu     sync.Mutex
	in     *dataset.Reach // nil until the inputs' records were read
	stores map[string]lentStore
	stored map[record.DataPath]bool // files that this run has stored
}

var _ gateway.DataScope = (*Scope)(nil)

// NewScope gives the scope of the run, as its record is when it is submitted.
func NewScope(h core.Handle, run record.Run) *Scope {
	s := &Scope{h: h, run: run, stores: map[string]lentStore{}, stored: map[record.DataPath]bool{}}
	for _, out := range run.Definition.Outputs {
		s.out.AddPath(out.Datastore, dataset.OutputFolder(run.ID, out))
	}
	return s
}

func (s *Scope) denied(what, name string) error {
	return fmt.Errorf("%w: run %s may not %s %s", azml.ErrDenied, s.run.ID, what, name)
}

// inputs gives what the inputs that the script gets point to.
func (s *Scope) inputs(ctx context.Context) (*dataset.Reach, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in != nil {
		return s.in, nil
	}
	in := &dataset.Reach{}
	for _, input := range s.run.Definition.Inputs {
		if !looked(input) {
			continue
		}
		def, err := s.definition(ctx, inputKey(input.Dataset))
		if errors.Is(err, azml.ErrNotFound) { // which the run finds out
			continue
		}
		if err != nil {
			return nil, err
		}
		in.Add(def)
	}
	s.in = in
	return in, nil
}

// The parts of the keys of definitions.
const (
	definitionPrefix = "dataset-definitions/"
	datastorePrefix  = "datastores/"
	recordSuffix     = ".json"
)

// inputKey gives the key of the record of what an input names.
func inputKey(ref string) string {
	if dataset.IsID(ref) {
		return definitionPrefix + ref + recordSuffix
	}
	name, version, _ := dataset.ParseID(ref) // as it was checked when the run was submitted
	return core.DatasetVersions(name).Key(version)
}

// definition reads the definition that a version or a saved definition has.
func (s *Scope) definition(ctx context.Context, key string) (record.DataDefinition, error) {
	if strings.HasPrefix(key, definitionPrefix) {
		stored, err := core.Get[record.DatasetDefinition](ctx, s.h, key)
		return stored.Value.Definition, err
	}
	stored, err := core.Get[record.Dataset](ctx, s.h, key)
	return stored.Value.Definition, err
}

// Read implements gateway.DataScope.
func (s *Scope) Read(ctx context.Context, key string) error {
	if store, ok := strings.CutPrefix(key, datastorePrefix); ok {
		return s.mayUse(ctx, strings.TrimSuffix(store, recordSuffix))
	}
	if s.isInput(key) || s.registers(key) != nil {
		return nil
	}
	def, err := s.definition(ctx, key)
	switch {
	case errors.Is(err, azml.ErrNotFound): // as it will be told
		return nil
	case errors.Is(err, azml.ErrUnavailable) || ctx.Err() != nil:
		return err
	case err != nil || !s.out.Contains(def):
		return s.denied("read", key)
	}
	return nil
}

func (s *Scope) mayUse(ctx context.Context, store string) error {
	in, err := s.inputs(ctx)
	if err != nil {
		return err
	}
	if !in.Datastore(store) && !s.out.Datastore(store) {
		return s.denied("use the datastore", store)
	}
	return nil
}

func (s *Scope) isInput(key string) bool {
	return slices.ContainsFunc(s.run.Definition.Inputs, func(in record.DataInput) bool { return inputKey(in.Dataset) == key })
}

// registers gives the output that is registered in the series of the key, nil for
// none.
func (s *Scope) registers(key string) *record.DataOutput {
	for _, out := range s.run.Definition.Outputs {
		if out.Register != nil && strings.HasPrefix(key, core.DatasetVersions(out.Register.Name).Prefix) {
			return &out
		}
	}
	return nil
}

// Listed implements gateway.DataScope.
func (s *Scope) Listed(_ context.Context, key string) bool {
	return s.isInput(key) || s.registers(key) != nil
}

// Put implements gateway.DataScope.
func (s *Scope) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) error {
	const most = 64 << 20 // no record is larger
	if content.Size() > most || !opts.IfNoneMatch && opts.IfMatch == "" {
		return s.denied("write", key)
	}
	data, err := io.ReadAll(io.NewSectionReader(content, 0, content.Size()))
	if err != nil {
		return err
	}
	mine := false
	switch out := s.registers(key); {
	case strings.HasPrefix(key, definitionPrefix):
		mine, err = s.ownDefinition(ctx, key, data)
	case out != nil:
		mine, err = s.ownVersion(ctx, key, data, *out)
	}
	if mine || errors.Is(err, azml.ErrUnavailable) {
		return err
	}
	return errors.Join(s.denied("write this to", key), err)
}

// ownDefinition tells whether the record is the definition of an output, and takes
// nothing away from one that is there.
func (s *Scope) ownDefinition(ctx context.Context, key string, data []byte) (bool, error) {
	r, err := core.Restore[record.DatasetDefinition](key, data, "")
	def := r.Value
	if err != nil || def.ID != dataset.DefinitionID(def.Definition) || key != definitionPrefix+def.ID+recordSuffix || !s.out.Contains(def.Definition) {
		return false, err
	}
	there, err := core.Get[record.DatasetDefinition](ctx, s.h, key)
	if errors.Is(err, azml.ErrNotFound) {
		return true, nil
	}
	return !slices.ContainsFunc(there.Value.Registered, func(v string) bool { return !slices.Contains(def.Registered, v) }), err
}

// ownVersion tells whether the record is a version that the output becomes, and so
// is one that is there.
func (s *Scope) ownVersion(ctx context.Context, key string, data []byte, out record.DataOutput) (bool, error) {
	mine := func(v record.Dataset) bool {
		return v.RunID == s.run.ID && v.Output == out.Name && v.Name == out.Register.Name && key == core.DatasetVersions(v.Name).Key(v.Version) &&
			v.DefinitionID == dataset.DefinitionID(v.Definition) && s.out.Contains(v.Definition)
	}
	r, err := core.Restore[record.Dataset](key, data, "")
	if err != nil || !mine(r.Value) {
		return false, err
	}
	there, err := core.Get[record.Dataset](ctx, s.h, key)
	if errors.Is(err, azml.ErrNotFound) {
		return true, nil
	}
	return mine(there.Value), err
}

// lentStore is a datastore that was looked up.
type lentStore struct {
	datastore.Lent
	at time.Time
}

// lookAgain is after what time the record of a datastore is read again: somebody may
// have registered it anew.
const lookAgain = time.Minute

// Datastore implements gateway.DataScope.
func (s *Scope) Datastore(ctx context.Context, name string) (gateway.Datastore, error) {
	in, err := s.inputs(ctx)
	if err == nil {
		err = s.mayUse(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	store, known := s.stores[name]
	if !known || time.Since(store.at) > lookAgain {
		if store.Lent, err = datastore.Lend(ctx, s.h, name); err != nil {
			return nil, err
		}
		store.at = time.Now()
		s.stores[name] = store
	}
	return scopedStore{s, name, in, store.Lent}, nil
}

// owner gives the output that the file belongs to, nil for none.
func (s *Scope) owner(store, path string) *record.DataOutput {
	if !s.out.File(store, path) {
		return nil
	}
	for _, out := range s.run.Definition.Outputs {
		if out.Datastore == store && strings.HasPrefix(path, dataset.OutputFolder(s.run.ID, out)) {
			return &out
		}
	}
	return nil
}

// replaces tells whether what is at the path may be replaced, or removed.
func (s *Scope) replaces(store, path string) bool {
	out := s.owner(store, path)
	if out == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return out.Overwrite || strings.Contains(out.Path, "{run-id}") || s.stored[record.DataPath{Datastore: store, Path: path}]
}

func (s *Scope) noteStored(store, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored[record.DataPath{Datastore: store, Path: path}] = true
}
