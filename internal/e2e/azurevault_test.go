package e2e

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/backend/keyvault/keyvaulttest"
	"github.com/azml-go/azml/internal/faultproxy"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// TestAzureWithVault has blobs behind a proxy that goes wrong and secrets in a key
// vault: runs get their secret, and nothing of them or of what they register is
// lost or there twice.
func TestAzureWithVault(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	plan := faultproxy.Plan{Seed: rand.Uint64(), Delay: 0.03, Duplicate: 0.1, Truncate: 0.03, Reset: 0.05, MaxDelay: 10 * time.Millisecond}
	t.Logf("seed %d", plan.Seed)
	p := newPlace(t)
	p.Connection, p.Blobs = behind(t, server, plan), "vaulted"
	v := keyvaulttest.Start(nil)
	t.Cleanup(v.Close)
	config, err := p.config()
	require.NoError(t, err)
	config.Secrets, err = keyvault.New(v.URL(), v.Credential(), &keyvault.Options{Client: v.ClientOptions()})
	require.NoError(t, err)
	config.Vault = v.URL()
	require.NoError(t, config.Objects.(*azureblob.Store).Prepare(ctx))
	ws, err := workspace.Create(ctx, config)
	require.NoError(t, err)
	t.Cleanup(func() { closeAll(t, ws) })
	require.Equal(t, v.URL(), ws.Details().Vault)
	require.NoError(t, ws.Secrets().Set(ctx, "db-password", password))
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "vaulted", nil)
	require.NoError(t, err)
	const runs, points = 3, 20
	for range runs {
		r, err := exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
			value, err := r.Secret(ctx, "db-password")
			if err != nil {
				return err
			}
			for step := range points {
				if err := r.Log("length", len(value)+step, nil); err != nil {
					return err
				}
			}
			return r.Upload(ctx, "outputs/model.txt", strings.NewReader("weights"), nil)
		}, nil)
		require.NoError(t, err)
		_, err = r.RegisterModel(ctx, "churn", "outputs/model.txt", nil)
		require.NoError(t, err)
		sums, err := r.Summaries(ctx)
		require.NoError(t, err)
		require.EqualValues(t, points, sums["length"].Count)
	}
	seen := 0
	for r, err := range ws.Runs().List(ctx, nil) {
		require.NoError(t, err)
		require.Equal(t, run.StatusCompleted, r.Status())
		seen++
	}
	require.Equal(t, runs, seen)
	versions := map[int]bool{}
	for m, err := range ws.Models().List(ctx, nil) {
		require.NoError(t, err)
		versions[m.Version()] = true
	}
	require.Equal(t, map[int]bool{1: true, 2: true, 3: true}, versions)
	clean(t, ws)
	nowhere(t, password, p.Cache)
}
