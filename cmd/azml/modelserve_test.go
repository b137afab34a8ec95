package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/endpoint"
)

func TestEndpointOf(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"churn": "churn", "churn:7": "churn", "Churn_Model@champion": "churn-model", "7wonders": "wonders", "x": "model-x", "42": "model",
		"a-very-long-name-of-a-model-that-is-cut": "a-very-long-name-of-a-model-that", "a-very-long-name-of-a-model----x-y": "a-very-long-name-of-a-model----x", "é": "model",
	} {
		require.Equal(t, want, endpointOf(id), id)
	}
}

func TestModelServeRefuses(t *testing.T) {
	t.Parallel()
	s := setup(t)
	path := filepath.Join(t.TempDir(), "m.txt")
	require.NoError(t, os.WriteFile(path, []byte("weights"), 0o600))
	s.ok(t, "model", "register", "--name", "plain", "--path", path)
	require.Contains(t, s.fails(t, 1, "model", "serve", "plain"), "needs a scoring script")
	s.ok(t, "endpoint", "create", "plain")
	for _, args := range [][]string{{"plain", "--auth", "none"}, {"plain:1", "--endpoint", "plain"}} {
		require.Regexp(t, `already exists.*--endpoint.*--overwrite`, s.fails(t, 1, append([]string{"model", "serve"}, args...)...), "it may be in production")
	}
	require.Contains(t, s.fails(t, 1, "model", "serve", "plain", "--overwrite"), "needs a scoring script")
}

func TestEndpointUpdate(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.ok(t, "endpoint", "create", "svc", "--auth", "token", "--cors-origin", "https://a.example", "--description", "hello", "--tag", "a=b")
	s.fails(t, exitUsage, "endpoint", "update", "svc")
	s.ok(t, "endpoint", "update", "svc", "--max-body", "1000000", "--tag", "c=d", "--remove-tag", "a")
	var d endpoint.Details
	s.json(t, &d, "endpoint", "show", "svc")
	require.Equal(t, []any{endpoint.AuthToken, []string{"https://a.example"}, "hello", int64(1e6), map[string]string{"c": "d"}},
		[]any{d.Auth, d.CORSOrigins, d.Description, d.MaxBody, d.Tags})
	s.ok(t, "endpoint", "update", "svc", "--cors-origin", "none", "--description", "")
	d = endpoint.Details{}
	s.json(t, &d, "endpoint", "show", "svc")
	require.Empty(t, d.CORSOrigins)
	require.Empty(t, d.Description)
}
