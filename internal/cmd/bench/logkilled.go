package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

const (
	// keptPoints is the number of points that are logged before the kill.
	keptPoints = 1000
	// catchUp is how long the peers' own processes, which outlive the killed
	// one, may go on to store.
	catchUp = 10 * time.Second
)

// logKilled counts the points that are there after the process that logged
// them was killed with SIGKILL right after its last call returned.
func (b *bench) logKilled(ctx context.Context) error {
	if runtime.GOOS == "windows" { // has no signals
		return nil
	}
	ours, err := b.killedOurs(ctx)
	if err != nil {
		return err
	}
	f := figure{Name: "log-killed", Value: float64(ours), Unit: "points", N: keptPoints,
		Note: fmt.Sprintf("of %d that were logged, those read back after the process was killed right after its last call; a peer's other processes have had %s to go on",
			keptPoints, catchUp)}
	for _, p := range b.logPeersAsked() {
		kept, err := p.killed(ctx, b)
		if err != nil {
			return err
		}
		f.Beside = append(f.Beside, named{p.title, kept})
	}
	b.report(f)
	return nil
}

func (b *bench) killedOurs(ctx context.Context) (points int, err error) {
	dir, err := b.sub("killed")
	if err != nil {
		return 0, err
	}
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	if err := untilKilled(exec.CommandContext(ctx, program, childFlag, childLog, dir)); err != nil {
		return 0, err
	}
	ws, err := openIn(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, ws.Close(context.WithoutCancel(ctx))) }()
	for r, err := range ws.Runs().List(ctx, nil) {
		if err != nil {
			return 0, err
		}
		for _, err := range r.Metrics(ctx, &run.MetricsOptions{Names: []string{"kept"}}) {
			if err != nil {
				return 0, err
			}
			points++
		}
	}
	return points, nil
}

// untilKilled runs a program that kills itself.
func untilKilled(cmd *exec.Cmd) error {
	cmd.WaitDelay = catchUp
	_, err := cmd.Output()
	if cmd.ProcessState == nil {
		return err
	}
	if code := cmd.ProcessState.ExitCode(); code != -1 { // it got to an end
		return fmt.Errorf("%s should have been killed and ended with %d%s", filepath.Base(cmd.Path), code, stderrOf(err))
	}
	return nil
}

// logAndDie is what the killed process does.
func logAndDie(ctx context.Context, dir string) error {
	ws, err := openIn(ctx, dir)
	if err != nil {
		return err
	}
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "bench", nil)
	if err != nil {
		return err
	}
	r, err := exp.StartLogging(ctx, nil)
	if err != nil {
		return err
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	for i := range keptPoints {
		if err := r.Log("kept", float64(i)*0.37, &run.LogOptions{Step: int64(i)}); err != nil {
			return err
		}
	}
	return self.Kill()
}

// openIn opens the workspace of a scratch folder, and makes it when it is not
// there.
func openIn(ctx context.Context, dir string) (*workspace.Workspace, error) {
	return workspace.Open(ctx, filepath.Join(dir, "workspace"), optionsIn(dir))
}

func optionsIn(dir string) *workspace.OpenOptions {
	return &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "secrets.key")}
}

// killed gives the number of the peer's points that are there. It counts until
// all are, or the time to catch up is over.
func (p logPeer) killed(ctx context.Context, b *bench) (kept float64, err error) {
	folder, err := b.sub(p.peer + "-killed")
	if err != nil {
		return 0, err
	}
	python, err := b.venv(ctx, p.peer, p.packages)
	if err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	if err := untilKilled(exec.CommandContext(limited, python, "-c", p.script+logPeerMain, "die", folder, p.way, fmt.Sprint(keptPoints))); err != nil {
		return 0, fmt.Errorf("%s: %w", p.title, err)
	}
	if err := limited.Err(); err != nil { // the time was over, not the script
		return 0, fmt.Errorf("%s: %w", p.title, err)
	}
	for begun := time.Now(); ; {
		late := time.Since(begun) > catchUp
		kept, err = p.do(ctx, python, "count", folder, keptPoints)
		if err != nil || late || kept >= keptPoints {
			return kept, err
		}
	}
}
