package environment_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
)

func TestDockerPart(t *testing.T) {
	t.Parallel()
	environments := open(t).Environments()
	spec := packages("e", "numpy==1.26.4")
	plain := spec.Hash()
	require.Equal(t, "b0a492ee", plain[:8], "hashes of environments that are registered don't change")
	hashes := map[string]bool{plain: true}
	for _, docker := range []environment.Docker{{BaseImage: "python:3.12-slim"}, {BaseImage: "python:3.13-slim"}, {BaseDockerfile: "python:3.12-slim"}} {
		spec.Docker = docker
		require.False(t, hashes[spec.Hash()], "%+v", docker)
		hashes[spec.Hash()] = true
		e := register(t, environments, spec)
		again, err := environments.Get(t.Context(), "e", e.Version(), nil)
		require.NoError(t, err)
		require.Equal(t, docker, again.Spec().Docker)
		require.Equal(t, docker, again.Details().Docker)
		require.Equal(t, spec.Hash(), again.Hash())
		require.Equal(t, e.ID(), register(t, environments, spec).ID())
	}
	require.False(t, environment.Spec{Name: "e", Docker: environment.Docker{BaseImage: "x"}}.IsReference())
	for name, docker := range map[string]environment.Docker{
		"both": {BaseImage: "a", BaseDockerfile: "FROM b"}, "space": {BaseImage: "a b"}, "option": {BaseImage: "--privileged"},
		"long": {BaseDockerfile: strings.Repeat("#", 65<<10)}, "bytes": {BaseDockerfile: "\xff"},
	} {
		require.ErrorIs(t, environment.Spec{Docker: docker}.Validate(), azml.ErrInvalid, name)
	}
}

func TestBuildExplainPrune(t *testing.T) {
	t.Parallel()
	testenv.Venv(t, "probe", "iniconfig==2.1.0") // the index can be reached
	environments := open(t).Environments()
	register(t, environments, packages("e", "iniconfig==2.1.0"))
	ref := environment.Reference("e", "")
	x, err := environments.Explain(t.Context(), ref, nil)
	require.NoError(t, err)
	require.False(t, x.Ready)
	require.Contains(t, x.Reason, "none of the 0 folders")
	var log bytes.Buffer
	b, err := environments.Build(t.Context(), ref, &environment.BuildOptions{Log: &log})
	require.NoError(t, err, log.String())
	require.Equal(t, environment.FormFolder, b.Form)
	require.False(t, b.Reused)
	require.Contains(t, log.String(), "Successfully installed")
	again, err := environments.Build(t.Context(), packages("", "iniconfig == 2.1.0"), nil)
	require.NoError(t, err)
	require.True(t, again.Reused)
	require.Equal(t, b.Place, again.Place)
	x, err = environments.Explain(t.Context(), ref, nil)
	require.NoError(t, err)
	require.True(t, x.Ready)
	require.Equal(t, b.Place, x.Built.Place)
	require.Positive(t, x.Built.Size)

	removed, err := environments.Prune(t.Context(), time.Now().Add(-time.Hour), nil)
	require.NoError(t, err)
	require.Empty(t, removed)
	removed, err = environments.Prune(t.Context(), time.Now().Add(time.Hour), nil)
	require.NoError(t, err)
	require.Len(t, removed, 1)
	require.NoDirExists(t, b.Place)
}

func TestBuildWhatNeedsNothing(t *testing.T) {
	t.Parallel()
	testenv.Python(t)
	environments := open(t).Environments()
	b, err := environments.Build(t.Context(), environment.Spec{}, nil)
	require.NoError(t, err)
	require.Equal(t, environment.FormInterpreter, b.Form)
	x, err := environments.Explain(t.Context(), environment.Spec{}, nil)
	require.NoError(t, err)
	require.True(t, x.Ready)
	image := environment.Spec{Docker: environment.Docker{BaseImage: "python"}}
	_, err = environments.Build(t.Context(), image, nil)
	require.ErrorIs(t, err, azml.ErrUnsupported)
	_, err = environments.Explain(t.Context(), image, nil)
	require.ErrorIs(t, err, azml.ErrUnsupported)
	_, err = environments.Build(t.Context(), environment.Reference("missing", ""), nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
}
