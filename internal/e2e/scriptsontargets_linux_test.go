package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// trained is what a script has left.
type trained struct {
	Metrics map[string]run.Summary
	Model   [sha256.Size]byte
}

// TestScriptsOnEveryTarget has one Go driver submit the examples' scripts, as they
// are, to this machine, to one over SSH, to a Docker engine, to a cluster of nodes that
// are its containers, and to Kubernetes: the metrics are the same, and so is the model to
// the last bit.
func TestScriptsOnEveryTarget(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes environments with scikit-learn and MLflow")
	}
	t.Parallel()
	server := testenv.SSHD(t)
	engine := testenv.Docker(t)
	wheels := t.TempDir()
	cluster := withWheels(t, wheels) // like the others before the workspace, whose closing waits for them
	cache, err := os.UserCacheDir()  // where the examples' environments are, or will be
	require.NoError(t, err)
	cache = filepath.Join(cache, "azml")
	p := newPlace(t)
	p.Cache = cache
	ws := p.openFor(t)
	for name, config := range map[string]compute.Config{
		"k8s": cluster,
		"far": ssh.Target{Address: "127.0.0.1", Port: server.Port, Username: server.User, Credential: ssh.Credential{PrivateKey: server.Key},
			HostKey: server.HostKey, Dir: filepath.Join(t.TempDir(), "jobs"), CacheDir: cache},
		"box": docker.Config{Host: engine.Host, Image: testenv.DockerImage, BuildNetwork: "host", Network: "none"},
	} {
		_, err := ws.Compute().Create(t.Context(), name, config, nil)
		require.NoError(t, err)
	}
	_, err = ws.Compute().Create(t.Context(), "pool", compute.Cluster{Members: []compute.Member{{Target: "box", Nodes: 1}}}, nil)
	require.NoError(t, err)
	schedule(t, ws)
	for name, script := range map[string]struct {
		arguments []string
		metrics   []string
		model     string
	}{
		"script": {[]string{"--stages", "20"}, []string{"loss", "accuracy"}, "outputs/model.joblib"},
		"mlflow": {[]string{"--stages", "20", "--model-name", "walked"}, []string{"held_out_loss", "held_out_accuracy"}, "holdout.json"},
	} {
		t.Run(name, func(t *testing.T) {
			source := filepath.Join("..", "..", "examples", name, "src")
			env, err := environment.FromRequirements("walked-"+name, filepath.Join(source, "requirements.txt"))
			require.NoError(t, err)
			results := map[string]trained{}
			for _, target := range []string{"local", "far", "box", "pool", "k8s"} {
				if target == "k8s" {
					env = fromWheels(t, wheels, env)
				}
				r := walk(t, ws, experiment.ScriptRunConfig{Source: source, Script: "train.py", Arguments: script.arguments, Compute: target, Environment: env})
				results[target] = trainedBy(t, r, script.metrics, script.model)
			}
			for target, result := range results {
				require.Equal(t, results["local"], result, target)
			}
		})
	}
}

// TestImageIsTold has the making of an image in the log of the run, and when it is
// there already, that.
func TestImageIsTold(t *testing.T) {
	t.Parallel()
	on := target{name: "in Docker", compute: "box", site: boxed}
	ws, _ := onTarget(t, on)
	mark := rand.Text() // as no image that was made before
	for i, want := range []string{"RUN echo " + mark, "is there already"} {
		r := on.begin(t, ws, "true", func(c *experiment.ScriptRunConfig) {
			c.Environment.Docker.BaseDockerfile = "FROM " + testenv.DockerImage + "\nRUN echo " + mark + "\n"
		})
		require.NoError(t, r.Wait(t.Context(), nil))
		log := logOf(t, r, "system_logs/prepare.txt")
		require.Contains(t, log, want)
		require.Equal(t, i == 0, strings.Contains(log, " made in "))
	}
}

// TestImageOfAFolder has runs in an image that a Dockerfile makes with the files beside
// it, on an engine here and on one of a machine that is reached by SSH.
func TestImageOfAFolder(t *testing.T) {
	t.Parallel()
	for _, on := range targets() {
		if !strings.Contains(on.name, "in Docker") || on.detach {
			continue
		}
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			ws, _, s := onSite(t, on)
			folder, mark := t.TempDir(), rand.Text() // as in no image that was made before
			for name, text := range map[string]string{"Dockerfile": "FROM " + testenv.DockerImage + "\nCOPY . /own\n", "mark": mark, "secret.key": "k", ".dockerignore": "*.key"} {
				require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
			}
			spec, err := environment.FromBuildContext("own", folder, "")
			require.NoError(t, err)
			_, err = ws.Environments().Register(t.Context(), spec, nil)
			require.NoError(t, err)
			require.NoError(t, os.RemoveAll(folder), "the workspace has what is needed")
			for _, want := range []string{" made in ", "is there already"} {
				r := on.begin(t, ws, `ls -A /own; id -u; cp /own/mark outputs/ 2>&1; echo '{"name": "n", "value": 1}' >> "$AZML_METRICS_FILE"`,
					func(c *experiment.ScriptRunConfig) { c.Environment = environment.Reference("own", "") })
				require.NoError(t, r.Wait(t.Context(), nil))
				require.Contains(t, logOf(t, r, "system_logs/prepare.txt"), want)
				require.Contains(t, outputOf(t, r), ".dockerignore\nDockerfile\nmark\n65532\n")
				require.EqualValues(t, 1, series(t, r, "n", 0))
				s.requireNothing(t, r)
			}
			clean(t, ws)
		})
	}
}

// TestCancelWhileItsImageIsMade cancels a run whose image takes long.
func TestCancelWhileItsImageIsMade(t *testing.T) {
	t.Parallel()
	for _, on := range targets() {
		if !strings.Contains(on.name, "in Docker") {
			continue
		}
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			ws, p := onTarget(t, on)
			id := "canceled-" + strings.ReplaceAll(strings.ReplaceAll(on.name, " ", "-"), ",", "")
			exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "targets", nil)
			require.NoError(t, err)
			config := shell(t, "true")
			config.Compute = on.compute
			config.Environment.Docker.BaseDockerfile = "FROM " + testenv.DockerImage + "\nRUN sleep 300\n"
			submitted := make(chan error, 1)
			go func() {
				_, err := exp.Submit(t.Context(), config, &experiment.SubmitOptions{Detach: on.detach, RunID: id})
				submitted <- err
			}()
			other := p.openFor(t)
			var r *run.Run
			require.Eventually(t, func() bool {
				r, err = other.Runs().Get(t.Context(), id, nil)
				return err == nil && strings.Contains(r.Details().WaitsFor, "image")
			}, time.Minute, 50*time.Millisecond, "the image is being made")
			require.NoError(t, r.Cancel(t.Context(), nil))
			require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrCanceled)
			require.NoError(t, <-submitted)
		})
	}
}

func walk(t *testing.T, ws *workspace.Workspace, config experiment.ScriptRunConfig) *run.Run {
	t.Helper()
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "walk", nil)
	require.NoError(t, err)
	r, err := exp.Submit(t.Context(), config, nil)
	require.NoError(t, err)
	if err := r.Wait(t.Context(), nil); err != nil {
		for _, name := range []string{"system_logs/prepare.txt", "user_logs/std_log.txt"} {
			if log, err := r.Logs(t.Context(), &run.LogsOptions{Name: name, Tail: 50}); err == nil {
				text, _ := io.ReadAll(log)
				t.Logf("%s:\n%s", name, text)
				_ = log.Close()
			}
		}
		require.NoError(t, err, "on %s", config.Compute)
	}
	return r
}

func trainedBy(t *testing.T, r *run.Run, metrics []string, model string) (got trained) {
	t.Helper()
	summaries, err := r.Summaries(t.Context())
	require.NoError(t, err)
	got.Metrics = map[string]run.Summary{}
	for _, name := range metrics {
		s := summaries[name]
		require.EqualValues(t, 20, s.Count, name)
		got.Metrics[name] = run.Summary{Count: s.Count, Min: s.Min, Max: s.Max}
	}
	file, err := r.Open(t.Context(), model)
	require.NoError(t, err)
	defer file.Close()
	data, err := io.ReadAll(file)
	require.NoError(t, err)
	got.Model = sha256.Sum256(data)
	return got
}
