package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// parts is what is to be done about a list of files, a run's or a logged model's.
// It grows by parts on both sides; of each, the token tells which it is.
type parts struct {
	kind   string // of whose list it is, for conflicts
	owner  string
	series core.Series
	there  int                         // how many the source has
	here   int                         // how many the destination has
	add    []core.Stored[record.Files] // those that it lacks, in order
	need   []string                    // manifests whose contents must be there
}

// count is how many parts the destination has once all are added.
func (p *parts) count() int { return p.here + len(p.add) }

// planParts compares the lists. unsure says that what the destination has is of a
// sync that was cut off, so that its files may be gone again. Errors: errHeld for a
// conflict that was left.
func (s *syncer) planParts(ctx context.Context, p *parts, unsure bool) error {
	if p.there == 0 {
		return nil
	}
	common := min(p.there, p.here)
	same, err := s.samePart(ctx, p.series, common)
	if err != nil {
		return err
	}
	if same {
		p.add, err = s.readParts(ctx, s.src, p.series, common+1, p.there)
	} else {
		err = s.planDiverged(ctx, p)
	}
	if err != nil {
		return err
	}
	need := p.add
	if unsure && common > 0 {
		if need, err = s.readParts(ctx, s.src, p.series, 1, p.there); err != nil {
			return err
		}
	}
	for _, part := range slices.Backward(need) {
		if part.Value.Manifest != "" {
			p.need = append(p.need, part.Value.Manifest)
		}
		if part.Value.Whole { // what only earlier ones name may be gone
			break
		}
	}
	return nil
}

// countedParts gives the lists of an owner with the numbers of their parts.
func (s *syncer) countedParts(ctx context.Context, kind, owner string, series core.Series) (*parts, error) {
	p := &parts{kind: kind, owner: owner, series: series}
	var err error
	if p.there, err = countParts(ctx, s.src, series.Prefix); err != nil {
		return nil, err
	}
	p.here, err = countParts(ctx, s.dst, series.Prefix)
	return p, err
}

// countParts counts the parts of a list.
func countParts(ctx context.Context, h core.Handle, prefix string) (n int, err error) {
	for _, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: prefix}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// samePart tells whether both lists have the same part of this number, and so the
// same ones before it: a list is brought over in order.
func (s *syncer) samePart(ctx context.Context, series core.Series, n int) (bool, error) {
	if n == 0 {
		return true, nil
	}
	theirs, err := s.readParts(ctx, s.src, series, n, n)
	if err != nil {
		return false, err
	}
	mine, err := s.readParts(ctx, s.dst, series, n, n)
	return err == nil && theirs[0].Value.Token == mine[0].Value.Token, err
}

// readParts reads the parts from one number to another.
func (s *syncer) readParts(ctx context.Context, h core.Handle, series core.Series, from, to int) (list []core.Stored[record.Files], err error) {
	for n := from; n <= to; n++ {
		part, err := core.Get[record.Files](ctx, h, series.Key(n))
		if errors.Is(err, azml.ErrNotFound) {
			err = fmt.Errorf("%w: part %d of the list of files is missing", azml.ErrDamaged, n)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, part)
	}
	return list, nil
}

// planDiverged plans for lists that were both added to: the source's parts come
// behind the destination's, unless the two say something of one path. Parts that
// list all files anew say nothing, and stay where they are: behind others they
// would hide what these have added.
func (s *syncer) planDiverged(ctx context.Context, p *parts) error {
	theirs, err := s.readParts(ctx, s.src, p.series, 1, p.there)
	if err != nil {
		return err
	}
	mine, err := s.readParts(ctx, s.dst, p.series, 1, p.here)
	if err != nil {
		return err
	}
	p.add = saying(without(theirs, mine))
	if len(p.add) == 0 {
		return nil
	}
	path, clash := clashing(p.add, saying(without(mine, theirs)))
	if !clash {
		return nil
	}
	c := Conflict{Kind: p.kind, Name: p.owner, Reason: fmt.Sprintf("files were added or removed in both workspaces, such as %q", path),
		Source: partSide(p.add), Destination: partSide(mine)}
	choice := s.resolve(c)
	if choice != Source {
		p.add = nil
	}
	if choice == Both {
		choice = Leave
	}
	s.decided(c, choice)
	if choice == Leave {
		return fmt.Errorf("%w: the files of %s", errHeld, p.owner)
	}
	return nil
}

// without gives the parts that are not among others.
func without(list, others []core.Stored[record.Files]) []core.Stored[record.Files] {
	return slices.DeleteFunc(slices.Clone(list), func(part core.Stored[record.Files]) bool {
		return slices.ContainsFunc(others, func(other core.Stored[record.Files]) bool { return other.Value.Token == part.Value.Token })
	})
}

// saying gives the parts that add or remove something.
func saying(list []core.Stored[record.Files]) []core.Stored[record.Files] {
	return slices.DeleteFunc(list, func(part core.Stored[record.Files]) bool { return part.Value.Whole })
}

// among gives the parts that are among others.
func among(list, others []core.Stored[record.Files]) []core.Stored[record.Files] {
	return without(list, without(list, others))
}

// clashing gives a path of which both lists say something.
func clashing(a, b []core.Stored[record.Files]) (string, bool) {
	for _, mine := range pathsOf(a) {
		for _, other := range pathsOf(b) {
			if history.Below(mine, other) || history.Below(other, mine) {
				return mine, true
			}
		}
	}
	return "", false
}

func pathsOf(list []core.Stored[record.Files]) (paths []string) {
	for _, part := range list {
		paths = append(append(paths, part.Value.Paths...), part.Value.Removed...)
	}
	return paths
}

func partSide(list []core.Stored[record.Files]) Side {
	last := list[len(list)-1].Value
	return Side{Created: last.Created, CreatedBy: last.CreatedBy, Modified: last.Modified, Detail: strings.Join(firstFew(pathsOf(list)), ", ")}
}

func firstFew(names []string) []string { return names[:min(len(names), 3)] }

// addParts adds the parts whose files are there by now. When others have added some
// meanwhile, it adds those that are still lacking.
func (s *syncer) addParts(ctx context.Context, p *parts) error {
	for range tries {
		err := s.addPartsOnce(ctx, p)
		if !errors.Is(err, azml.ErrExists) {
			return err
		}
		now, err := s.countedParts(ctx, p.kind, p.owner, p.series)
		if err == nil {
			err = s.planParts(ctx, now, false)
		}
		if err != nil {
			return err
		}
		now.add = among(now.add, p.add)
		*p = *now
	}
	return fmt.Errorf("%w: files were added to %s again and again", azml.ErrConflict, p.owner)
}

func (s *syncer) addPartsOnce(ctx context.Context, p *parts) error {
	if s.opts.DryRun {
		return nil
	}
	for i, part := range p.add {
		if err := copyFixed(ctx, s, p.series.Key(p.here+1+i), part); err != nil {
			return err
		}
	}
	return nil
}
