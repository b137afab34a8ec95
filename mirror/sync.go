package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/metrics"
)

// syncer brings one workspace into another.
type syncer struct {
	ledger
	src, dst core.Handle
	opts     Options
	memory   *memory
	carriers map[string]*metrics.Carrier // of runs and logged models that go on; nil keeps none

	mu           sync.Mutex
	settled      map[string]bool   // units of this pass for which nothing is left to do
	environments map[string]string // versions in the destination, by "name:version" in the source
	experiments  map[string]error  // those that were brought in this pass, or why not
	books        map[string]*numbers
	upTo         map[string]int // versions wanted of a model, 0 for all
	scope        *scope         // what is wanted, when that is not everything
	whole        bool           // everything is wanted

	estimating sync.Mutex
	estimated  *files.Transfer // of a dry run, which knows what was counted

	reading sync.Mutex
	removed map[string]bool // what the audit log of the destination says was deleted; nil before it was read
}

func newSyncer(dst, src core.Handle, opts *Options) (*syncer, error) {
	s := &syncer{dst: dst, src: src}
	if opts != nil {
		s.opts = *opts
	}
	if dst.Workspace().ID == src.Workspace().ID {
		err := fmt.Errorf("%w: both are the same workspace, or copies of one: a copy can't be told from what it was made of", azml.ErrInvalid)
		core.Wrap(&err, "sync", "workspace", src.Workspace().Name)
		return nil, err
	}
	s.tell = s.opts.Progress
	s.begin(Report{Source: src.Workspace().Name, Destination: dst.Workspace().Name, DryRun: s.opts.DryRun})
	s.whole = len(s.opts.Experiments)+len(s.opts.Runs)+len(s.opts.Models) == 0
	s.memory = loadMemory(s.dst, s.src)
	if s.opts.Verify {
		clear(s.memory.units)
	}
	return s, nil
}

// all syncs all that is wanted.
func (s *syncer) all(ctx context.Context) error {
	theirs, mine, err := s.survey(ctx)
	if err != nil {
		return err
	}
	todo, err := s.todo(ctx, theirs, mine)
	if err != nil {
		return err
	}
	err = s.units(ctx, todo, theirs, mine)
	if err == nil && s.whole {
		err = s.dataFiles(ctx)
	}
	if err == nil && s.whole {
		err = s.missingCredentials(ctx, theirs)
	}
	if err == nil {
		err = s.secrets(ctx)
	}
	s.memorize(ctx)
	return err
}

// todo gives the units that are wanted and not known to be the same.
func (s *syncer) todo(ctx context.Context, theirs, mine map[string]mark) (map[string]bool, error) {
	todo, err := s.wanted(ctx, theirs)
	for unit := range todo {
		if known, ok := s.memory.units[unit]; ok && known == [2]mark{theirs[unit], mine[unit]} {
			delete(todo, unit)
			s.note(func(r *Report) { r.Passed++ })
		}
	}
	return todo, err
}

// units brings units over, deletes what is gone, and remembers what was done, also
// when that was cut off.
func (s *syncer) units(ctx context.Context, todo map[string]bool, theirs, mine map[string]mark) error {
	err := s.pass(ctx, todo)
	if err == nil {
		err = s.deletions(ctx, theirs, mine)
	}
	return errors.Join(err, s.remember(ctx, theirs))
}

// survey surveys both workspaces.
func (s *syncer) survey(ctx context.Context) (theirs, mine map[string]mark, err error) {
	var working sync.WaitGroup
	var mineErr error
	working.Go(func() { mine, mineErr = survey(ctx, s.dst) })
	theirs, err = survey(ctx, s.src)
	working.Wait()
	return theirs, mine, errors.Join(s.ofSource(err), s.ofDestination(mineErr))
}

// pass brings units over.
func (s *syncer) pass(ctx context.Context, units map[string]bool) error {
	s.settled, s.environments, s.experiments, s.books, s.removed = map[string]bool{}, map[string]string{}, map[string]error{}, map[string]*numbers{}, nil
	byPrefix := map[string][]string{}
	for unit := range units {
		prefix, name, _ := strings.Cut(unit, "/")
		byPrefix[prefix+"/"] = append(byPrefix[prefix+"/"], name)
	}
	for _, step := range []struct {
		prefix string
		bring  func(ctx context.Context, names []string) error
	}{
		{datastoreUnits, s.allDatastores}, {definitionUnits, s.allDefinitions}, {datasetUnits, s.allDatasets}, {environmentUnits, s.allEnvironments}, {experimentUnits, s.allExperiments}, {runUnits, s.allRuns},
		{loggedUnits, s.allLoggedModels}, {modelUnits, s.allModels},
	} {
		if err := step.bring(ctx, sorted(byPrefix[step.prefix], func(name string) string { return name })); err != nil {
			return err
		}
	}
	return nil
}

// settle notes that nothing is left to do for a unit.
func (s *syncer) settle(unit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled[unit] = true
}

// many is how many units are rather found in a listing of everything than asked
// for one by one.
const many = 64

// remember notes for the next time what needs no looking at. What it says of the
// source is how it was before it was read. What others have done in the
// destination since is of no interest: it never is a reason to bring something.
func (s *syncer) remember(ctx context.Context, theirs map[string]mark) error {
	if s.opts.DryRun || len(s.settled) == 0 {
		return nil
	}
	var mine map[string]mark
	var err error
	if len(s.settled) > many {
		mine, err = survey(ctx, s.dst)
	} else {
		mine, err = surveyUnits(ctx, s.dst, keysOf(s.settled))
	}
	if err != nil {
		return err
	}
	for unit := range s.settled {
		s.memory.units[unit] = [2]mark{theirs[unit], mine[unit]}
	}
	s.memory.changed = true
	return nil
}

// memorize writes what is remembered to the disk.
func (s *syncer) memorize(ctx context.Context) {
	if !s.memory.changed {
		return
	}
	s.memory.changed = false
	if err := s.memory.save(); err != nil {
		s.dst.Logger().WarnContext(ctx, "what was synced can't be remembered, so the next sync looks at everything", "file", s.memory.path, "error", err)
	}
}

func keysOf(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	return keys
}

// damage tells whether an error is about what the source has stored, so that it
// concerns one thing and no other.
func damage(err error) bool {
	return errors.Is(err, azml.ErrDamaged) || errors.Is(err, azml.ErrUnsupported)
}

// workers is how many things are done at the same time.
const workers = 16

// each does something for all items, some at the same time. The first error ends
// it.
func each[T any](ctx context.Context, items []T, do func(ctx context.Context, item T) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var working sync.WaitGroup
	turns := make(chan struct{}, workers)
	for _, item := range items {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		working.Go(func() {
			defer func() { <-turns }()
			if err := do(ctx, item); err != nil {
				stop(err)
			}
		})
	}
	working.Wait()
	return context.Cause(ctx)
}
