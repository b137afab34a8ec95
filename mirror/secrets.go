package mirror

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
)

// ownSecret tells the secrets of one place by their names: credentials of datastores and
// compute targets, keys of endpoints.
var ownSecret = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^((datastore|compute)-[0-9a-f]{16}|endpoint-.+-(primary|secondary))$`)
})

// secrets lists the secrets that the destination lacks, or brings them when that is asked
// for. Without that it is no error that they can't be listed: who may sync need not be
// allowed to see secrets.
func (s *syncer) secrets(ctx context.Context) error {
	missing, err := s.missingSecrets(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.opts.Secrets:
		return errors.Join(err, each(ctx, missing, s.bringSecret))
	case err != nil:
		s.note(func(r *Report) { r.SecretsUnknown = err.Error() })
	}
	s.note(func(r *Report) { r.MissingSecrets = missing })
	return nil
}

// missingSecrets gives the names of the secrets that the destination lacks.
func (s *syncer) missingSecrets(ctx context.Context) (missing []string, err error) {
	theirs, err := secretNames(ctx, s.src)
	if err != nil {
		return nil, s.ofSource(err)
	}
	mine, err := secretNames(ctx, s.dst)
	if err != nil {
		return nil, s.ofDestination(err)
	}
	for _, folded := range slices.Sorted(maps.Keys(theirs)) {
		if ownSecret().MatchString(folded) {
			continue
		}
		if _, there := mine[folded]; !there {
			missing = append(missing, theirs[folded])
		} else if s.opts.Secrets {
			s.note(func(r *Report) { r.Secrets.Unchanged++ })
		}
	}
	return missing, nil
}

// secretNames gives the names of a workspace's secrets by themselves in small
// letters, as they are compared. A workspace without a store has none.
func secretNames(ctx context.Context, h core.Handle) (map[string]string, error) {
	names := map[string]string{}
	for name, err := range h.Secrets().List(ctx) {
		switch {
		case errors.Is(err, azml.ErrUnsupported):
			return nil, nil
		case err != nil:
			return nil, err
		}
		names[strings.ToLower(name)] = name
	}
	return names, nil
}

// bringSecret brings a secret, unless somebody has set it in the destination meanwhile. One
// that is not handed out, such as a disabled one, is listed.
func (s *syncer) bringSecret(ctx context.Context, name string) error {
	value, err := s.src.Secrets().Get(ctx, name)
	switch {
	case errors.Is(err, azml.ErrNotFound): // it was deleted meanwhile
		return nil
	case errors.Is(err, azml.ErrDenied) || damage(err):
		s.damaged("secret", name, err)
		return nil
	case err != nil:
		return s.ofSource(err)
	}
	return s.ofDestination(s.setSecret(ctx, name, value))
}

// setSecret sets a secret in the destination, unless it is there by now.
func (s *syncer) setSecret(ctx context.Context, name, value string) error {
	_, err := s.dst.Secrets().Get(ctx, name)
	if !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	if !s.opts.DryRun {
		err = s.dst.Audit(ctx, "set", core.Ref{Kind: "secret", Name: name}, s.origin(), func() error {
			return s.dst.Secrets().Set(ctx, name, value)
		})
		if err != nil {
			return err
		}
	}
	s.note(func(r *Report) { r.Secrets.Created++ })
	return nil
}
