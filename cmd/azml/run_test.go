package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// logging is a script for sh that logs, prints and leaves an output.
const logging = `
printf '%s\n' '{"name": "loss", "value": 0.5, "step": 1}' '{"name": "loss", "value": 0.25, "step": 2}' >> "$AZML_METRICS_FILE"
printf '%s\n' '{"name": "odd", "value": NaN}' '{"name": "high", "value": Infinity}' '{"param": "lr", "value": 0.1}' >> "$AZML_METRICS_FILE"
mkdir -p outputs && echo weights > outputs/model.txt
echo hello
`

func TestSubmittedRun(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, logging, "--tag", "team=risk,all", "--name", "first try")

	var view struct {
		runView
		Metrics map[string]summaryJSON `json:"metrics"`
	}
	s.json(t, &view, "run", "show", id)
	require.Equal(t, id, view.RunID)
	require.Equal(t, run.StatusCompleted, view.Status)
	require.Equal(t, "first try", view.DisplayName)
	require.Equal(t, map[string]string{"team": "risk,all"}, view.Tags)
	require.Equal(t, "0.1", view.Params["lr"])
	require.Equal(t, "outputs/model.txt", view.Files[0].Path)
	require.Contains(t, view.Logs, "user_logs/std_log.txt")
	require.NotEmpty(t, view.History)
	require.EqualValues(t, 2, view.Metrics["loss"].Count)
	require.Equal(t, 0.25, view.Metrics["loss"].Last.Value)
	require.Equal(t, "NaN", view.Metrics["odd"].Last.Value)
	require.Equal(t, "Infinity", view.Metrics["high"].Max)

	text := s.ok(t, "run", "show", id)
	for _, want := range []string{id, "Completed", "first try", "loss", "lr", "outputs/model.txt", "History"} {
		require.Contains(t, text, want)
	}
	require.Equal(t, "hello", s.ok(t, "run", "logs", id))
	require.Equal(t, "hello", s.ok(t, "run", "logs", id, "--follow"))
	require.Contains(t, s.ok(t, "run", "logs", id, "--list"), "system_logs/prepare.txt")
	require.Contains(t, s.fails(t, exitError, "run", "cancel", id), "conflict")
}

func TestRunMetrics(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, logging)

	var sums map[string]summaryJSON
	s.json(t, &sums, "run", "metrics", id, "--name", "loss")
	require.Len(t, sums, 1)
	require.Equal(t, 0.25, sums["loss"].Min)

	var points []metricJSON
	require.NoError(t, json.Unmarshal([]byte(s.ok(t, "run", "metrics", id, "--name", "loss", "--format", "json")), &points))
	require.Len(t, points, 2)
	require.EqualValues(t, 2, points[1].Step)

	rows, err := csv.NewReader(strings.NewReader(s.ok(t, "run", "metrics", id, "--name", "loss", "--name", "odd", "--format", "csv"))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"name", "kind", "step", "time", "value"}, rows[0])
	require.Len(t, rows, 4)
	require.Equal(t, "NaN", rows[3][4])

	lines := strings.Split(s.ok(t, "run", "metrics", id, "--name", "loss", "--follow", "-o", "json"), "\n")
	require.Len(t, lines, 2)
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &points[0]))

	chart := s.ok(t, "run", "metrics", id, "--name", "loss", "--plot")
	require.Contains(t, chart, "0.5 ┤")
	require.Contains(t, chart, "0.25 ┤")
	require.Contains(t, call(t, "", "-w", s.dir, "run", "metrics", id, "--name", "none").stderr, "No metrics")
}

func TestRunExport(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, logging)
	rows, err := csv.NewReader(strings.NewReader(s.ok(t, "run", "export", id, "--format", "csv", "--name", "loss"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	require.Equal(t, "0.25", rows[2][5])
	lines := strings.Split(s.ok(t, "run", "export", id, "--format", "jsonl"), "\n")
	require.Greater(t, len(lines), 3, "the machine's own metrics, too")
	file := filepath.Join(t.TempDir(), "metrics.parquet")
	require.Empty(t, s.ok(t, "run", "export", id, "-f", file))
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "PAR1", string(data[:4]))
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Contains(t, s.fails(t, exitUsage, "run", "export", id, "--format", "xlsx"), "parquet, csv or jsonl")
	require.Contains(t, s.fails(t, exitError, "run", "export", "none"), "not found")
}

func TestFailedRun(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.submit(t, "true") // skips where scripts don't run
	got := s.call(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--command", "--", "sh", "-c", "echo out of cheese; exit 3")
	require.Equal(t, exitError, got.code)
	require.Equal(t, "out of cheese\n", got.stdout)
	require.Contains(t, got.stderr, "exit code 3")
	require.Contains(t, got.stderr, "azml run show exp_")

	var runs []run.Details
	s.json(t, &runs, "run", "list", "--status", "failed", "-e", "exp")
	require.Len(t, runs, 1)
	text := s.ok(t, "run", "show", runs[0].RunID)
	require.Contains(t, text, "| out of cheese")
	s.ok(t, "run", "delete", runs[0].RunID)
	s.fails(t, exitError, "run", "show", runs[0].RunID)
}

func TestRunListAndTags(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Equal(t, outcome{0, "", "No runs.\n"}, s.call(t, "run", "list"))
	require.Equal(t, "[]", s.ok(t, "run", "list", "-o", "json"))
	one, two := s.submit(t, "true", "--run-id", "one"), s.submit(t, "true")
	require.Equal(t, "one", one)

	var runs []run.Details
	s.json(t, &runs, "run", "list")
	require.Len(t, runs, 2)
	require.Equal(t, two, runs[0].RunID)
	s.json(t, &runs, "run", "list", "--last", "1")
	require.Len(t, runs, 1)

	s.ok(t, "run", "tag", "one", "stage=candidate", "reviewed")
	s.json(t, &runs, "run", "list", "--tag", "reviewed", "--all")
	require.Len(t, runs, 1)
	require.Equal(t, "candidate", runs[0].Tags["stage"])
	s.ok(t, "run", "tag", "one", "--remove", "reviewed")
	require.Equal(t, "[]", s.ok(t, "run", "list", "--tag", "reviewed", "-o", "json"))
}

func TestSearch(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for id, line := range map[string]string{"low": "0.1", "high": "0.9", "none": ""} {
		script := "true"
		if line != "" {
			script = `printf '{"name": "acc", "value": ` + line + `}\n{"param": "opt", "value": "it'"'"'s"}\n' >> "$AZML_METRICS_FILE"`
		}
		s.submit(t, script, "--run-id", id, "--tag", "team=risk")
	}
	list := func(args ...string) []string {
		var runs []run.Details
		s.json(t, &runs, append([]string{"run", "list"}, args...)...)
		var ids []string
		for _, r := range runs {
			ids = append(ids, r.RunID)
		}
		return ids
	}
	require.Equal(t, []string{"high", "low", "none"}, list("--order-by", "metrics.acc desc"))
	require.Equal(t, []string{"low", "high", "none"}, list("--order-by", "metrics.acc, run_id", "-e", "exp"))
	require.Equal(t, []string{"high"}, list("--filter", "metrics.acc > 0.5 or metrics.acc is null", "--filter", "metrics.acc > 0.5", "--tag", "team=risk"))
	require.Equal(t, []string{"low"}, list("--filter", "params.opt = 'it''s' or tags.x = 'y'", "--order-by", "metrics.acc", "--last", "1", "--status", "completed"))
	require.Contains(t, s.fails(t, exitError, "run", "list", "--filter", "metrics.acc >"), "column 14")
	require.Contains(t, s.fails(t, exitError, "run", "list", "--order-by", "nothing"), "use delete_time")

	file := write(t, t.TempDir(), "m.json", "{}")
	s.ok(t, "model", "register", "--name", "m", "--path", file, "--tag", "stage=new")
	s.ok(t, "model", "register", "--name", "m", "--path", file)
	require.Contains(t, s.ok(t, "model", "list", "--filter", "version > 1", "--name", "m"), "m:2")
	require.NotContains(t, s.ok(t, "model", "list", "--filter", "tags.stage = 'new'"), "m:2")
	s.fails(t, exitUsage, "model", "list", "--filter", "version > 1", "--latest")
	require.Contains(t, s.ok(t, "experiment", "list", "--filter", "name like 'e%'", "--order-by", "creation_time desc"), "exp")
	require.Contains(t, s.call(t, "experiment", "list", "--tag", "none").stderr, "No experiments")
	require.Contains(t, s.call(t, "workspace", "reindex").stderr, "up to date")
}

func TestDownloadAndSnapshots(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, logging)
	dir := filepath.Join(t.TempDir(), "down")
	var done downloaded
	s.json(t, &done, "run", "download", id, "outputs", "--dir", dir)
	require.Equal(t, downloaded{dir, 1, 8}, done)
	text, err := os.ReadFile(filepath.Join(dir, "outputs", "model.txt"))
	require.NoError(t, err)
	require.Equal(t, "weights\n", string(text))
	require.Contains(t, s.fails(t, exitError, "run", "download", id, "--dir", dir), "--overwrite")
	s.ok(t, "run", "download", id, "--dir", dir, "--overwrite")

	src := t.TempDir()
	write(t, src, "a.txt", "one")
	submit := []string{"run", "submit", "-e", "exp", "-s", src, "--command", "--run-id"}
	s.ok(t, append(submit, "before", "--", "true")...)
	write(t, src, "a.txt", "changed")
	write(t, src, "b.txt", "new")
	s.ok(t, append(submit, "after", "--", "true")...)
	var diff run.SnapshotDiff
	s.json(t, &diff, "snapshot", "diff", "before", "after")
	require.Equal(t, "b.txt", diff.Added[0].Path)
	require.Equal(t, "a.txt", diff.Changed[0].Path)
	require.Equal(t, []run.File{}, diff.Removed)
	require.Contains(t, s.ok(t, "snapshot", "diff", "before", "after"), "+ b.txt")
	require.Contains(t, s.call(t, "snapshot", "diff", "before", "before").stderr, "the same")

	restored := filepath.Join(t.TempDir(), "src")
	s.ok(t, "snapshot", "restore", "before", restored)
	text, err = os.ReadFile(filepath.Join(restored, "a.txt"))
	require.NoError(t, err)
	require.Equal(t, "one", string(text))
}

func TestSnapshotPlan(t *testing.T) {
	t.Parallel()
	src := t.TempDir()
	write(t, src, ".gitignore", "*.tmp\n")
	write(t, src, "data/big.bin", strings.Repeat("x", 5000))
	write(t, src, "train.py", "pass")
	write(t, src, "a.tmp", "")
	var plan experiment.SnapshotPlan
	s := &shell{filepath.Join(t.TempDir(), "none")} // it needs no workspace
	s.json(t, &plan, "snapshot", "plan", src)
	require.Len(t, plan.Files, 3)
	require.Equal(t, "a.tmp", plan.Ignored[0].Path)
	require.Equal(t, "/data/big.bin", plan.Largest[0].IgnoreLine)
	require.NotNil(t, plan.Warnings)
	text := s.ok(t, "snapshot", "plan", src)
	require.Contains(t, text, "3 files, 4.9 KiB")
	require.Contains(t, text, ".gitignore:1: *.tmp")
	require.NotContains(t, text, "\nFiles\n")
	require.Contains(t, s.ok(t, "snapshot", "plan", src, "--files"), "\nFiles\n")
}

func TestRunConfig(t *testing.T) {
	t.Parallel()
	testenv.Python(t)
	s := setup(t)
	src := t.TempDir()
	write(t, src, "train.py", "import os, sys; print(sys.argv[1:], os.environ['A'], os.environ['B'])")
	write(t, src, ".azureml/gpu.runconfig", `script: train.py
arguments: [--lr, "0.1"]
target: local
environmentVariables: {A: file, B: file}
environment:
  python: {userManagedDependencies: true, interpreterPath: python3}
`)
	args := []string{"run", "submit", "-e", "exp", "-s", src, "-c", "gpu", "--env", "B=flag"}
	require.Equal(t, "['--lr', '0.1'] file flag", s.ok(t, args...))
	require.Equal(t, "['--lr', '2'] file flag", s.ok(t, append(args, "--", "--lr", "2")...))
}

func TestYAMLHasJSONsNamesAndTypes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, logging, "--tag", "number=1", "--tag", "yes=true", "--name", "a: b\n# c")
	var fromYAML, fromJSON map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(s.ok(t, "run", "show", id, "-o", "yaml")), &fromYAML))
	s.json(t, &fromJSON, "run", "show", id)
	text, err := json.Marshal(fromYAML)
	require.NoError(t, err)
	var again map[string]any
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, fromJSON, again)
}

// metricJSON and summaryJSON read what the commands print.
type metricJSON struct {
	Step  int64 `json:"step"`
	Value any   `json:"value"`
}

type summaryJSON struct {
	Count int        `json:"count"`
	Last  metricJSON `json:"last"`
	Min   any        `json:"min"`
	Max   any        `json:"max"`
}

func TestPlotShowsTheScriptsMetricsFirst(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ws, err := workspace.Open(t.Context(), s.dir, nil)
	require.NoError(t, err)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "exp", nil)
	require.NoError(t, err)
	_, err = exp.Run(t.Context(), func(_ context.Context, r *run.Run) error {
		return errors.Join(r.Log("system/cpu", 1.0, nil), r.Log("zeal", 1.0, nil))
	}, &experiment.RunOptions{RunID: "plotted"})
	require.NoError(t, err)
	require.NoError(t, ws.Close(t.Context()))
	text := s.ok(t, "run", "metrics", "plotted", "--plot")
	require.True(t, strings.HasPrefix(text, "zeal\n"), text)
	require.Contains(t, text, "\nsystem/")
}

func TestRunThatLeavesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, "true")
	got := s.call(t, "run", "logs", id)
	require.Zero(t, got.code)
	require.Empty(t, got.stdout)
	require.Contains(t, got.stderr, "no output")
	require.Contains(t, s.fails(t, exitError, "run", "logs", id, "--name", "logs/x"), "not found")
	require.Contains(t, s.fails(t, exitError, "run", "download", id, "--dir", t.TempDir()), "the run has no files")
	require.Contains(t, s.call(t, "run", "metrics", id, "--name", "loss").stderr, "No metrics")
}

func TestWhatIsSaidBeginsALine(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	s := setup(t)
	for line, want := range map[string]string{
		"printf done":    "done\nCompleted after",
		"echo done":      "done\nCompleted after",
		"printf ''":      "Completed after",
		"echo; printf x": "\nx\nCompleted after",
	} {
		var out strings.Builder
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &out}
		require.Zero(t, a.run(t.Context(), []string{"-w", s.dir, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--command", "--", "sh", "-c", line}))
		_, shown, ok := strings.Cut(out.String(), "\n") // behind the line with the run's ID
		require.True(t, ok)
		require.True(t, strings.HasPrefix(shown, want), "%q gave %q", line, shown)
	}
}

func TestGracePeriodEndsADeafScript(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	s := setup(t)
	begun := time.Now()
	got := s.call(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--max-duration", "1s", "--grace-period", "100ms", "--command", "--",
		"sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "time limit of 1s")
	require.Less(t, time.Since(begun), 9*time.Second, "the usual grace period is longer")
}

func TestVariablesOfAScript(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, `pwd -P; env`, "--env", "MINE=a b", "--env", "AZUREML_RUN_ID=forged")
	dir, rest, _ := strings.Cut(s.ok(t, "run", "logs", id), "\n")
	env := map[string]string{}
	for line := range strings.Lines(rest) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = value
	}
	var d workspace.Details
	s.json(t, &d, "workspace", "show")
	for name, want := range map[string]string{
		"AZUREML_RUN_ID": id, "AZUREML_EXPERIMENT_ID": "exp", "AZUREML_WORKSPACE_ID": d.ID,
		"AZUREML_ARM_WORKSPACE_NAME": d.Name, "AZUREML_ARM_PROJECT_NAME": "exp", "AZUREML_TARGET_TYPE": "local",
		"AZUREML_FRAMEWORK": "Python", "AZUREML_COMMUNICATOR": "None", "AZUREML_CR_NODE_RANK": "0",
		"AZUREML_CR_EXECUTION_WORKING_DIR_PATH": dir, "AZUREML_OUTPUT_DIRECTORY": filepath.Join(dir, "outputs"),
		"AZUREML_LOGDIRECTORY_PATH": filepath.Join(dir, "logs"), "AZML_METRICS_FILE": filepath.Join(filepath.Dir(dir), "metrics.jsonl"),
		"MINE": "a b",
	} {
		require.Equal(t, want, env[name], name)
	}
	require.True(t, strings.HasSuffix(env["PATH"], os.Getenv("PATH")), "the environment's own programs come before the others")
	require.NotEmpty(t, os.Getenv("XDG_CACHE_HOME"))
	require.NotContains(t, env, "XDG_CACHE_HOME", "what a script does not need stays with the submitting process")
}
