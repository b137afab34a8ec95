package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// peerTime bounds one round of a peer, with the start of its interpreter.
const peerTime = 2 * time.Minute

// logPeer is one way to log points with a peer's Python client.
type logPeer struct {
	peer     string   // as -vs names it
	title    string   // as figures name it
	packages []string // of pip
	script   string   // defines start and count, see logPeerMain
	way      string   // which of start's functions logs
	points   int      // of a round
}

var logPeers = []logPeer{
	{peerWandb, "wandb, offline", wandbPackages, wandbLogScript, "log", 2000},
	{peerMLflow, "mlflow on SQLite, log_metric", mlflowPackages, mlflowLogScript, "log_metric", 200},
	{peerMLflow, "mlflow on SQLite, log_batch of 1,000", mlflowPackages, mlflowLogScript, "log_batch", 20_000},
	{peerAim, "aim, Run.track", aimPackages, aimLogScript, "track", 2000},
}

// logPeerMain follows a peer's script, which defines start(folder), giving the
// functions that log n points of a name by the ways' names, and how to finish,
// and count(folder), giving how many points named "kept" are there. It prints
// the seconds of a point, logs and kills itself, or prints the count.
const logPeerMain = `
import os, sys, time
verb, folder, way, n = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
if verb == "count":
    print("took", count(folder))
    sys.exit()
ways, finish = start(folder)
log = ways[way]
if verb == "die":
    log("kept", n)
    os.kill(os.getpid(), 9)
log("warm", n // 10)
begun = time.perf_counter()
log("loss", n)
took = time.perf_counter() - begun
finish()
print("took", took / n)
`

// wandbLogScript counts in the file of an offline run, a log of LevelDB's kind,
// as only the server of Weights & Biases reads it.
const wandbLogScript = `
import glob, os, struct
os.environ["WANDB_SILENT"] = "true"
import wandb
from wandb.proto import wandb_internal_pb2
def start(folder):
    run = wandb.init(mode="offline", project="bench", dir=folder)
    def log(name, n):
        for i in range(n):
            run.log({name: i * 0.37})
    return {"log": log}, run.finish
def count(folder):
    [path] = glob.glob(os.path.join(folder, "wandb", "offline-run-*", "run-*.wandb"))
    with open(path, "rb") as f:
        data = f.read()
    at, part, found = 7, b"", 0
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        size, kind = struct.unpack("<HB", data[at + 4:at + 7])
        part += data[at + 7:at + 7 + size]
        at += 7 + size
        if kind in (1, 4) and at <= len(data): # a whole record, or the last part of one
            record = wandb_internal_pb2.Record.FromString(part)
            found += sum(item.key == "kept" or list(item.nested_key) == ["kept"] for item in record.history.item)
            part = b""
    return found
`

// mlflowLogScript makes the database in the first round and goes on with it.
const mlflowLogScript = `
import itertools, logging, os, time
logging.disable(logging.CRITICAL)
from mlflow import MlflowClient
from mlflow.entities import Metric
def client(folder):
    return MlflowClient("sqlite:///" + os.path.join(folder, "mlflow.db"))
def start(folder):
    c, steps = client(folder), itertools.count()
    experiment = c.get_experiment_by_name("bench")
    run = c.create_run(experiment.experiment_id if experiment else c.create_experiment("bench")).info.run_id
    def log_metric(name, n):
        for i in range(n):
            c.log_metric(run, name, i * 0.37, step=next(steps))
    def log_batch(name, n):
        for first in range(0, n, 1000):
            now = int(time.time() * 1000)
            c.log_batch(run, metrics=[Metric(name, i * 0.37, now, next(steps)) for i in range(first, first + 1000)])
    return {"log_metric": log_metric, "log_batch": log_batch}, lambda: c.set_terminated(run)
def count(folder):
    c = client(folder)
    [run] = c.search_runs([c.get_experiment_by_name("bench").experiment_id])
    return len(c.get_metric_history(run.info.run_id, "kept"))
`

// aimLogScript logs without what Aim measures and captures by itself. Before it
// counts it indexes the run, as "aim up" does.
const aimLogScript = `
import itertools
from aim import Repo, Run
from aim.sdk.index_manager import RepoIndexManager
def start(folder):
    run, steps = Run(repo=folder, experiment="bench", system_tracking_interval=None, capture_terminal_logs=False), itertools.count()
    def track(name, n):
        for i in range(n):
            run.track(i * 0.37, name=name, step=next(steps))
    return {"track": track}, run.close
def count(folder):
    [run] = Repo(folder).list_all_runs()
    RepoIndexManager.get_index_manager(Repo(folder)).index(run)
    found = [m for m in Run(run, repo=Repo(folder), read_only=True).metrics() if m.name == "kept"]
    return sum(len(m.values.sparse_numpy()[1]) for m in found)
`

// logPeersAsked gives the ways to log of the peers that are asked for.
func (b *bench) logPeersAsked() []logPeer {
	var asked []logPeer
	for _, p := range logPeers {
		if b.versus(p.peer) {
			asked = append(asked, p)
		}
	}
	return asked
}

// side measures a point of the peer, in a run of its own for each round.
func (p logPeer) side(ctx context.Context, b *bench) (side, error) {
	folder, err := b.sub(p.peer)
	if err != nil {
		return nil, err
	}
	python, err := b.venv(ctx, p.peer, p.packages)
	return func(ctx context.Context) (sample, error) {
		value, err := p.do(ctx, python, "time", folder, p.points)
		return sample{value: value}, err
	}, err
}

// do runs the script and gives the number that it prints.
func (p logPeer) do(ctx context.Context, python, verb, folder string, n int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", p.script+logPeerMain, verb, folder, p.way, strconv.Itoa(n))
	cmd.WaitDelay = catchUp
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w%s", p.title, err, stderrOf(err))
	}
	_, text, _ := strings.Cut(string(out), "took ")
	value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.title, err)
	}
	return value, nil
}

// stderrOf gives what the program wrote to its standard error.
func stderrOf(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return ": " + string(exit.Stderr)
	}
	return ""
}
