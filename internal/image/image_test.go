package image

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
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
		"no channel":      {pyenv.Spec{Conda: []string{"cudatoolkit"}, Channels: []string{"file:///no/such/channel"}}, "there is no such conda channel"},
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

// TestBuildConda makes an image with a conda environment, from channels that an HTTP
// server of this machine has, which wants a password.
func TestBuildConda(t *testing.T) {
	t.Parallel()
	own, base := t.TempDir(), testenv.Docker(t).CondaChannel(t)
	testenv.PackConda(t, own, testenv.CondaPackage{Name: "words", Version: "2", Depends: []string{"python"}, Python: true, Files: map[string]string{
		"site-packages/words.py":    "place = '" + testenv.CondaPrefix + "/share'\n",
		"etc/conda/activate.d/w.sh": "export WORDS_HOME=$CONDA_PREFIX/share\n"}})
	channels := http.NewServeMux()
	channels.Handle("/own/", http.StripPrefix("/own", http.FileServer(http.Dir(own))))
	channels.Handle("/base/", http.StripPrefix("/base", http.FileServer(http.Dir(base))))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "s3cret-value" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		channels.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	at := strings.Replace(server.URL, "//", "//me:s3cret-value@", 1)
	d := open(t)
	var log bytes.Buffer
	env := described(pyenv.Spec{PythonVersion: ">=3.9", Conda: []string{"words"}, Channels: []string{at + "/own", at + "/base"}, Pip: []string{"iniconfig==2.1.0"}})
	made, err := build(t, d, env, &log)
	require.NoError(t, err, log.String())
	require.Contains(t, log.String(), "installing words")
	require.NotContains(t, log.String(), "s3cret")
	require.Equal(t, "/opt/azml/environment/share 2.1.0 /opt/azml/environment []\n", says(t, d, made,
		"import glob, importlib.metadata as m, sys, words; print(words.place, m.version('iniconfig'), sys.prefix, glob.glob('/tmp/*'))"))
	require.Equal(t, "1\n", says(t, d, made, "import subprocess; print(subprocess.run(['grep', '-rqs', 's3cret', '/opt', '/tmp', '/root', '/var', '/etc']).returncode)"))
	history, err := exec.CommandContext(t.Context(), "docker", "-H", testenv.Docker(t).Host, "history", "--no-trunc", made.Name).CombinedOutput()
	require.NoError(t, err, "%s", history)
	require.NotContains(t, string(history), "s3cret")
}
