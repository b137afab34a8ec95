package compute_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
)

func names(t *testing.T, c *compute.Client) []string {
	t.Helper()
	var list []string
	for target, err := range c.List(t.Context(), nil) {
		require.NoError(t, err)
		list = append(list, target.Name())
	}
	return list
}

func TestLocalIsAlwaysThere(t *testing.T) {
	t.Parallel()
	targets := open(t).Compute()
	target, err := targets.Get(t.Context(), compute.LocalName, nil)
	require.NoError(t, err)
	require.Equal(t, compute.TypeLocal, target.Type())
	d := target.Details()
	require.Equal(t, compute.StateSucceeded, d.ProvisioningState)
	require.True(t, d.IsAttached)
	require.True(t, d.Created.IsZero())
	require.ErrorIs(t, targets.Delete(t.Context(), compute.LocalName, nil), azml.ErrInvalid)
	require.Equal(t, []string{"local"}, names(t, targets))
}

func TestTargets(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	targets := open(t).Compute()
	made, err := targets.Create(ctx, "box-2", compute.Local{}, &compute.CreateOptions{Description: "under the desk", Tags: map[string]string{"gpu": "1"}})
	require.NoError(t, err)
	got, err := targets.Get(ctx, "box-2", nil)
	require.NoError(t, err)
	require.Equal(t, made.Details(), got.Details())
	require.Equal(t, "1", got.Details().Tags["gpu"])
	_, err = targets.Create(ctx, "box-1", compute.Local{}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"local", "box-1", "box-2"}, names(t, targets))
	_, err = targets.Create(ctx, "box-2", compute.Local{}, nil)
	require.ErrorIs(t, err, azml.ErrExists)
	require.NoError(t, targets.Delete(ctx, "box-2", nil))
	require.ErrorIs(t, targets.Delete(ctx, "box-2", nil), azml.ErrNotFound)
	_, err = targets.Get(ctx, "box-2", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.Equal(t, []string{"local", "box-1"}, names(t, targets))
}

func TestTargetsThatAreRefused(t *testing.T) {
	t.Parallel()
	targets := open(t).Compute()
	for _, name := range []string{"", "a", "1a", "a_b", "local", "Local", "amlcompute", "containerinstance", strings.Repeat("a", 17)} {
		_, err := targets.Create(t.Context(), name, compute.Local{}, nil)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
	_, err := targets.Create(t.Context(), "box", nil, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	for name, opts := range map[string]compute.CreateOptions{"tags": {Tags: map[string]string{"": ""}}, "description": {Description: "\xff"}} {
		_, err := targets.Create(t.Context(), "box", compute.Local{}, &opts)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
	_, err = targets.Get(t.Context(), "../x", nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorIs(t, targets.Delete(t.Context(), "../x", nil), azml.ErrInvalid)
	require.Equal(t, []string{"local"}, names(t, targets))
}
