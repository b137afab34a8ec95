package experiment

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
)

// secretsPath is where a script finds its secrets, each below it by its name.
const secretsPath = "/azml/secrets/" //nolint:gosec // a path, and no secret

// giveSecrets answers with values by lower-case name, and leaves other paths to
// rest. It knows those alone that were allowed when the run was submitted.
func giveSecrets(values map[string]string, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, secretsPath)
		if !ok {
			rest.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		value, ok := values[strings.ToLower(name)]
		if !ok {
			http.Error(w, fmt.Sprintf("The run was not given a secret %q: name it when the run is submitted (--secret, ScriptRunConfig.Secrets).", name), http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, value) // a script that left needs it no more
	})
}

// checkSecrets tells which secrets that a script is to have are not there or may
// not be read.
func (e *Experiment) checkSecrets(ctx context.Context, names []string) error {
	values, err := core.SecretValues(ctx, e.h, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := values[name]; !ok {
			return fmt.Errorf("%w: secret %q: set it with `azml secret set %s`", azml.ErrNotFound, name, name)
		}
	}
	return nil
}
