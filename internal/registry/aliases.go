package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// maxAliases bounds the aliases of a model.
const maxAliases = 1000

// versionAlias is what an alias must not look like.
var versionAlias = regexp.MustCompile(`^[vV]\d+$`)

// CheckAlias checks an alias that is to be set. Errors: ErrInvalid.
func CheckAlias(alias string) error {
	if err := core.ModelAlias.Check(alias); err != nil {
		return err
	}
	if strings.EqualFold(alias, "latest") || versionAlias.MatchString(alias) {
		return fmt.Errorf("%w: alias %q is reserved: choose one that is no version", azml.ErrInvalid, alias)
	}
	return nil
}

// SetAlias points the alias to a version of the model of that name, wherever it
// pointed before. Errors: ErrInvalid, ErrNotFound.
func SetAlias(ctx context.Context, h core.Handle, name, alias string, n int) error {
	if err := CheckAlias(alias); err != nil {
		return err
	}
	version, err := Version(ctx, h, name, n)
	if err != nil {
		return err
	}
	name = version.Value.Name
	_, err = Update(ctx, h, name, core.Updated(fmt.Sprintf("alias %s of version %d", alias, n)), func(m *record.RegisteredModel) error {
		if m.Aliases[alias] == n {
			return core.ErrNoChange
		}
		aliases := maps.Clone(m.Aliases)
		if aliases == nil {
			aliases = map[string]int{}
		}
		if aliases[alias] = n; len(aliases) > maxAliases {
			return fmt.Errorf("%w: it has %d aliases already", azml.ErrInvalid, maxAliases)
		}
		m.Aliases = aliases
		return nil
	})
	if err != nil {
		return err
	}
	// Who deletes the version looks for its aliases after its record says so,
	// and we look at that after the alias is there: one of the two sees the other.
	if _, err := Version(ctx, h, name, n); err != nil {
		return errors.Join(err, dropAliases(ctx, h, name, n))
	}
	return nil
}

// DeleteAlias takes an alias away; one that is not there is passed over. name
// is the model's own and no later one. Errors: ErrNotFound when there is no such
// model.
func DeleteAlias(ctx context.Context, h core.Handle, name, alias string) error {
	_, err := Update(ctx, h, name, core.Updated("alias "+alias+" deleted"), func(m *record.RegisteredModel) error {
		if _, there := m.Aliases[alias]; !there {
			return core.ErrNoChange
		}
		m.Aliases = maps.Clone(m.Aliases)
		delete(m.Aliases, alias)
		return nil
	})
	return err
}

// dropAliases takes all aliases of a version away, and makes the model show that
// the version has changed.
func dropAliases(ctx context.Context, h core.Handle, name string, n int) error {
	var had int
	of := func(_ string, version int) bool { return version == n }
	stored, err := Update(ctx, h, name, core.Updated(fmt.Sprintf("version %d deleted", n)), func(m *record.RegisteredModel) error {
		had = len(m.Aliases)
		m.Aliases = maps.Clone(m.Aliases)
		if maps.DeleteFunc(m.Aliases, of); len(m.Aliases) == had {
			return core.ErrNoChange
		}
		return nil
	})
	if err == nil && len(stored.Value.Aliases) == had { // what changes nothing else has no line
		_, err = Update(ctx, h, name, core.Quiet, func(*record.RegisteredModel) error { return nil })
	}
	if errors.Is(err, azml.ErrNotFound) { // the model is deleted with all its versions
		return nil
	}
	return err
}

// ByAlias reads the version of the model of that name that the alias points to.
// Errors: ErrNotFound, ErrInvalid.
func ByAlias(ctx context.Context, h core.Handle, name, alias string) (core.Stored[record.Model], error) {
	var none core.Stored[record.Model]
	if err := core.ModelAlias.Check(alias); err != nil {
		return none, err
	}
	m, err := Find(ctx, h, name)
	if err != nil {
		return none, err
	}
	n, there := m.Value.Aliases[alias]
	if !there {
		return none, fmt.Errorf("%w: it has no alias %q", azml.ErrNotFound, alias)
	}
	return Version(ctx, h, m.Value.Name, n)
}
