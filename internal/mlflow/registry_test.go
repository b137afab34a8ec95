package mlflow

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/model"
)

// each is how many versions every process of TestManyRegister registers.
const each = 20

// registerInFolder registers versions by the library, and prints their numbers.
func registerInFolder(dir string) error {
	ctx := context.Background()
	h, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	file := filepath.Join(dir, "weights")
	for range each {
		m, err := model.NewClient(h).Register(ctx, "m", file, nil)
		if err != nil {
			return err
		}
		fmt.Println(m.Version())
	}
	return nil
}

// TestManyRegister registers versions of one model from eight processes at once,
// four of them servers, the others with the library: numbers have no gap, and
// none is given twice.
func TestManyRegister(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "weights"), []byte("x"), 0o600))
	const servers, programs = 4, 4
	var mu sync.Mutex
	var numbers []int
	took := func(text string) {
		n, err := strconv.Atoi(text)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			numbers = append(numbers, n)
		}
	}
	first := start(t, dir)
	post[object](first.served, "registered-models/create", object{"name": "m"})
	post[createExperimentResponse](first.served, "experiments/create", object{"name": "e"})
	run := post[runResponse](first.served, "runs/create", object{"experiment_id": "e"}).Run.Info
	require.Equal(t, http.StatusOK, first.send("PUT", first.artifact(run.RunID, "m/x"), "", "y").status)
	var working sync.WaitGroup
	for i := range servers {
		p := first
		if i > 0 {
			p = start(t, dir)
		}
		working.Go(func() {
			for range each {
				v := post[modelVersionResponse](p.served, "model-versions/create", object{"name": "m", "source": run.ArtifactURI + "/m", "run_id": run.RunID})
				took(v.ModelVersion.Version)
			}
		})
	}
	for range programs {
		working.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), registerVariable+"="+dir)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			for line := range strings.Lines(string(out)) {
				took(strings.TrimSpace(line))
			}
		})
	}
	working.Wait()
	slices.Sort(numbers)
	want := make([]int, (servers+programs)*each)
	for i := range want {
		want[i] = i + 1
	}
	require.Equal(t, want, numbers)
	found := get[searchModelVersionsResponse](first.served, "model-versions/search?filter="+url.QueryEscape("name='m'")+"&max_results=1000")
	require.Len(t, found.ModelVersions, len(want))
}

// TestRegistryOfBoth looks with the library at what clients have registered, and
// with a client at what the library has.
func TestRegistryOfBoth(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := serve(t, nil)
	id := s.story()
	models := model.NewClient(s.core)
	file := filepath.Join(t.TempDir(), "weights.bin")
	require.NoError(t, os.WriteFile(file, []byte("12345"), 0o600))
	_, err := models.Register(ctx, "lib", file, &model.RegisterOptions{Description: "by the library", Tags: map[string]string{"a": "b"}})
	require.NoError(t, err)
	require.NoError(t, models.SetAlias(ctx, "lib", "best", 1, nil))
	v := get[modelVersionResponse](s, "registered-models/alias?name=lib&alias=best").ModelVersion
	require.Equal(t, "by the library", v.Description)
	require.Equal(t, []string{"best"}, v.Aliases)
	uri := get[downloadURIResponse](s, "model-versions/get-download-uri?name=lib&version=1").ArtifactURI
	require.Equal(t, "mlflow-artifacts:/_models/lib/1", uri)
	require.Equal(t, uri, v.Source)
	a := s.send("GET", "/api/2.0/mlflow-artifacts/artifacts/_models/lib/1/weights.bin", "", "")
	require.Equal(t, "12345", string(a.body))
	a = s.send("GET", "/model-versions/get-artifact?name=lib&version=1&path=weights.bin", "", "")
	require.Equal(t, "12345", string(a.body))
	require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))

	post[object](s, "registered-models/create", object{"name": "über mlflow"})
	post[modelVersionResponse](s, "model-versions/create", object{"name": "über mlflow", "source": "runs:/" + id + "/a", "run_id": id})
	var key string
	for m, err := range models.ListRegistered(ctx, nil) {
		require.NoError(t, err)
		if m.Details().Title == "über mlflow" {
			key = m.Name()
		}
	}
	require.Regexp(t, `^ber-mlflow-[0-9a-f]{8}$`, key)
	m, err := models.Get(ctx, key, model.Latest, nil)
	require.NoError(t, err)
	require.Equal(t, id, m.RunID())
	require.Equal(t, "runs:/"+id+"/a", m.Details().Source)
	files, err := m.Files(ctx)
	require.NoError(t, err)
	require.Equal(t, "b.txt", files[0].Path)

	post[object](s, "registered-models/rename", object{"name": "lib", "new_name": "renamed"})
	m, err = models.Get(ctx, "renamed", 1, nil)
	require.NoError(t, err)
	require.Equal(t, "lib:1", m.ID())
	next, err := models.Register(ctx, "renamed", file, nil)
	require.NoError(t, err)
	require.Equal(t, "lib:2", next.ID(), "numbers go on under a later name")
	require.Equal(t, "renamed", get[modelVersionResponse](s, "model-versions/get?name=renamed&version=2").ModelVersion.Name)

	v = post[modelVersionResponse](s, "model-versions/create", object{"name": "renamed", "source": "s3://bucket/m"}).ModelVersion
	outside, err := models.Get(ctx, "lib", 3, nil)
	require.NoError(t, err)
	_, err = outside.Files(ctx)
	require.ErrorIs(t, err, azml.ErrUnsupported)
	require.ErrorContains(t, err, "s3://bucket/m")
	require.Equal(t, "3", v.Version)
}

// TestSourcesOfVersions tries to register what is not in the workspace, or
// belongs to another run.
func TestSourcesOfVersions(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	other := post[runResponse](s, "runs/create", object{"experiment_id": "e"}).Run.Info.RunID
	post[object](s, "registered-models/create", object{"name": "m"})
	logged := post[loggedModelResponse](s, "logged-models", object{"experiment_id": "e", "name": "x"}).Model.Info.ModelID
	before := s.keys()
	for _, source := range []string{
		"/etc", "/etc/passwd", "file:/etc", "file:///etc/passwd", "FILE:///etc", "etc", "./x", "../x", `C:\x`, "C:/x", `\\host\share`, "s3://b", "s3://b/", "s3:", "s3://b/../x",
		"s3://b/%2e%2e/x", "s3://b/%252e%252e/x", "s3://b/a%00b", "s3://b/./x", "http://h/a/..%2f..%2fx", "http://h/api/2.0/mlflow-artifacts/artifacts/e/" + id,
		"https://h/ajax-api/2.0/mlflow-artifacts/artifacts/x", "mlflow-artifacts:/../x", "mlflow-artifacts:/e/" + id + "/artifacts/../../x", "mlflow-artifacts://h/e/" + id + "/artifacts/a",
		"mlflow-artifacts:/e/" + id + "/artifacts/%2e%2e/x", "mlflow-artifacts:/e/none/artifacts/a", "mlflow-artifacts:/workspace.json", "mlflow-artifacts:e", "runs:/none/a",
		"runs://h/" + id + "/a", "runs:/" + id + "/../x", "runs:" + id, "models:/none/1", "models:/m/1", "models:/m@x", "models:/m/latest", "models:/m", "models:/m/1@x",
		"models:/m-" + strings.Repeat("0", 32), "models://h/m-x", "javascript", "a\nb", strings.Repeat("s3://b/x", 300),
	} {
		a := s.send("POST", "/api/2.0/mlflow/model-versions/create", jsonType, string(encode(t, object{"name": "m", "source": source})))
		require.Contains(t, []int{400, 404}, a.status, "%.60s: %s", source, a.body)
		require.NotEmpty(t, a.code(), "%.60s", source)
	}
	for name, message := range map[string]object{
		"another run's files":     {"source": "mlflow-artifacts:/e/" + id + "/artifacts/a", "run_id": other},
		"another run":             {"source": "runs:/" + id + "/a", "run_id": other},
		"another logged model":    {"source": "models:/" + logged, "model_id": "m-x"},
		"a run of a logged one":   {"source": "mlflow-artifacts:/e/models/" + logged + "/artifacts", "model_id": "m-x"},
		"a local path":            {"source": "/tmp/x", "run_id": id},
		"a local path by its URI": {"source": "file:///tmp/x", "run_id": id},
	} {
		message["name"] = "m"
		a := s.send("POST", "/api/2.0/mlflow/model-versions/create", jsonType, string(encode(t, message)))
		require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", name, a.body)
	}
	require.Equal(t, before, s.keys(), "nothing was written")

	post[createExperimentResponse](s, "experiments/create", object{"name": "local", "artifact_location": "file:///srv/ml"})
	mine := post[runResponse](s, "runs/create", object{"experiment_id": "local"}).Run.Info.RunID
	for source, status := range map[string]int{
		"file:///srv/ml/" + mine + "/artifacts/m": 200, "/srv/ml/" + mine + "/artifacts": 200,
		"/srv/ml/" + mine + "/artifacts/../x": 400, "/srv/ml/" + mine + "/artifacts2": 400, "/srv/ml/" + id + "/artifacts/m": 400,
	} {
		a := s.send("POST", "/api/2.0/mlflow/model-versions/create", jsonType, string(encode(t, object{"name": "m", "source": source, "run_id": mine})))
		require.Equal(t, status, a.status, "%s: %s", source, a.body)
	}
}

// TestPathsOfModelsStayInside is TestPathsStayInside for logged models and
// versions, whose files never change.
func TestPathsOfModelsStayInside(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	logged := post[loggedModelResponse](s, "logged-models", object{"experiment_id": "e", "name": "x"}).Model.Info.ModelID
	root := "/api/2.0/mlflow-artifacts/artifacts/"
	files := root + "e/models/" + logged + "/artifacts/"
	require.Equal(t, http.StatusOK, s.send("PUT", files+"w", "", "1").status)
	post[object](s, "registered-models/create", object{"name": "m"})
	post[modelVersionResponse](s, "model-versions/create", object{"name": "m", "source": "models:/" + logged})
	before := s.keys()
	for _, path := range outside {
		for _, request := range [][2]string{
			{"GET", files + path}, {"PUT", files + path}, {"DELETE", files + path}, {"GET", root + "_models/m/1/" + path}, {"PUT", root + "_models/m/1/" + path},
			{"GET", "/model-versions/get-artifact?name=m&version=1&path=" + query(t, path)},
			{"GET", "/api/2.0/mlflow/logged-models/" + logged + "/artifacts/directories?artifact_directory_path=" + query(t, path)},
			{"GET", "/ajax-api/2.0/mlflow/logged-models/" + logged + "/artifacts/files?artifact_file_path=" + query(t, path)},
		} {
			a := s.send(request[0], request[1], "", "evil")
			require.Equal(t, http.StatusBadRequest, a.status, "%s %.80s: %s", request[0], request[1], a.body)
		}
	}
	for _, path := range []string{"_models", "_models/m", "_models/m/2/w", "_models/m/01/w", "_models/m/-1/w", "_models/m/x/w", "_models/none/1/w", "models/" + logged + "/artifacts/w",
		"f/models/" + logged + "/artifacts/w", "e/models/m-none/artifacts/w", "e/models/" + id + "/artifacts/w", "e/" + logged + "/artifacts/w"} {
		require.Equal(t, http.StatusNotFound, s.send("GET", root+path, "", "").status, path)
		require.Equal(t, http.StatusNotFound, s.send("PUT", root+path, "", "x").status, path)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		require.Equal(t, http.StatusForbidden, s.send(method, root+"_models/m/1/w", "", "x").status, method)
	}
	require.Equal(t, before, s.keys(), "nothing was written")
	require.Equal(t, "1", string(s.send("GET", root+"_models/m/1/w", "", "").body))
}

func query(t *testing.T, path string) string {
	t.Helper()
	plain, err := url.PathUnescape(path)
	require.NoError(t, err)
	return url.QueryEscape(plain)
}

// TestLoggedModelOutlivesItsServer kills a server after it has acknowledged what
// was logged to a model.
func TestLoggedModelOutlivesItsServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir)
	post[createExperimentResponse](p.served, "experiments/create", object{"name": "e"})
	run := post[runResponse](p.served, "runs/create", object{"experiment_id": "e"}).Run.Info.RunID
	id := post[loggedModelResponse](p.served, "logged-models", object{"experiment_id": "e", "name": "x"}).Model.Info.ModelID
	for step := range 50 {
		post[object](p.served, "runs/log-metric", object{"run_id": run, "key": "acc", "value": step, "timestamp": 1 + step, "step": step, "model_id": id})
	}
	p.kill()
	p = start(t, dir)
	points := get[loggedModelResponse](p.served, "logged-models/"+id).Model.Data.Metrics
	require.Len(t, points, 1)
	require.EqualValues(t, 49, points[0].Value)
	require.Eventually(t, func() bool {
		found := post[searchLoggedModelsResponse](p.served, "logged-models/search", object{"experiment_ids": []string{"e"}, "filter": "metrics.acc = 49"})
		return len(found.Models) == 1
	}, 10*time.Second, 50*time.Millisecond)
}
