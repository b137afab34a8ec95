package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
)

// condaTrain trains with what a conda package has, and a pip package beside it.
const condaTrain = `import json, os, sys
import iniconfig, sevens
assert os.environ["CONDA_PREFIX"] == sys.prefix, os.environ["CONDA_PREFIX"]
assert open(os.environ["SEVENS_TABLE"]).read() == open(sevens.table).read()
model = [sevens.times(n) for n in range(20)]
with open(os.environ["AZML_METRICS_FILE"], "a") as metrics:
    for step, value in enumerate(model):
        metrics.write(json.dumps({"name": "loss", "value": value, "step": step}) + "\n")
json.dump(model, open("outputs/model.json", "w"))
`

// TestCondaOnEveryTarget has one script run, as it is, in a conda environment on this
// machine, on one over SSH and as an image, made from channels of a server.
func TestCondaOnEveryTarget(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes conda environments and an image with one")
	}
	t.Parallel()
	engine, server := testenv.Docker(t), testenv.SSHD(t)
	own := t.TempDir()
	testenv.PackConda(t, own, testenv.CondaPackage{Name: "sevens", Version: "7.7", Depends: []string{"python >=3"}, Python: true, Files: map[string]string{
		"site-packages/sevens.py":   "table = '" + testenv.CondaPrefix + "/share/sevens'\n\ndef times(n):\n    return n * int(open(table).read())\n",
		"share/sevens":              "7",
		"etc/conda/activate.d/s.sh": "export SEVENS_TABLE=$CONDA_PREFIX/share/sevens\n"}})
	channels := http.NewServeMux() // Python is the image's, for one environment on all
	channels.Handle("/own/", http.StripPrefix("/own", http.FileServer(http.Dir(own))))
	channels.Handle("/base/", http.StripPrefix("/base", http.FileServer(http.Dir(engine.CondaChannel(t)))))
	served := httptest.NewServer(channels)
	t.Cleanup(served.Close)

	source := t.TempDir()
	for name, text := range map[string]string{"train.py": condaTrain, "environment.yml": "name: walked-conda\nchannels:\n- " + served.URL + "/own\n- " + served.URL + "/base\n" +
		"dependencies:\n- python>=3.9\n- sevens=7\n- pip:\n  - iniconfig==2.1.0\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), []byte(text), 0o600))
	}
	env, err := environment.FromCondaFile("", filepath.Join(source, "environment.yml"))
	require.NoError(t, err)
	p := newPlace(t)
	ws := p.openFor(t)
	for name, config := range map[string]compute.Config{
		"far": ssh.Target{Address: "127.0.0.1", Port: server.Port, Username: server.User, Credential: ssh.Credential{PrivateKey: server.Key},
			HostKey: server.HostKey, Dir: filepath.Join(t.TempDir(), "jobs"), CacheDir: filepath.Join(t.TempDir(), "cache")},
		"box": docker.Config{Host: engine.Host, Image: testenv.DockerImage, BuildNetwork: "host", Network: "none"},
	} {
		_, err := ws.Compute().Create(t.Context(), name, config, nil)
		require.NoError(t, err)
	}
	for _, target := range []string{"local", "far", "box"} {
		r := walk(t, ws, experiment.ScriptRunConfig{Source: source, Script: "train.py", Compute: target, Environment: env})
		require.EqualValues(t, 20, series(t, r, "loss", 0), target)
		file, err := r.Open(t.Context(), "outputs/model.json")
		require.NoError(t, err)
		model, err := io.ReadAll(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, "[0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77, 84, 91, 98, 105, 112, 119, 126, 133]", string(model), target)
		require.Contains(t, logOf(t, r, "system_logs/prepare.txt"), "installing sevens", target)
		again := walk(t, ws, experiment.ScriptRunConfig{Source: source, Script: "train.py", Compute: target, Environment: env})
		require.Contains(t, logOf(t, again, "system_logs/prepare.txt"), "is there already", target)
	}
}
