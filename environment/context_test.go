package environment_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
)

func fromContext(t *testing.T, dir string) environment.Spec {
	t.Helper()
	spec, err := environment.FromBuildContext("e", dir, "")
	require.NoError(t, err)
	return spec
}

func TestBuildContext(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	environments := open(t).Environments()
	dir := t.TempDir()
	file(t, dir, "Dockerfile", "FROM x\nCOPY a /")
	file(t, dir, "a", "1")
	spec := fromContext(t, dir)
	require.False(t, spec.IsReference())
	first := register(t, environments, spec)
	require.Equal(t, spec.Hash(), first.Hash())
	require.Equal(t, "e:1", register(t, environments, fromContext(t, dir)).ID(), "the same content is the same version")
	file(t, dir, "a", "2")
	_, err := environments.Register(ctx, spec, nil)
	require.ErrorIs(t, err, azml.ErrConflict)
	changed := fromContext(t, dir)
	require.NotEqual(t, spec.Hash(), changed.Hash())
	require.Equal(t, "e:2", register(t, environments, changed).ID())

	require.NoError(t, os.RemoveAll(dir))
	again, err := environments.Get(ctx, "e", "1", nil)
	require.NoError(t, err)
	kept := again.Spec()
	require.Equal(t, "Dockerfile", again.Details().Docker.BuildContext.Dockerfile)
	require.Equal(t, "e:3", register(t, environments, withoutVersion(kept)).ID(), "a registered one needs no folder")
	_, err = open(t).Environments().Register(ctx, kept, nil)
	require.ErrorIs(t, err, azml.ErrInvalid, "another workspace lacks its files")
	kept.Docker.BuildContext.Hash = changed.Docker.BuildContext.Hash
	_, err = environments.Register(ctx, kept, nil)
	require.ErrorIs(t, err, azml.ErrInvalid, "files of another hash")

	for name, docker := range map[string]environment.Docker{
		"by hand": {BuildContext: &environment.BuildContext{Dockerfile: "Dockerfile"}},
		"both":    {BuildContext: changed.Docker.BuildContext, BaseImage: "x"},
	} {
		require.ErrorIs(t, environment.Spec{Docker: docker}.Validate(), azml.ErrInvalid, name)
	}
	_, err = environment.FromBuildContext("e", filepath.Join(dir, "missing"), "")
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = environments.Explain(ctx, environment.Reference("e", "1"), nil)
	require.ErrorIs(t, err, azml.ErrUnsupported, "there are no containers here")
}

func withoutVersion(spec environment.Spec) environment.Spec {
	spec.Version = ""
	return spec
}
