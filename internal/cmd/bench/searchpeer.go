package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
)

// mlflowPackages are MLflow's client and what its SQL store needs.
var mlflowPackages = []string{"mlflow-skinny==3.17.2", "sqlalchemy", "alembic"}

// mlflowFill fills MLflow's SQLite store with runs as those of pastRuns, by SQL,
// as its client takes minutes for 10,000.
const mlflowFill = `
import json, logging, os, random, sqlite3, statistics, sys, time, uuid
logging.disable(logging.CRITICAL)
from mlflow import MlflowClient
path, n = sys.argv[1], int(sys.argv[2])
client = MlflowClient("sqlite:///" + path)
experiment = client.create_experiment("bench")
db = sqlite3.connect(path)
rng = random.Random(1)
for i in range(n):
    run, start = uuid.UUID(int=rng.getrandbits(128)).hex, 1700000000000 + i * 1000
    db.execute("INSERT INTO runs(run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
               " VALUES(?, ?, 'UNKNOWN', '', '', 'bench', 'FINISHED', ?, ?, '', 'active', ?, ?)", (run, "run", start, start + 60000, "file:///none/" + run, experiment))
    values = [(f"m{k}", rng.random(), start, run) for k in range(10)]
    db.executemany("INSERT INTO metrics(key, value, timestamp, run_uuid, step, is_nan) VALUES(?, ?, ?, ?, 1, 0)", values)
    db.executemany("INSERT INTO latest_metrics(key, value, timestamp, run_uuid, step, is_nan) VALUES(?, ?, ?, ?, 1, 0)", values)
    db.executemany("INSERT INTO params(key, value, run_uuid) VALUES(?, ?, ?)", [(f"p{k}", f"v{rng.randrange(10)}", run) for k in range(10)])
    db.executemany("INSERT INTO tags(key, value, run_uuid) VALUES(?, ?, ?)", [(f"t{k}", f"w{rng.randrange(100)}", run) for k in range(5)])
db.commit()
db.execute("ANALYZE")
db.close()
`

// mlflowAsk prints the seconds that the client's search_runs takes for each
// question.
const mlflowAsk = `
size, seconds, questions = int(sys.argv[3]), float(sys.argv[4]), json.loads(sys.argv[5])
took = {}
for q in questions:
    order = [q["order"]] if q["order"] else None
    rounds, begun = [], time.perf_counter()
    client.search_runs([experiment], q["filter"], max_results=size, order_by=order)
    while len(rounds) < 5 or time.perf_counter() - begun < seconds:
        t = time.perf_counter()
        client.search_runs([experiment], q["filter"], max_results=size, order_by=order)
        rounds.append(time.perf_counter() - t)
    took[q["name"]] = statistics.median(rounds)
print("took", json.dumps(took))
`

// mlflowSearch gives the seconds that MLflow's client takes for the questions
// that it understands, by their names, when it is asked for.
func (b *bench) mlflowSearch(ctx context.Context, n int) (map[string]float64, error) {
	if !b.versus(peerMLflow) {
		return nil, nil
	}
	python, err := b.venv(ctx, peerMLflow, mlflowPackages)
	if err != nil {
		return nil, err
	}
	dir, err := b.sub("mlflow")
	if err != nil {
		return nil, err
	}
	var ask []map[string]string
	for _, q := range questions {
		if q.mlflow {
			ask = append(ask, map[string]string{"name": q.name, "filter": q.filter, "order": q.order})
		}
	}
	text, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, python, "-c", mlflowFill+mlflowAsk, filepath.Join(dir, "mlflow.db"), fmt.Sprint(n), fmt.Sprint(pageSize),
		fmt.Sprint(b.seconds), string(text)).Output()
	if err != nil {
		return nil, fmt.Errorf("mlflow: %w", err)
	}
	took := map[string]float64{}
	return took, json.Unmarshal(out[len("took "):], &took)
}
