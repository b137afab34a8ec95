package model_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/model"
)

func registeredNames(t *testing.T, c *model.Client, opts *model.ListRegisteredOptions) []string {
	t.Helper()
	names := []string{}
	for m, err := range c.ListRegistered(t.Context(), opts) {
		require.NoError(t, err)
		names = append(names, m.Name())
	}
	return names
}

func TestRegistered(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	models := open(t).Models()
	_, err := models.GetRegistered(ctx, "m", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, `get registered model "m": not found`)
	register(t, models, "m", nil)
	m, err := models.GetRegistered(ctx, "m", nil)
	require.NoError(t, err, "registering a version makes the model")
	before := m.Details()
	require.False(t, before.Created.IsZero())

	empty, err := models.CreateRegistered(ctx, "m.json", &model.CreateRegisteredOptions{Description: "none yet", Tags: map[string]string{"team": "risk"}})
	require.NoError(t, err)
	require.Equal(t, "none yet", empty.Details().Description)
	_, err = models.CreateRegistered(ctx, "m", nil)
	require.ErrorIs(t, err, azml.ErrExists)
	require.Equal(t, []string{"m", "m.json"}, registeredNames(t, models, nil))
	require.Equal(t, []string{"m.json"}, registeredNames(t, models, &model.ListRegisteredOptions{Tags: map[string]string{"team": ""}}))
	require.Equal(t, []string{"m:1"}, ids(t, models, nil), "a model without versions is in no list of versions")

	changed, err := m.Update(ctx, model.RegisteredUpdate{Description: new("text"), SetTags: map[string]string{"a": "1", "b": "2"}, RemoveTags: []string{"b", "none"}})
	require.NoError(t, err)
	require.Equal(t, "text", changed.Details().Description)
	require.Equal(t, map[string]string{"a": "1"}, changed.Details().Tags)
	require.Empty(t, m.Details().Tags, "the receiver stays as it is")
	_, err = m.Update(ctx, model.RegisteredUpdate{Description: new(strings.Repeat("x", 5001))})
	require.ErrorIs(t, err, azml.ErrInvalid)
	register(t, models, "m", nil)
	after, err := models.GetRegistered(ctx, "m", nil)
	require.NoError(t, err)
	require.Equal(t, "text", after.Details().Description)
}

func TestDeleteRegistered(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	models := ws.Models()
	var last *model.Model
	for range 3 {
		last = register(t, models, "m", nil)
	}
	require.NoError(t, models.SetAlias(ctx, "m", "a", 1, nil))
	ep, err := ws.Endpoints().Deploy(ctx, "serve-m", endpoint.Config{Model: last, Handler: echo}, nil)
	require.NoError(t, err)
	err = models.DeleteRegistered(ctx, "m", nil)
	require.ErrorIs(t, err, azml.ErrConflict)
	require.ErrorContains(t, err, "serve-m")
	require.Len(t, ids(t, models, nil), 3, "nothing was deleted")
	require.NoError(t, ep.Stop(ctx))

	require.NoError(t, models.DeleteRegistered(ctx, "m", nil))
	require.Empty(t, ids(t, models, nil))
	require.Empty(t, registeredNames(t, models, nil))
	require.ErrorIs(t, models.DeleteRegistered(ctx, "m", nil), azml.ErrNotFound)
	_, err = models.Get(ctx, "m", 1, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.Equal(t, "m:4", register(t, models, "m", nil).ID(), "numbers go on")
	again, err := models.GetRegistered(ctx, "m", nil)
	require.NoError(t, err)
	require.Empty(t, again.Details().Aliases)
}

// A model that is deleted while versions are registered is gone with all of
// them, or is there with those that came later.
func TestDeleteRegisteredAndRegisterAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	models, other := reopen(t, dir).Models(), reopen(t, dir).Models()
	path := file(t, t.TempDir(), "f", "x")
	for range 20 {
		register(t, models, "m", nil)
		var both sync.WaitGroup
		both.Go(func() {
			_, err := models.Register(ctx, "m", path, nil)
			if err != nil {
				require.ErrorIs(t, err, azml.ErrConflict)
			}
		})
		both.Go(func() { require.NoError(t, other.DeleteRegistered(ctx, "m", nil)) })
		both.Wait()
		_, err := models.GetRegistered(ctx, "m", nil)
		if err != nil {
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.Empty(t, ids(t, models, nil), "a model that is gone has no versions")
		}
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	models := open(t).Models()
	for range 3 {
		register(t, models, "m", nil)
	}
	require.NoError(t, models.SetAlias(ctx, "m", "champion", 1, nil))
	require.NoError(t, models.SetAlias(ctx, "m", "champion", 2, nil))
	require.NoError(t, models.SetAlias(ctx, "m", "名_1-x", 2, nil))
	for _, id := range []string{"m@champion", "m:2", "m@名_1-x"} {
		m, err := models.GetByID(ctx, id, nil)
		require.NoError(t, err, id)
		require.Equal(t, 2, m.Version(), id)
	}
	latest, err := models.GetByID(ctx, "m", nil)
	require.NoError(t, err)
	require.Equal(t, 3, latest.Version())
	for _, id := range []string{"m@none", "none@champion", "none", "m:9"} {
		_, err := models.GetByID(ctx, id, nil)
		require.ErrorIs(t, err, azml.ErrNotFound, id)
	}
	for _, id := range []string{"m@", "m@a b", "@x", "m:x", "m@a@b", ""} {
		_, err := models.GetByID(ctx, id, nil)
		require.ErrorIs(t, err, azml.ErrInvalid, id)
	}
	for _, alias := range []string{"", "latest", "LATEST", "v1", "V20", "a b", "a/b", strings.Repeat("x", 256)} {
		require.ErrorIs(t, models.SetAlias(ctx, "m", alias, 1, nil), azml.ErrInvalid, alias)
	}
	require.ErrorIs(t, models.SetAlias(ctx, "m", "a", 9, nil), azml.ErrNotFound)
	require.ErrorIs(t, models.SetAlias(ctx, "none", "a", 1, nil), azml.ErrNotFound)
	require.NoError(t, models.DeleteAlias(ctx, "m", "名_1-x", nil))
	require.ErrorIs(t, models.DeleteAlias(ctx, "m", "名_1-x", nil), azml.ErrNotFound)
	require.NoError(t, models.Delete(ctx, "m", 2, nil))
	m, err := models.GetRegistered(ctx, "m", nil)
	require.NoError(t, err)
	require.Empty(t, m.Details().Aliases, "they go with their version")
}

// Aliases that are set while their version is deleted never point to nothing.
func TestSetAliasAndDeleteAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	models, other := reopen(t, dir).Models(), reopen(t, dir).Models()
	for n := 1; n <= 20; n++ {
		register(t, models, "m", nil)
		var both sync.WaitGroup
		both.Go(func() {
			if err := models.SetAlias(ctx, "m", fmt.Sprintf("a%d", n), n, nil); err != nil {
				require.ErrorIs(t, err, azml.ErrNotFound)
			}
		})
		both.Go(func() { require.NoError(t, other.Delete(ctx, "m", n, nil)) })
		both.Wait()
	}
	m, err := models.GetRegistered(ctx, "m", nil)
	require.NoError(t, err)
	require.Empty(t, m.Details().Aliases)
}

func TestStages(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	models := open(t).Models()
	m := register(t, models, "m", nil)
	require.Empty(t, m.Details().Stage)
	staged, err := m.Update(ctx, model.Update{Stage: model.StageProduction})
	require.NoError(t, err)
	require.Equal(t, model.StageProduction, staged.Details().Stage)
	same, err := staged.Update(ctx, model.Update{Description: new("x")})
	require.NoError(t, err)
	require.Equal(t, model.StageProduction, same.Details().Stage, "it stays")
	none, err := same.Update(ctx, model.Update{Stage: model.StageNone})
	require.NoError(t, err)
	require.Empty(t, none.Details().Stage)
	_, err = m.Update(ctx, model.Update{Stage: "Moon"})
	require.ErrorIs(t, err, azml.ErrInvalid)
}

// A model whose record as a whole was lost is damaged, and its versions are
// there all the same.
func TestVersionsWithoutTheirModel(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws := reopen(t, dir)
	register(t, ws.Models(), "m", nil)
	require.NoError(t, os.Remove(filepath.Join(dir, "ws", "models", "m.json")))
	_, err := ws.Models().Get(ctx, "m", 1, nil)
	require.NoError(t, err)
	report, err := ws.Fsck(ctx, nil)
	require.NoError(t, err)
	require.Len(t, report.Problems, 1)
	require.Equal(t, "models/m/0000000001.json", report.Problems[0].Key)
	require.Equal(t, "m:2", register(t, ws.Models(), "m", nil).ID())
	report, err = ws.Fsck(ctx, nil)
	require.NoError(t, err)
	require.True(t, report.Clean(), report.Problems)
}
