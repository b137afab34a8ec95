package environment_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
)

func packages(name string, pip ...string) environment.Spec {
	return environment.Spec{Name: name, Python: environment.Python{Pip: pip}}
}

func register(t *testing.T, c *environment.Client, spec environment.Spec) *environment.Environment {
	t.Helper()
	e, err := c.Register(t.Context(), spec, nil)
	require.NoError(t, err)
	return e
}

func ids(t *testing.T, c *environment.Client, opts *environment.ListOptions) []string {
	t.Helper()
	list := []string{}
	for e, err := range c.List(t.Context(), opts) {
		require.NoError(t, err)
		list = append(list, e.ID())
	}
	return list
}

func TestVersionsAreChosen(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	environments := open(t).Environments()
	first := register(t, environments, packages("e", "numpy==1.26.4"))
	require.Equal(t, "e:1", first.ID())
	require.Equal(t, "e:1", register(t, environments, packages("e", "numpy == 1.26.4")).ID(), "the same content is the same version")
	require.Equal(t, "e:2", register(t, environments, packages("e", "numpy==2.0")).ID())
	require.Equal(t, "e:3", register(t, environments, packages("e", "numpy==1.26.4")).ID(), "only the latest version is compared")
	withVersion := packages("e", "scipy")
	withVersion.Version = "7"
	require.Equal(t, "e:7", register(t, environments, withVersion).ID())
	require.Equal(t, "e:7", register(t, environments, withVersion).ID())
	other := packages("e", "pandas")
	other.Version = "7"
	_, err := environments.Register(ctx, other, nil)
	require.ErrorIs(t, err, azml.ErrConflict)
	require.Equal(t, "e:8", register(t, environments, packages("e", "pandas")).ID())
	for _, version := range []string{"v1.0", "99999999999999999999", "9223372036854775807"} {
		withVersion.Version = version
		require.Equal(t, version, register(t, environments, withVersion).Version())
	}
	require.Equal(t, "e:9", register(t, environments, packages("e", "polars")).ID(), "only plain numbers count")

	latest, err := environments.Get(ctx, "e", "", nil)
	require.NoError(t, err)
	require.Equal(t, "9", latest.Version())
	got, err := environments.Get(ctx, "e", "1", nil)
	require.NoError(t, err)
	require.Equal(t, first.Details(), got.Details())
	require.Equal(t, first.Hash(), got.Spec().Hash())
	require.Equal(t, "e:1", register(t, environments, got.Spec()).ID(), "the spec of a version registers as it is")
	require.Equal(t, []string{"e:9", "e:8", "e:7", "e:3", "e:2", "e:1"}, ids(t, environments, &environment.ListOptions{Name: "e"})[:6])
	require.Equal(t, []string{"e:9"}, ids(t, environments, &environment.ListOptions{Latest: true}))
}

func TestUnnamedIsTheDefaultEnvironment(t *testing.T) {
	t.Parallel()
	environments := open(t).Environments()
	require.Equal(t, "default-environment:1", register(t, environments, environment.Spec{}).ID())
	require.Equal(t, "default-environment:1", register(t, environments, environment.Spec{}).ID())
	spec := environment.Spec{Variables: map[string]string{"A": "1"}}
	require.Equal(t, "default-environment:2", register(t, environments, spec).ID(), "variables are content")
}

func TestSpecsThatAreRefused(t *testing.T) {
	t.Parallel()
	environments := open(t).Environments()
	for name, spec := range map[string]environment.Spec{
		"name":          {Name: "a/b"},
		"reserved":      {Name: "AzureML-mine"},
		"reserved too":  {Name: "Microsoft"},
		"version":       {Name: "e", Version: "../1"},
		"description":   {Name: "e", Description: strings.Repeat("x", 5001)},
		"tags":          {Name: "e", Tags: map[string]string{"": ""}},
		"variable":      {Name: "e", Variables: map[string]string{"A=B": "1"}},
		"variable name": {Name: "e", Variables: map[string]string{"": "1"}},
		"NUL":           {Name: "e", Variables: map[string]string{"A": "\x00"}},
		"requirement":   packages("e", "not a requirement !!"),
		"python":        {Name: "e", Python: environment.Python{PythonVersion: "three"}},
	} {
		_, err := environments.Register(t.Context(), spec, nil)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
	require.Empty(t, ids(t, environments, nil))
	_, err := environments.Get(t.Context(), "none", "", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = environments.Get(t.Context(), "none", "1", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = environments.Get(t.Context(), "none", "a/b", nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file(t, dir, "constraints.txt", "scipy<2\n")
	spec, err := environment.FromRequirements("e", file(t, dir, "requirements.txt", "# ours\nnumpy==1.26.4 # pinned\n-c constraints.txt\n--index-url https://example.org/simple\n"))
	require.NoError(t, err)
	require.Equal(t, "e", spec.Name)
	require.Equal(t, []string{"numpy==1.26.4"}, spec.Python.Pip)
	require.Equal(t, []string{"scipy<2"}, spec.Python.Constraints)
	require.Len(t, spec.Python.PipOptions, 1)
	_, err = environment.FromRequirements("e", dir+"/none.txt")
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = environment.FromRequirements("e", file(t, dir, "bad.txt", "numpy\n-r ../outside.txt\n"))
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "bad.txt")

	conda := file(t, dir, "environment.yml", "name: from-file\ndependencies:\n- python=3.11\n- pip:\n  - numpy==1.26.4\n")
	spec, err = environment.FromCondaFile("", conda)
	require.NoError(t, err)
	require.Equal(t, "from-file", spec.Name)
	require.Equal(t, []string{"numpy==1.26.4"}, spec.Python.Pip)
	require.NotEmpty(t, spec.Python.PythonVersion)
	spec, err = environment.FromCondaFile("mine", conda)
	require.NoError(t, err)
	require.Equal(t, "mine", spec.Name)
	_, err = environment.FromCondaFile("", file(t, dir, "bad.yml", "dependencies: {"))
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestReferences(t *testing.T) {
	t.Parallel()
	require.True(t, environment.Reference("e", "1").IsReference())
	require.True(t, environment.Reference("e", "").IsReference())
	require.False(t, environment.Spec{}.IsReference())
	require.False(t, packages("e", "numpy").IsReference())
	require.False(t, environment.Spec{Name: "e", Python: environment.Python{UserManaged: true}}.IsReference())
	require.False(t, environment.Spec{Name: "e", Variables: map[string]string{"A": ""}}.IsReference())
}

func TestHashIsOfTheContent(t *testing.T) {
	t.Parallel()
	hash := packages("a", "numpy==1.26.4", "scipy").Hash()
	require.Equal(t, hash, packages("b", "scipy", "NumPy == 1.26.4").Hash())
	require.NotEqual(t, hash, packages("a", "numpy==1.26.4").Hash())
}

// Eight at once register the same content: there is one version.
func TestSameContentAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	registerAtOnce(t, dir, func(int) environment.Spec { return packages("e", "numpy") })
	require.Equal(t, []string{"e:1"}, ids(t, reopen(t, dir).Environments(), nil))
}

// Eight at once register different content: there are eight versions.
func TestDifferentContentAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	registerAtOnce(t, dir, func(n int) environment.Spec { return packages("e", fmt.Sprintf("numpy==1.%d", n)) })
	require.Equal(t, []string{"e:8", "e:7", "e:6", "e:5", "e:4", "e:3", "e:2", "e:1"}, ids(t, reopen(t, dir).Environments(), nil))
}

func registerAtOnce(t *testing.T, dir string, spec func(n int) environment.Spec) {
	t.Helper()
	var all sync.WaitGroup
	for n := range 8 {
		environments := reopen(t, dir).Environments()
		all.Go(func() {
			e, err := environments.Register(t.Context(), spec(n), nil)
			require.NoError(t, err)
			require.Equal(t, spec(n).Hash(), e.Hash())
		})
	}
	all.Wait()
}
