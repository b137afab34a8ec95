package run

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/mask"
)

// Secret gives the value of a secret of the workspace, for use within the run.
// From then on it is masked in the error and the reason with which this object
// ends the run. A submitted script gets its secrets otherwise, see
// experiment.ScriptRunConfig.Secrets. Errors: ErrInvalid, ErrNotFound, ErrDenied.
func (r *Run) Secret(ctx context.Context, name string) (_ string, err error) {
	defer r.h.Operation(&ctx, &err, "get", "secret", name)()
	values, err := r.secrets(ctx, name)
	if err != nil {
		return "", err
	}
	value, ok := values[name]
	if !ok {
		return "", fmt.Errorf("%w: set it with `azml secret set %s`", azml.ErrNotFound, name)
	}
	return value, nil
}

// Secrets gives the values of the secrets that are there, by their names as they
// are given, as Secret does; the others are missing. The requests go out several
// at once. Errors: ErrInvalid, ErrDenied.
func (r *Run) Secrets(ctx context.Context, names ...string) (_ map[string]string, err error) {
	defer r.h.Operation(&ctx, &err, "get", "secret", strings.Join(names, ", "))()
	return r.secrets(ctx, names...)
}

func (r *Run) secrets(ctx context.Context, names ...string) (map[string]string, error) {
	values, err := core.SecretValues(ctx, r.h, names)
	r.hidden.add(slices.Collect(maps.Values(values)))
	return values, err
}

// hidden are values that must not be stored. It is safe for concurrent use.
type hidden struct {
	mu     sync.Mutex
	values []string
}

func (h *hidden) add(values []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values = append(h.values, values...)
}

// text gives the text with the values masked.
func (h *hidden) text(text string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return mask.New(h.values...).Text(text)
}
