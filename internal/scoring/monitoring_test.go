package scoring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/collect"
	"github.com/azml-go/azml/internal/testenv"
)

// withModules runs Python that has the worker's modules, without a worker, and reads
// the JSON that it prints last.
func withModules(t *testing.T, python, source string, out any) {
	t.Helper()
	body, err := workerModules(false)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import json, sys, types
for name, source in json.load(sys.stdin):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, "<" + name + ">", "exec"), module.__dict__)
import azml_monitoring
`+source)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	go func() {
		_, _ = in.Write(body)
		_ = in.Close()
	}()
	var log bytes.Buffer
	cmd.Stderr = &log
	text, err := cmd.Output()
	require.NoError(t, err, log.String())
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	require.NoError(t, json.Unmarshal(lines[len(lines)-1], out))
}

// TestMonitoringLikeReal gives the same data to azureml-monitoring, whose library that
// writes is replaced by one that remembers, and to what stands in for it.
func TestMonitoringLikeReal(t *testing.T) {
	t.Parallel()
	var got []struct {
		Call       string
		Real, Ours []any
	}
	withModules(t, testenv.InferenceServer(t), `
import contextlib, io, os, re
import numpy as np, pandas as pd
import azureml.monitoring as real
assert "site-packages" in real.__file__
written = []
class Library:
    def __getattr__(self, name):
        def call(*values):
            if name == "WriteHeader": written[:] = [values[1]]
            if name.startswith("WriteBinary"): written.append(values[1])
            return True if name == "IsDataCollectionEnabled" else 1
        setattr(self, name, call)
        return call
real.ModelDataCollector._lib = Library()
os.environ["AML_MODEL_DC_DEBUG"] = "true"
for name in [name for name in sys.modules if name.startswith("azureml")]:
    del sys.modules[name]
azml_monitoring.install()
from azureml.monitoring import ModelDataCollector
assert ModelDataCollector is azml_monitoring.ModelDataCollector

def same(text):
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", "NOW", text)
    return text.replace("default/default/default", "default").replace("\r\n", "\n").strip()

def plain(value):
    if value is None or isinstance(value, dict): return same(json.dumps(value, sort_keys=True))
    if isinstance(value, pd.DataFrame): return same(value.to_csv())
    return same(str(value.tolist() if isinstance(value, np.ndarray) else value))

def use(ModelDataCollector, designation, data, user_id):
    inputs = ModelDataCollector("m", designation="inputs", feature_names=["a", "b"])
    with contextlib.redirect_stdout(io.StringIO()):
        correlations = inputs.collect([1, 2], user_id)
    other = ModelDataCollector("m", designation=designation, feature_names=["a", "b"])
    if designation in ("inputs", "general"):
        return [plain(other.collect(data, user_id))]
    more = other.add_correlations(data, correlations)
    return [plain(more), plain(other.collect(more)), plain(other.add_correlations(data, None))]

data = {
    "list": [1.5, 'x,"y'], "nested list": [[1, 2], None], "row": np.array([1, 2.5]), "floats": np.array([[1.5, np.nan], [3, 1e300]]),
    "float32": np.array([[0.1, 3]], dtype=np.float32), "texts": np.array([["a", "b\nc"]]), "bools": np.array([[True, False]]),
    "frame": pd.DataFrame({"x": [1, None], "y": ["é", None], "at": pd.to_datetime(["2020-01-01", "2020-01-02"])}),
    "small floats": pd.DataFrame({"a": np.array([0.1], dtype=np.float32), "b": [True]}),
}
found = []
for designation in ("inputs", "predictions", "labels", "signals", "general"):
    for name, value in data.items():
        for user_id in ("", "mine"):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                want = use(real.ModelDataCollector, designation, value, user_id)
            text = same(b"".join(written).decode())
            if isinstance(value, pd.DataFrame): # of which the real one writes some whole, and some by the values of rows
                text = text.replace(" 00:00:00", "").replace("nan,", ",").replace("0.10000000149011612", "0.1")
            want.append(text)
            with contextlib.redirect_stdout(io.StringIO()) as out:
                have = use(ModelDataCollector, designation, value, user_id)
            have.append(same(out.getvalue()))
            found.append({"call": "%s %s %s" % (designation, name, user_id), "real": want, "ours": have})
print(json.dumps(found))
`, &got)
	require.Len(t, got, 5*9*2)
	for _, one := range got {
		require.Equal(t, one.Real, one.Ours, one.Call)
	}
}

// TestMonitoringSamples: scripts choose as the endpoint does.
func TestMonitoringSamples(t *testing.T) {
	t.Parallel()
	var got []bool
	withModules(t, needPython(t), `print(json.dumps([azml_monitoring.sampled(30, "request-%d" % i) for i in range(500)]))`, &got)
	c, err := collect.New(collect.Config{Percent: map[string]float64{"inputs": 30}})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close(context.WithoutCancel(t.Context()))) }()
	for i, kept := range got {
		require.Equal(t, c.Wants("inputs", fmt.Sprint("request-", i)), kept, i)
	}
}

const monitoredScript = `
from azureml.monitoring import ModelDataCollector
def init():
    global inputs
    inputs = ModelDataCollector("m", designation="inputs")
    try:
        ModelDataCollector("m", designation="outputs")
    except ValueError as error:
        print(error)
def run(data):
    return inputs.collect([data * (int(data) if data.isdigit() else 1)])["$aml_request_id"]
`

// TestMonitoringSendsAgain where its connection was closed between rows, and counts rows
// that are refused, unless the endpoint does.
func TestMonitoringSendsAgain(t *testing.T) {
	t.Parallel()
	got := make(chan string, 20)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get(collect.RowsHeader)
		status, _ := strconv.Atoi(string(body))
		w.WriteHeader(status)
	}))
	web.Config.ConnState = func(connection net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			_ = connection.Close()
		}
	}
	web.Start()
	defer web.Close()
	at, err := url.Parse(web.URL)
	require.NoError(t, err)
	var dropped int
	withModules(t, needPython(t), fmt.Sprintf(`
import os
os.environ.update(AZUREML_MDC_HOST=%q, AZUREML_MDC_PORT=%q)
azml_monitoring.PATIENCE = 60
for status in (b"200", b"200", b"400", b"503", b"200", b"413"):
    azml_monitoring.sender.put({}, status)
    azml_monitoring.sender.flush()
print(azml_monitoring.sender.dropped)
`, at.Hostname(), at.Port()), &dropped)
	require.Equal(t, 1, dropped, "the last one")
	close(got)
	var heads []string
	for head := range got {
		heads = append(heads, head)
	}
	none := `{"dropped": 0}`
	require.Equal(t, []string{none, none, none, `{"dropped": 1}`, none, none}, heads)
}

// TestMonitoringNeverWaits for whoever takes the rows, says how many were dropped, and
// sends what waits before the process ends.
func TestMonitoringNeverWaits(t *testing.T) {
	t.Parallel()
	dropped, goOn := make(chan int, 20), make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var rows struct{ Dropped int }
		if err := json.Unmarshal([]byte(r.Header.Get(collect.RowsHeader)), &rows); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		dropped <- rows.Dropped
		<-goOn
	}))
	defer web.Close()
	at, err := url.Parse(web.URL)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(file, collect.MonitoringConfig(map[string]float64{"inputs": 100}, nil), 0o600))
	p, log := startScript(t, monitoredScript, func(c *PythonConfig) {
		c.Env = map[string]string{"AZUREML_MDC_CONFIG_PATH": file, "AZUREML_MDC_HOST": at.Hostname(), "AZUREML_MDC_PORT": at.Port()}
	})
	ask := func(body string) {
		resp, err := p.Score(t.Context(), &Request{Method: "POST", ID: "r1", Body: []byte(body)})
		require.NoError(t, err)
		require.Equal(t, `"r1"`, string(resp.Body))
	}
	for range 6 { // of which 16 MiB find room
		ask("00500000")
	}
	ask("a little")
	close(goOn)
	require.NoError(t, p.Close(t.Context()))
	close(dropped)
	calls, lost := 0, 0
	for n := range dropped {
		calls, lost = calls+1, lost+n
	}
	require.Equal(t, []int{5, 2}, []int{calls, lost})
	require.Contains(t, log.String(), "azureml.monitoring: there is no room for rows")
	require.Contains(t, log.String(), "designation 'outputs' of a ModelDataCollector: use inputs,")
}
