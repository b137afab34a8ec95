package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// The past runs that searches are among, and the points of the metric of one of
// them whose history is read.
const (
	pastCount   = 10_000
	historySize = 100_000
)

// trackingTime is more than the group needs on a busy machine: it is there to
// end a server that hangs.
const trackingTime = 15 * time.Minute

// inTurn measures `azml server` beside bare net/http and, if it is asked for,
// MLflow's own server, by the same calls of MLflow's tracking API, step by step.
func inTurn(steps ...func(*trackers, context.Context) error) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error { return b.inTurn(ctx, steps) }
}

// The steps of the groups of the server.
var (
	benchServer = inTurn((*trackers).logMetric, (*trackers).pythonLogMetric, (*trackers).logBatch, (*trackers).createRun,
		(*trackers).history, (*trackers).firstSearch, (*trackers).searchPage, (*trackers).searchAll)
	benchServerFiles = inTurn((*trackers).bigArtifact, (*trackers).smallArtifacts, (*trackers).modelVersions, (*trackers).loadRuns)
)

func (b *bench) inTurn(ctx context.Context, steps []func(*trackers, context.Context) error) (err error) {
	if !b.big {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, trackingTime)
		defer cancel()
	}
	s := &trackers{bench: b}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, step := range slices.Concat([]func(*trackers, context.Context) error{(*trackers).startAll}, steps,
		[]func(*trackers, context.Context) error{(*trackers).peakMemory, (*trackers).memory}) {
		err := step(s, ctx)
		for failed := (*peerError)(nil); errors.As(err, &failed) && ctx.Err() == nil; err = step(s, ctx) {
			s.leave(failed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// trackers are the servers that are measured in turn: ours, the floor, peers.
type trackers struct {
	bench *bench
	all   []*tracker
}

// tracker is a server of MLflow's tracking API, or the floor, which answers
// everything alike.
type tracker struct {
	*server
	floor bool
	peer  bool // another program's
	http  *http.Client
	past  string // ID of the experiment of the past runs
	long  string // ID of the run with the long history

	experiment, run string // IDs of those of the load
	artifacts       string // path of the run's artifacts
	count           atomic.Int64
}

func newTracker(s *server) *tracker {
	return &tracker{server: s, http: &http.Client{Transport: &http.Transport{}}}
}

// stop ends the servers.
func (s *trackers) stop() (err error) {
	for _, t := range s.all {
		t.http.CloseIdleConnections()
		if t.floor {
			err = errors.Join(err, t.server.stop())
		} else {
			t.interrupt()
		}
	}
	return err
}

// startAll starts the servers, one after the other, and makes what the load
// needs.
func (s *trackers) startAll(ctx context.Context) error {
	bare, err := s.bench.startChild(ctx, "bare net/http", childBare)
	if err != nil {
		return err
	}
	floor := newTracker(bare)
	floor.floor = true
	s.all = []*tracker{floor} // so that it is stopped if ours fails
	ours, err := s.bench.startAzml(ctx)
	if err != nil {
		return err
	}
	s.all = []*tracker{ours, floor}
	if s.bench.versus(peerMLflow) {
		if err := s.startPeers(ctx); err != nil {
			return err
		}
	}
	for _, t := range s.all {
		if err := t.prepare(ctx); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	s.report("server-start", "ms", 1e3, s.once(func(t *tracker) float64 { return t.started }), lasting{},
		"from exec to the first answer, of a workspace or database with the past runs")
	return nil
}

// startAzml builds azml, and starts its server in a workspace with past runs.
func (b *bench) startAzml(ctx context.Context) (*tracker, error) {
	dir, err := b.sub("azml")
	if err != nil {
		return nil, err
	}
	binary, workspace := filepath.Join(dir, "azml.exe"), filepath.Join(dir, "workspace")
	if err := command(ctx, "go", "build", "-o", binary, "github.com/azml-go/azml/cmd/azml"); err != nil {
		return nil, err
	}
	env := append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_STATE_HOME="+dir, "XDG_DATA_HOME="+dir, "LocalAppData="+dir, "AppData="+dir)
	create := exec.CommandContext(ctx, binary, "init", workspace, "--no-config")
	create.Env = env
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("azml init: %w: %s", err, out)
	}
	past, err := b.newPastRuns(ctx, workspace, pastCount)
	if err != nil {
		return nil, err
	}
	for i := range pastCount {
		if _, err := past.run(i); err != nil {
			return nil, err
		}
	}
	s, err := startServer(ctx, "azml server", "/health", func(port string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, binary, "server", "-w", workspace, "--listen", "127.0.0.1:"+port)
		cmd.Env = env
		return cmd
	})
	if err != nil {
		return nil, err
	}
	t := newTracker(s)
	return t, t.fill(ctx)
}

// fill makes the experiment of the past runs, which are there, and the long
// history.
func (t *tracker) fill(ctx context.Context) error {
	var made struct {
		Experiment string `json:"experiment_id"`
	}
	if err := t.post(ctx, "experiments/create", object{"name": "bench"}, &made); err != nil {
		return err
	}
	t.past = made.Experiment
	other := object{"name": "history"}
	if err := t.post(ctx, "experiments/create", other, &made); err != nil {
		return err
	}
	run, err := t.newRun(ctx, made.Experiment)
	if err != nil {
		return err
	}
	t.long = run.ID
	for first := 0; first < historySize; first += batchSize {
		if err := t.sendBatch(ctx, t.long, first); err != nil {
			return err
		}
	}
	return t.post(ctx, "runs/update", object{"run_id": t.long, "status": "FINISHED", "end_time": time.Now().UnixMilli()}, nil)
}

// prepare makes the run of the load.
func (t *tracker) prepare(ctx context.Context) error {
	var made struct {
		Experiment string `json:"experiment_id"`
	}
	if err := t.post(ctx, "experiments/create", object{"name": "load"}, &made); err != nil {
		return err
	}
	t.experiment = made.Experiment
	run, err := t.newRun(ctx, t.experiment)
	t.run, t.artifacts = run.ID, strings.TrimPrefix(run.Artifacts, "mlflow-artifacts:/")
	return err
}

// object is a JSON object.
type object map[string]any

// runInfo is what a created run is known by.
type runInfo struct {
	ID        string `json:"run_id"`
	Artifacts string `json:"artifact_uri"`
}

// newRun creates a run.
func (t *tracker) newRun(ctx context.Context, experiment string) (runInfo, error) {
	var made struct{ Run struct{ Info runInfo } }
	err := t.post(ctx, "runs/create", object{"experiment_id": experiment, "start_time": time.Now().UnixMilli()}, &made)
	return made.Run.Info, err
}

// post makes a call of the API; out may be nil.
func (t *tracker) post(ctx context.Context, path string, in object, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := t.call(ctx, http.MethodPost, "2.0/mlflow/"+path, bytes.NewReader(data))
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// call makes a request, and gives the whole answer.
func (t *tracker) call(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	resp, err := t.do(ctx, method, path, body, -1)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// do makes a request. A body of unknown type needs its length, others -1. An answer but 200
// is an error.
func (t *tracker) do(ctx context.Context, method, path string, body io.Reader, length int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+t.target.Address+"/api/"+path, body)
	if err != nil {
		return nil, err
	}
	if length >= 0 {
		req.ContentLength = length
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return nil, fmt.Errorf("%s answered %s %s with %s: %s", t.name, method, path, resp.Status, said)
	}
	return resp, nil
}

// memory reports the memory of the servers after all that load.
func (s *trackers) memory(ctx context.Context) error {
	var failed error
	got := s.once(func(t *tracker) float64 {
		p, err := process.NewProcessWithContext(ctx, int32(t.cmd.Process.Pid))
		if err != nil {
			failed = err
			return 0
		}
		return treeMemory(ctx, p)
	})
	s.report("server-memory", "MB", 1e-6, got, lasting{}, "resident memory after the load, of all its processes")
	return failed
}

// peakMemory reports the most memory that our server had up to now, where /proc
// tells it.
func (s *trackers) peakMemory(context.Context) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.all[0].cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return fmt.Errorf("the peak of memory: %w", err)
	}
	s.bench.report(figure{Name: "server-memory-peak", Value: kib * 1024 / 1e6, Unit: "MB", N: 1, Note: "resident memory of azml server at its highest, up to now"})
	return nil
}

// treeMemory gives the resident bytes of a process and its children.
func treeMemory(ctx context.Context, p *process.Process) (total float64) {
	for _, one := range append(descendants(p), p) {
		if info, err := one.MemoryInfoWithContext(ctx); err == nil { // else it has ended
			total += float64(info.RSS)
		}
	}
	return total
}
