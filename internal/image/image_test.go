package image

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/testenv"
)

func open(t *testing.T) *docker.Driver {
	d, err := docker.New(&docker.Options{Host: testenv.Docker(t).Host, Name: t.Name(), Dir: t.TempDir(), Image: testenv.DockerImage, BuildNetwork: "host", Network: "none"})
	require.NoError(t, err)
	t.Cleanup(func() {
		for s, err := range d.List(context.Background()) {
			require.NoError(t, err)
			require.NoError(t, d.Cancel(context.Background(), s.ID, 0))
			require.NoError(t, d.Remove(context.Background(), s.ID))
		}
		require.NoError(t, d.Close())
	})
	return d
}

func described(spec pyenv.Spec) record.Environment {
	return record.Environment{Python: record.Python(spec), Hash: spec.Hash()}
}

// build makes an image, which is removed with the test.
func build(t *testing.T, d *docker.Driver, env record.Environment, log io.Writer) (backend.Image, error) {
	made, err := Build(t.Context(), d, env, nil, log)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, d.RemoveImage(context.Background(), made.Hash)) })
	}
	return made, err
}

// says runs a script of Python in the image, as jobs are run.
func says(t *testing.T, d *docker.Driver, made backend.Image, script string) string {
	job := backend.Job{ID: "says", Command: []string{"python3", "-c", script}, Dir: "/", Env: made.Env, Image: made.Name}
	require.NoError(t, d.Start(t.Context(), job))
	_, err := d.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	r, err := d.Output(t.Context(), job.ID, &backend.OutputOptions{})
	require.NoError(t, err)
	defer r.Close()
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, d.Remove(t.Context(), job.ID))
	return string(out)
}

func TestBuild(t *testing.T) {
	t.Parallel()
	d := open(t)
	env := described(pyenv.Spec{PythonVersion: ">=3.9", Pip: []string{"iniconfig>=2", "colorama"}, Constraints: []string{"iniconfig==2.1.0"}})
	var log bytes.Buffer
	made, err := build(t, d, env, &log)
	require.NoError(t, err, log.String())
	require.False(t, made.Reused)
	require.Contains(t, log.String(), "Successfully installed")
	require.Equal(t, "2.1.0 True\n", says(t, d, made, "import colorama, iniconfig, importlib.metadata as m, sys; print(m.version('iniconfig'), sys.version_info > (3, 9))"))

	found, err := Find(t.Context(), d, env)
	require.NoError(t, err)
	require.Equal(t, made.Name, found.Name)
	log.Reset()
	again, err := Build(t.Context(), d, env, nil, &log)
	require.NoError(t, err)
	require.True(t, again.Reused)
	require.Empty(t, log.String())
	env.Docker.BaseImage = "another"
	_, err = Find(t.Context(), d, env)
	require.ErrorIs(t, err, azml.ErrNotFound, "another base is another image")
}

func TestBuildNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	made, err := build(t, d, described(pyenv.Spec{}), io.Discard)
	require.NoError(t, err)
	require.Equal(t, "here\n", says(t, d, made, "print('here')"))
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	d := open(t)
	for name, c := range map[string]struct {
		spec pyenv.Spec
		hint string
	}{
		"no such package": {pyenv.Spec{Pip: []string{"azml-there-is-no-such-package==1"}}, "a requirement has no version that fits"},
		"no such Python":  {pyenv.Spec{PythonVersion: "2.7"}, "the package needs another Python version"},
		"no conda":        {pyenv.Spec{Conda: []string{"cudatoolkit"}}, ""},
	} {
		var log bytes.Buffer
		_, err := build(t, d, described(c.spec), &log)
		var failure *pyenv.BuildError
		require.ErrorAs(t, err, &failure, name)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.Contains(t, failure.Hint, c.hint, name)
		require.NotEmpty(t, failure.LastLines, name)
	}
	_, err := build(t, d, described(pyenv.Spec{Pip: []string{"--nonsense"}}), io.Discard)
	require.ErrorIs(t, err, azml.ErrInvalid)
}
