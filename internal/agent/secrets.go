package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/mask"
)

// readSecrets reads the secrets that the run's definition allows its script, all
// before the script starts: so what is masked is the same from the first byte of
// its output to the last, whoever stores it.
func (d *drive) readSecrets(ctx context.Context) error {
	if d.run.Definition == nil || len(d.run.Definition.Secrets) == 0 {
		return nil
	}
	names := d.run.Definition.Secrets
	values, err := core.SecretValues(ctx, d.h, names)
	if err != nil {
		return err
	}
	d.secrets = map[string]string{}
	for _, name := range names {
		value, ok := values[name]
		if !ok {
			return fmt.Errorf("%w: secret %q: set it with `azml secret set %s`", azml.ErrNotFound, name, name)
		}
		d.secrets[strings.ToLower(name)] = value
	}
	d.hidden = mask.New(slices.Collect(maps.Values(d.secrets))...)
	return nil
}

// parse reads a line of the metrics file without the secrets in its strings.
func (d *drive) parse(text []byte) (line, error) {
	l, err := parseLine(d.hidden.JSON(text))
	if err != nil && d.hidden != nil {
		// The error shows the line, which is none of JSON.
		return parseLine([]byte(d.hidden.Text(string(text))))
	}
	return l, err
}
