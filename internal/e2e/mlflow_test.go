package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// TestScriptWithMLflow submits a script that uses MLflow's own client.
func TestScriptWithMLflow(t *testing.T) {
	t.Parallel()
	python := testenv.MLflow(t)
	for _, allowed := range []bool{false, true} {
		t.Run(map[bool]string{false: "bounded", true: "allowed"}[allowed], func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			ws := p.open(t)
			other := logged(t, ws, "elsewhere", "elsewhere")
			exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "scripts", nil)
			require.NoError(t, err)
			logged(t, ws, "scripts", "before")
			source := t.TempDir()
			script, err := os.ReadFile("testdata/joins.py")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(source, "joins.py"), script, 0o600))
			// What the user shows another server is not shown to the run.
			home := t.TempDir()
			credentials := filepath.Join(home, ".mlflow", "credentials")
			require.NoError(t, os.MkdirAll(filepath.Dir(credentials), 0o700))
			require.NoError(t, os.WriteFile(credentials, []byte("[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = secret\n"), 0o600))
			config := experiment.ScriptRunConfig{Source: source, Script: "joins.py", Arguments: []string{"elsewhere", other.ID(), "refused"},
				Environment: environment.Spec{Name: "mlflow", Python: environment.Python{UserManaged: true, InterpreterPath: python}},
				Variables: map[string]string{"HOME": home, "HTTP_PROXY": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_DISABLE_TELEMETRY": "true",
					"MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "0.1"}}
			if allowed {
				config.Arguments[2], config.AllowWorkspace = "allowed", true
			}
			r, err := exp.Submit(t.Context(), config, nil)
			require.NoError(t, err)
			output := &bytes.Buffer{}
			require.NoError(t, r.Wait(t.Context(), &run.WaitOptions{Output: output}), "%s", output)
			checkJoined(t, ws, r)
			checkMeasuredOnce(t, r)
			clean(t, ws)
		})
	}
}

// logged makes a run that has ended.
func logged(t *testing.T, ws *workspace.Workspace, experimentName, name string) *run.Run {
	t.Helper()
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), experimentName, nil)
	require.NoError(t, err)
	r, err := exp.Run(t.Context(), func(context.Context, *run.Run) error { return nil }, &experiment.RunOptions{DisplayName: name})
	require.NoError(t, err)
	return r
}

// checkJoined looks for what the script of testdata/joins.py leaves.
func checkJoined(t *testing.T, ws *workspace.Workspace, r *run.Run) {
	t.Helper()
	ctx := t.Context()
	d := r.Details()
	require.Empty(t, d.Warnings)
	require.Equal(t, "0.1", d.Params["lr"])
	require.Equal(t, "risk", d.Tags["team"])
	sums, err := r.Summaries(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 5, sums["loss"].Count)
	for name, want := range map[string]float64{"loss": 0.2, "f1": 0.5, "auc": 0.75, "late": 3} {
		require.InDelta(t, want, sums[name].Last.Value, 0, name)
	}
	for path, want := range map[string]string{"plots/plot.txt": "a plot", "outputs/model.txt": "weights"} {
		file, err := r.Open(ctx, path)
		require.NoError(t, err)
		data, err := io.ReadAll(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, want, string(data))
	}
	children := map[string]run.Status{}
	byName := map[string]*run.Run{}
	for child, err := range r.Children(ctx, &run.ChildrenOptions{Recursive: true}) {
		require.NoError(t, err)
		name := child.Details().DisplayName
		children[name], byName[name] = child.Status(), child
	}
	require.Equal(t, map[string]run.Status{"inner": run.StatusCompleted, "innermost": run.StatusCompleted, "second": run.StatusCompleted,
		"left open": run.StatusCompleted}, children)
	require.Equal(t, byName["inner"].ID(), byName["innermost"].ParentID())
	require.Contains(t, byName["left open"].Details().Reason, r.ID())
	left, err := byName["left open"].Summaries(ctx)
	require.NoError(t, err)
	require.InDelta(t, 4, left["m"].Last.Value, 0)
	require.Equal(t, run.StatusCompleted, r.Status())
}

// checkMeasuredOnce makes sure that what the script's client measures of the machine
// and what the library does are one history.
func checkMeasuredOnce(t *testing.T, r *run.Run) {
	t.Helper()
	for _, name := range []string{"system/cpu_utilization_percentage", "system/system_memory_usage_percentage"} {
		seen := map[int64]bool{}
		for point, err := range r.Metrics(t.Context(), &run.MetricsOptions{Names: []string{name}}) {
			require.NoError(t, err)
			require.False(t, seen[point.Step], "%s has step %d twice", name, point.Step)
			seen[point.Step] = true
		}
		require.NotEmpty(t, seen)
	}
}

// TestKilledWhileAScriptLogs kills the process that drives a run while its
// script logs through MLflow's interface: what was acknowledged is there, and
// the run, and the one that the script has made, are ended.
func TestKilledWhileAScriptLogs(t *testing.T) {
	t.Parallel()
	for range size(4, 1) {
		seed := rand.Uint64N(1_000_000)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			acks := filepath.Join(t.TempDir(), "acks")
			id := fmt.Sprintf("killed-%d", seed)
			w := start(t, errand{Name: "drive", Place: p, Run: id, Dir: acks})
			require.Eventually(t, func() bool { return len(acknowledged(t, acks)) > 20 }, soon, time.Millisecond)
			time.Sleep(time.Duration(rand.Int64N(int64(100 * time.Millisecond)))) // the moment is what is random
			require.NoError(t, w.cmd.Process.Kill())
			_ = w.cmd.Wait()

			ws := p.open(t)
			r, err := ws.Runs().Get(t.Context(), id, nil)
			require.NoError(t, err)
			require.Equal(t, run.StatusFailed, r.Status())
			gone(t, ws) // so that no more is acknowledged
			seen := map[int64]int{}
			var made string
			for child, err := range r.Children(t.Context(), nil) {
				require.NoError(t, err)
				require.Equal(t, run.StatusFailed, child.Status())
				made = child.ID()
			}
			for _, one := range []string{id, made} {
				r, err := ws.Runs().Get(t.Context(), one, nil)
				require.NoError(t, err)
				for point, err := range r.Metrics(t.Context(), &run.MetricsOptions{Names: []string{"m"}}) {
					require.NoError(t, err)
					seen[point.Step]++
				}
			}
			for _, step := range acknowledged(t, acks) {
				require.Equal(t, 1, seen[step], "step %d", step)
			}
			clean(t, ws)
		})
	}
}

// acknowledged reads the steps that a script of logThroughMLflow has noted.
func acknowledged(t *testing.T, file string) (steps []int64) {
	t.Helper()
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		var step int64
		if _, err := fmt.Sscanf(line, "%d\n", &step); err == nil {
			steps = append(steps, step)
		}
	}
	return steps
}

// driveRun submits a run whose script is this program, on the errand "client".
func driveRun(ctx context.Context, ws *workspace.Workspace, e errand) error {
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "scripts", nil)
	if err != nil {
		return err
	}
	source, err := os.MkdirTemp(filepath.Dir(e.Dir), "source")
	if err != nil {
		return err
	}
	text, err := json.Marshal(errand{Name: "client", Dir: e.Dir})
	if err != nil {
		return err
	}
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{Source: source, Command: []string{os.Args[0]},
		Variables: map[string]string{errandVariable: string(text)}}, &experiment.SubmitOptions{RunID: e.Run})
	if err != nil {
		return err
	}
	return r.Wait(ctx, nil)
}

// logThroughMLflow logs to its run and to a child in turn, for ever, and notes
// each step that was acknowledged.
func logThroughMLflow(ctx context.Context, e errand) error {
	acks, err := os.Create(e.Dir)
	if err != nil {
		return err
	}
	var made struct {
		Run struct {
			Info struct {
				RunID string `json:"run_id"`
			} `json:"info"`
		} `json:"run"`
	}
	if err := askMLflow(ctx, "runs/create", map[string]any{"experiment_id": os.Getenv("MLFLOW_EXPERIMENT_ID")}, &made); err != nil {
		return err
	}
	runs := []string{os.Getenv("MLFLOW_RUN_ID"), made.Run.Info.RunID}
	for step := 0; ; step++ {
		point := map[string]any{"run_id": runs[step%2], "key": "m", "value": step, "step": step, "timestamp": step}
		if err := askMLflow(ctx, "runs/log-metric", point, nil); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(acks, "%d\n", step); err != nil {
			return err
		}
	}
}

// askMLflow sends a message as a script's client does.
func askMLflow(ctx context.Context, path string, message map[string]any, answer any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("MLFLOW_TRACKING_URI")+"/api/2.0/mlflow/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+os.Getenv("MLFLOW_TRACKING_TOKEN"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, data)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}
