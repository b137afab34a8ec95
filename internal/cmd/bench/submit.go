package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
)

// pythonClock is a script that writes the time of its first instruction.
const pythonClock = `import time,sys; open(sys.argv[1], "w").write(str(time.time_ns()))`

// benchSubmit measures the way from Submit to the first instruction of the
// submitted command, and from its end to Completed.
func benchSubmit(ctx context.Context, b *bench) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := b.measureSubmit(ctx, "go-program", []string{self, childFlag, childClock}); err != nil {
		return err
	}
	python, err := findPython(ctx)
	if err != nil {
		fmt.Fprintln(b.log, "submit of a Python script is left out:", err)
		return nil
	}
	return b.measureSubmit(ctx, "python-S", []string{python, "-S", "-c", pythonClock})
}

// findPython gives the interpreter itself, not one of the scripts that choose
// one.
func findPython(ctx context.Context) (string, error) {
	path, err := exec.LookPath("python3")
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, path, "-c", "import sys; print(sys.executable)").Output()
	return strings.TrimSpace(string(out)), err
}

// submission is a command that is submitted, with what its rounds gave.
type submission struct {
	exp      *experiment.Experiment
	source   string
	clock    string // the file that the command writes its time to
	command  []string
	accepted []float64
	ended    []float64
	waited   []float64
}

func (b *bench) measureSubmit(ctx context.Context, name string, command []string) error {
	s, err := b.newSpace(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	exp, err := s.Experiments().CreateOrUpdate(ctx, "bench", nil)
	if err != nil {
		return err
	}
	dir, err := b.sub("source")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "train.py"), []byte("print(1)\n"), 0o600); err != nil {
		return err
	}
	clock := filepath.Join(b.dir, "clock")
	sub := &submission{exp: exp, source: dir, clock: clock, command: append(command, clock)}
	if _, err := sub.submit(ctx); err != nil { // the first one makes the environment
		return err
	}
	writes, reads, err := s.count(ctx, func(ctx context.Context) error { _, err := sub.submit(ctx); return err })
	if err != nil {
		return err
	}
	sub.accepted, sub.ended, sub.waited = nil, nil, nil
	got, err := b.rounds(ctx, sub.submit, sub.exec, sub.submitUntracked)
	if err != nil {
		return err
	}
	f := figureOf("submit-to-first-instruction-"+name, "ms", 1e3, got[0], "exec of the same command", got[1])
	f.Beside = []named{{"when the script finds no MLflow interface", 1e3 * median(got[2].value)}, {"Submit returns after", 1e3 * median(sub.accepted)}, {"durable writes of the run", float64(writes)}, {"other requests of the run", float64(reads)}}
	b.report(f)
	b.report(figure{Name: "exit-to-Completed-" + name, Value: 1e3 * median(sub.ended), Unit: "ms", N: f.N,
		Beside: []named{{"until Wait returns", 1e3 * median(sub.waited)}}})
	return nil
}

// submit submits the command and gives the time to its first instruction.
func (s *submission) submit(ctx context.Context) (sample, error) {
	begun := time.Now()
	r, accepted, first, err := s.toFirst(ctx, experiment.ScriptRunConfig{Source: s.source, Command: s.command})
	if err != nil {
		return sample{}, err
	}
	returned := time.Now()
	s.accepted = append(s.accepted, accepted.Sub(begun).Seconds())
	s.ended = append(s.ended, r.Details().Ended.Sub(first).Seconds())
	s.waited = append(s.waited, returned.Sub(first).Seconds())
	return sample{value: first.Sub(begun).Seconds()}, nil
}

// submitUntracked is submit of a script that is sent elsewhere with what it logs
// through MLflow, so that nothing is served to it.
func (s *submission) submitUntracked(ctx context.Context) (sample, error) {
	begun := time.Now()
	_, _, first, err := s.toFirst(ctx, experiment.ScriptRunConfig{Source: s.source, Command: s.command,
		Variables: map[string]string{"MLFLOW_TRACKING_URI": "http://elsewhere.invalid"}})
	return sample{value: first.Sub(begun).Seconds()}, err
}

// toFirst carries the run out. It gives when Submit returned and when the
// command began.
func (s *submission) toFirst(ctx context.Context, config experiment.ScriptRunConfig) (r *run.Run, accepted, first time.Time, err error) {
	if r, err = s.exp.Submit(ctx, config, nil); err != nil {
		return nil, accepted, first, err
	}
	accepted = time.Now()
	if err = r.Wait(ctx, nil); err == nil {
		first, err = s.readClock()
	}
	return r, accepted, first, err
}

// exec is the floor.
func (s *submission) exec(ctx context.Context) (sample, error) {
	begun := time.Now()
	if err := exec.CommandContext(ctx, s.command[0], s.command[1:]...).Run(); err != nil {
		return sample{}, err
	}
	first, err := s.readClock()
	return sample{value: first.Sub(begun).Seconds()}, err
}

func (s *submission) readClock() (time.Time, error) {
	text, err := os.ReadFile(s.clock)
	if err != nil {
		return time.Time{}, err
	}
	nanos, err := strconv.ParseInt(string(text), 10, 64)
	return time.Unix(0, nanos), err
}
