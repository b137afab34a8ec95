package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// mlflowServerPackages are MLflow with its server.
var mlflowServerPackages = []string{"mlflow==3.17.2"}

// mlflowServerPython gives the interpreter that the tests use, if they named
// one, or one with the packages installed.
func (b *bench) mlflowServerPython(ctx context.Context) (string, error) {
	if given := os.Getenv("AZML_TEST_MLFLOW_PYTHON"); given != "" {
		return given, nil
	}
	return b.venv(ctx, peerMLflow+"-server", mlflowServerPackages)
}

// mlflowHistory gives one of the runs that mlflowFill made a long metric, and
// prints what the runs are known by.
const mlflowHistory = `
db = sqlite3.connect(path)
db.executemany("INSERT INTO metrics(key, value, timestamp, run_uuid, step, is_nan) VALUES('loss', ?, ?, ?, ?, 0)",
               [(1 / i, start + i, run, i) for i in range(1, int(sys.argv[3]) + 1)])
db.execute("INSERT INTO latest_metrics(key, value, timestamp, run_uuid, step, is_nan) VALUES('loss', ?, ?, ?, ?, 0)", (1 / int(sys.argv[3]), start, run, int(sys.argv[3])))
db.commit()
db.execute("ANALYZE")
db.close()
print(json.dumps({"experiment": experiment, "run": run}))
`

// startPeers starts MLflow's server as it is by default, and with one worker:
// they differ more than other servers do.
func (s *trackers) startPeers(ctx context.Context) error {
	python, err := s.bench.mlflowServerPython(ctx)
	if err != nil {
		return err
	}
	filled, err := s.bench.fillMLflow(ctx, python)
	if err != nil {
		return err
	}
	for _, peer := range []struct {
		name string
		args []string
	}{
		{"mlflow server", nil},
		{"mlflow server --workers 1", []string{"--workers", "1"}},
	} {
		t, err := s.bench.startMLflow(ctx, python, filled, peer.name, peer.args)
		if err != nil {
			return err
		}
		s.all = append(s.all, t)
	}
	return nil
}

// filledMLflow is a database of MLflow's with past runs, of which each server
// gets a copy.
type filledMLflow struct {
	dir, Experiment, Run string
}

// mlflowDatabase is the database's name in its folder.
const mlflowDatabase = "mlflow.db"

// fillMLflow makes the database.
func (b *bench) fillMLflow(ctx context.Context, python string) (*filledMLflow, error) {
	dir, err := b.sub("mlflow")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, "-c", mlflowFill+mlflowHistory, filepath.Join(dir, mlflowDatabase), fmt.Sprint(pastCount), fmt.Sprint(historySize))
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("mlflow: %w", err)
	}
	made := &filledMLflow{dir: dir}
	return made, json.Unmarshal(out, made)
}

// startMLflow starts MLflow's server with a copy of a database.
func (b *bench) startMLflow(ctx context.Context, python string, made *filledMLflow, name string, args []string) (*tracker, error) {
	dir, err := b.sub("mlflow")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(dir, os.DirFS(made.dir)); err != nil {
		return nil, err
	}
	database := filepath.Join(dir, mlflowDatabase)
	s, err := startServer(ctx, name, "/health", func(port string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, python, append([]string{"-m", "mlflow", "server", "--backend-store-uri", "sqlite:///" + database,
			"--artifacts-destination", filepath.Join(dir, "artifacts"), "--host", "127.0.0.1", "--port", port}, args...)...)
		cmd.Dir = dir
		return cmd
	})
	if err != nil {
		return nil, err
	}
	t := newTracker(s)
	t.peer = true
	t.past, t.long = made.Experiment, made.Run
	return t, nil
}

// pythonScript logs points by MLflow's client to all servers in turn, and
// prints the seconds that one takes, a list for each server.
const pythonScript = `
import json, logging, sys, time
logging.disable(logging.CRITICAL)
from mlflow import MlflowClient
seconds, servers = float(sys.argv[1]), json.loads(sys.argv[2])
clients = [(MlflowClient(s["uri"]), s["run"]) for s in servers]
took = [[] for _ in clients]
step, begun = 0, None
while begun is None or len(took[0]) < 5 or time.perf_counter() - begun < seconds * len(clients):
    for i, (client, run) in enumerate(clients):
        t = time.perf_counter()
        for _ in range(10):
            step += 1
            client.log_metric(run, "python", 1 / step, step=step)
        if begun is not None:
            took[i].append((time.perf_counter() - t) / 10)
    begun = begun or time.perf_counter()
print(json.dumps(took))
`

// pythonLogMetric measures single points by MLflow's Python client.
func (s *trackers) pythonLogMetric(ctx context.Context) error {
	if !s.bench.versus(peerMLflow) {
		return nil // whose client it is
	}
	python, err := s.bench.mlflowServerPython(ctx)
	if err != nil {
		return err
	}
	var ask []map[string]string
	for _, t := range s.all {
		ask = append(ask, map[string]string{"uri": "http://" + t.target.Address, "run": t.run})
	}
	text, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, python, "-c", pythonScript, fmt.Sprint(s.bench.seconds), string(text)).Output()
	if err != nil {
		return fmt.Errorf("MLflow's client: %w", err)
	}
	var took [][]float64
	if err := json.Unmarshal(out, &took); err != nil {
		return err
	}
	got := make([]series, len(took))
	for i := range took {
		got[i].value = took[i]
	}
	s.report("server-log-metric-python-client", "ms", 1e3, got, lasting{}, "one thread; most of it is the client's")
	return nil
}
