package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/workspace"
)

// everywhere are names that no kind of thing may have.
var everywhere = []string{"", " ", "a b", "a/b", `a\b`, "../a", ".", "..", "-ab", "a\x00b", "a\nb", "ab\n", "ä", "a:b", "a%b", strings.Repeat("a", 300)}

func TestIllegalNames(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	kinds := []struct {
		kind  string
		use   func(ctx context.Context, name string) error
		empty bool // means a default
		more  []string
	}{
		{"workspace", func(ctx context.Context, name string) error {
			_, err := workspace.Create(ctx, workspace.Config{Name: name, Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
			return err
		}, false, []string{"ab", strings.Repeat("a", 34), "_ab", "a.b"}},
		{"experiment", func(ctx context.Context, name string) error {
			_, err := d.ws.Experiments().CreateOrUpdate(ctx, name, nil)
			return err
		}, false, []string{"_a", "a.b", strings.Repeat("a", 256)}},
		{"run", func(ctx context.Context, name string) error {
			_, err := d.exp.StartLogging(ctx, &experiment.RunOptions{RunID: name})
			return err
		}, true, []string{"_a", "a.b", strings.Repeat("a", 257)}},
		{"model", func(ctx context.Context, name string) error {
			_, err := d.ws.Models().Register(ctx, name, d.source, nil)
			return err
		}, false, []string{"_a", ".a", strings.Repeat("a", 256)}},
		{"environment", func(ctx context.Context, name string) error {
			_, err := d.ws.Environments().Register(ctx, environment.Spec{Name: name, Variables: map[string]string{"A": name}}, nil)
			return err
		}, true, []string{"_a", ".a", strings.Repeat("a", 256), "AzureML-x", "Microsoft"}},
		{"compute target", func(ctx context.Context, name string) error {
			_, err := d.ws.Compute().Get(ctx, name, nil)
			return err
		}, true, []string{"1a", "a", "a_b", strings.Repeat("a", 17)}},
		{"endpoint", func(ctx context.Context, name string) error {
			_, err := d.ws.Endpoints().Deploy(ctx, name, endpoint.Config{Handler: double}, nil)
			return err
		}, false, []string{"ab", "Abc", "1ab", "ab-", "a_b", "a.b", strings.Repeat("a", 33)}},
		{"secret", func(ctx context.Context, name string) error { return d.ws.Secrets().Set(ctx, name, "x") }, false, []string{"a_b", "a.b", strings.Repeat("a", 128)}},
	}
	before := d.keys(t)
	for _, k := range kinds {
		t.Run(k.kind, func(t *testing.T) {
			for _, name := range append(k.more, everywhere...) {
				if name == "" && k.empty || name == "-ab" && k.kind == "secret" {
					continue
				}
				err := k.use(t.Context(), name)
				require.ErrorIs(t, err, azml.ErrInvalid, "name %q", name)
				require.Contains(t, err.Error(), k.kind, "the text says what has the name %q", name)
				require.Less(t, len(err.Error()), 1000, "the text is short")
			}
		})
	}
	require.Equal(t, before, d.keys(t), "nothing was changed")
}
