package mirror

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

const environmentKind = "environment"

func environmentRef(name, version string) core.Ref {
	return core.Ref{Kind: environmentKind, Name: name + ":" + version, Key: environmentUnits + name + "/" + version + ".json"}
}

// allEnvironments brings all versions of environments.
func (s *syncer) allEnvironments(ctx context.Context, names []string) error {
	return each(ctx, names, func(ctx context.Context, name string) error {
		whole := true
		for key, err := range s.src.Children(ctx, environmentUnits+name+"/") {
			if err != nil {
				return err
			}
			version := strings.TrimSuffix(key, ".json")
			_, err := s.environment(ctx, name, version)
			switch {
			case damage(err):
				s.damaged(environmentKind, name+":"+version, err)
				whole = false
			case err != nil:
				return err
			}
		}
		if whole {
			s.settle(environmentUnits + name)
		}
		return nil
	})
}

// environment brings a version of an environment and gives the version that has
// its content in the destination. Errors: ErrDamaged when the source has none.
func (s *syncer) environment(ctx context.Context, name, version string) (string, error) {
	ref := environmentRef(name, version)
	s.mu.Lock()
	known, ok := s.environments[ref.Name]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	from, err := core.Get[record.Environment](ctx, s.src, ref.Key)
	if errors.Is(err, azml.ErrNotFound) {
		err = errGone(ref)
	}
	if err != nil {
		return "", err
	}
	if err := s.bringBuildContext(ctx, from.Value); err != nil {
		return "", err
	}
	to, err := s.placeEnvironment(ctx, from)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, double := s.environments[ref.Name]; !double && to != version {
		s.renumbered(environmentKind, name, version, to)
	}
	s.environments[ref.Name] = to
	return to, nil
}

// bringBuildContext brings the files of an environment's build context, which come
// before its record. Errors: ErrDamaged when the source can't give them.
func (s *syncer) bringBuildContext(ctx context.Context, env record.Environment) error {
	from := env.Docker.BuildContext
	if from == nil {
		return nil
	}
	ids := []string{from.Files}
	c, err := s.bringContents(ctx, ids)
	if err != nil {
		return err
	}
	return c.check(ids)
}

// placeEnvironment finds the version with the content, or makes one: of the same
// number where that is free.
func (s *syncer) placeEnvironment(ctx context.Context, from core.Stored[record.Environment]) (string, error) {
	name, version := from.Value.Name, from.Value.Version
	for next := 0; ; {
		there, err := core.Get[record.Environment](ctx, s.dst, environmentRef(name, version).Key)
		if errors.Is(err, azml.ErrNotFound) {
			err = s.makeEnvironment(ctx, from, version)
			if errors.Is(err, azml.ErrExists) {
				continue
			}
			return version, err
		}
		if err != nil {
			return "", err
		}
		if environment.SameContent(there.Value, from.Value) {
			return version, nil
		}
		if next == 0 {
			found, highest, err := s.findEnvironment(ctx, from.Value)
			if err != nil || found != "" {
				return found, err
			}
			next = highest
		}
		next++
		version = strconv.Itoa(next)
	}
}

// makeEnvironment stores the environment as a version of the destination.
func (s *syncer) makeEnvironment(ctx context.Context, from core.Stored[record.Environment], version string) error {
	return create(ctx, s, from, subject[record.Environment]{ref: environmentRef(from.Value.Name, version),
		localize: func(rec, _ *record.Environment) { rec.Version = version }})
}

// findEnvironment looks for the content among the versions that the destination
// has, and for the highest number of one.
func (s *syncer) findEnvironment(ctx context.Context, wanted record.Environment) (version string, highest int, err error) {
	for key, err := range s.dst.Children(ctx, environmentUnits+wanted.Name+"/") {
		if err != nil {
			return "", 0, err
		}
		version := strings.TrimSuffix(key, ".json")
		if n, err := strconv.ParseUint(version, 10, 31); err == nil {
			highest = max(highest, int(n))
		}
		there, err := core.Get[record.Environment](ctx, s.dst, environmentRef(wanted.Name, version).Key)
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return "", 0, err
		}
		if err == nil && environment.SameContent(there.Value, wanted) {
			return version, highest, nil
		}
	}
	return "", highest, nil
}
