package backendtest

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func secretsGroups() []group[SecretsHarness] {
	return []group[SecretsHarness]{
		{"values", []check[SecretsHarness]{{"round trip", checkSecretValues}, {"replace", checkSecretReplace}, {"not there", checkSecretNotThere}}},
		{"names", []check[SecretsHarness]{{"case", checkSecretCase}, {"all legal ones", checkSecretNames}}},
		{"list", []check[SecretsHarness]{{"order", checkSecretOrder}}},
		{"cancellation", []check[SecretsHarness]{{"before the call", checkSecretCancel}}},
		{"concurrency", []check[SecretsHarness]{{"whole values only", checkSecretConcurrency}}},
		{"reopen", []check[SecretsHarness]{{"same secrets", checkSecretReopen}}},
	}
}

// vault is a secret store whose calls must succeed.
type vault struct {
	TB
	backend.Secrets
}

func (v vault) set(name, value string) {
	v.Helper()
	require.NoError(v, v.Set(v.Context(), name, value))
}

func (v vault) requireValue(name, want string) {
	v.Helper()
	got, err := v.Get(v.Context(), name)
	require.NoError(v, err)
	require.Equal(v, want, got)
}

func (v vault) names() []string {
	v.Helper()
	return collect(v, v.List(v.Context()))
}

func checkSecretValues(t TB, h SecretsHarness) {
	v := vault{t, h.Secrets}
	values := []string{"", "plain", " spaces ", "line\nline\r\n", "é日😀", "\x00\x01\xff\xfe", `{"json":"\""}`, strings.Repeat("x", 25_000)}
	for i, value := range values {
		v.set(fmt.Sprintf("s%d", i), value)
	}
	for i, value := range values {
		v.requireValue(fmt.Sprintf("s%d", i), value)
	}
}

func checkSecretReplace(t TB, h SecretsHarness) {
	v := vault{t, h.Secrets}
	for _, value := range []string{"long value", "x", "", "again"} {
		v.set("a", value)
		v.requireValue("a", value)
	}
	require.NoError(t, v.Delete(t.Context(), "a"))
	v.set("a", "after deletion")
	v.requireValue("a", "after deletion")
}

func checkSecretNotThere(t TB, h SecretsHarness) {
	v := vault{t, h.Secrets}
	v.set("there", "x")
	_, err := v.Get(t.Context(), "missing")
	require.ErrorIs(t, err, azml.ErrNotFound)
	requireGone(t, v.Delete(t.Context(), "missing"), h.Retried)
	require.NoError(t, v.Delete(t.Context(), "there"))
	_, err = v.Get(t.Context(), "there")
	require.ErrorIs(t, err, azml.ErrNotFound)
	requireGone(t, v.Delete(t.Context(), "there"), h.Retried)
	require.Empty(t, v.names())
}

func checkSecretCase(t TB, h SecretsHarness) {
	v := vault{t, h.Secrets}
	v.set("Churn-Key1", "1")
	v.set("churn-KEY1", "2")
	v.requireValue("CHURN-KEY1", "2")
	require.Equal(t, []string{"Churn-Key1"}, v.names(), "the spelling of the first Set")
	require.NoError(t, v.Delete(t.Context(), "churn-key1"))
	v.set("churn-Key1", "3")
	require.Equal(t, []string{"churn-Key1"}, v.names(), "the spelling of the first Set after deletion")
}

func checkSecretNames(t TB, h SecretsHarness) {
	v := vault{t, h.Secrets}
	size := cmp.Or(h.MaxNameLen, 127)
	names := []string{"-", "0", "9z", "aux", "con", strings.Repeat("n", size), strings.Repeat("z-", size)[:size]}
	for _, name := range names {
		v.set(name, "value of "+name)
	}
	require.Equal(t, names, v.names())
	for _, name := range names {
		v.requireValue(name, "value of "+name)
	}
}

func checkSecretOrder(t TB, h SecretsHarness) {
	v := vault{t, h.Secrets}
	for _, name := range []string{"b", "C", "a-b", "A", "a0", "D"} {
		v.set(name, name)
	}
	want := []string{"A", "a-b", "a0", "b", "C", "D"}
	require.Equal(t, want, v.names())
	list := v.List(t.Context())
	for name, err := range list {
		require.NoError(t, err)
		require.Equal(t, "A", name)
		break
	}
	require.Equal(t, want, collect(t, list), "ranged again")
}

func checkSecretCancel(t TB, h SecretsHarness) {
	v := vault{t, h.Secrets}
	v.set("a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, v.Set(ctx, "a", "2"), context.Canceled, "Set")
	_, err := v.Get(ctx, "a")
	require.ErrorIs(t, err, context.Canceled, "Get")
	require.ErrorIs(t, v.Delete(ctx, "a"), context.Canceled, "Delete")
	require.ErrorIs(t, lastError(v.List(ctx)), context.Canceled, "List")
	v.requireValue("a", "1")
}

func checkSecretConcurrency(t TB, h SecretsHarness) {
	v := vault{t, h.Secrets}
	v.set("shared", strings.Repeat("a", 100))
	together(8, func(i int) {
		own := fmt.Sprintf("own-%d", i)
		for range 5 {
			noError(t, v.Set(t.Context(), own, own))
			noError(t, v.Set(t.Context(), "shared", strings.Repeat(string(rune('a'+i)), 100*(i+1))))
			got, err := v.Get(t.Context(), "shared")
			if noError(t, err) && (len(got) == 0 || strings.Count(got, got[:1]) != len(got) || len(got) != 100*int(got[0]-'a'+1)) {
				t.Errorf("read a mixture of %d bytes", len(got))
			}
		}
	})
	require.Len(t, v.names(), 9)
}

func checkSecretReopen(t TB, h SecretsHarness) {
	if h.Reopen == nil {
		t.Logf("this store does not outlive its value")
		return
	}
	first := vault{t, h.Secrets}
	first.set("A-key", "1")
	reopened, err := h.Reopen()
	require.NoError(t, err)
	second := vault{t, reopened}
	second.requireValue("a-key", "1")
	require.Equal(t, []string{"A-key"}, second.names())
	second.set("a-key", "2")
	first.requireValue("a-key", "2")
	require.NoError(t, second.Delete(t.Context(), "a-key"))
	require.Empty(t, first.names())
}
