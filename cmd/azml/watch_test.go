package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/term"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/run"
)

func TestWatchWithoutATerminal(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Contains(t, s.fails(t, exitError, "run", "watch"), `no run is going on: start one with "azml run submit"`)
	id := s.submit(t, logging)
	require.Contains(t, s.fails(t, exitError, "run", "watch"), "no run is going on", "one that has ended is not")

	got := s.call(t, "run", "watch", id, "--interval", "1h")
	require.Zero(t, got.code, got.stderr)
	require.Regexp(t, `^\d\d:\d\d:\d\d  Completed\n`, got.stdout)
	for _, want := range []string{"  2 steps", "high=+Inf", "loss=0.25", "odd=NaN", "  | hello\n", "\nMETRIC  "} {
		require.Contains(t, got.stdout, want)
	}
	require.Contains(t, got.stderr, "Completed after")
	require.NotContains(t, s.ok(t, "run", "watch", id, "--lines", "0"), "hello")
	picked := s.ok(t, "run", "watch", id, "--metric", "lo*", "--metric", "system/cpu*")
	require.Contains(t, picked, "loss=0.25")
	require.Contains(t, picked, "system/cpu_utilization_percentage")
	require.NotContains(t, picked, "odd")
	require.Contains(t, s.ok(t, "run", "watch", id, "--steps", "4"), "50%, 2 of 4 steps")

	failed := s.call(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--run-id", "bad", "--command", "--", "sh", "-c", "exit 3")
	require.Equal(t, exitError, failed.code)
	require.Contains(t, s.call(t, "run", "watch", "bad").stderr, "exit code 3")
	require.Equal(t, exitError, s.call(t, "run", "watch", "bad").code)
}

func TestWatchAsJSON(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, logging, "--tag", "steps=4")
	var kinds []string
	metrics := map[string]summaryJSON{}
	for line := range strings.SplitSeq(s.ok(t, "run", "watch", id, "-o", "json"), "\n") {
		var e struct {
			Event, RunID, Status string
			Progress             struct{ Done, Total, Part float64 }
			Metric               struct {
				Name string
				summaryJSON
			}
			Lines []string
			Run   run.Details
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		require.Equal(t, id, e.RunID)
		kinds = append(kinds, e.Event)
		switch e.Event {
		case "status":
			require.Equal(t, "Completed", e.Status)
		case "progress":
			require.Equal(t, []float64{2, 4, 0.5}, []float64{e.Progress.Done, e.Progress.Total, e.Progress.Part})
		case "metric":
			metrics[e.Metric.Name] = e.Metric.summaryJSON
		case "output":
			require.Equal(t, []string{"hello"}, e.Lines)
		case "end":
			require.Equal(t, "0.1", e.Run.Params["lr"])
		}
	}
	require.Equal(t, []string{"end", "metric", "output", "progress", "status"}, slices.Compact(slices.Sorted(slices.Values(kinds))))
	require.Equal(t, "end", kinds[len(kinds)-1])
	require.Equal(t, 0.25, metrics["loss"].Min)
	require.Equal(t, "NaN", metrics["odd"].Last.Value)
	require.Contains(t, metrics, "system/cpu_utilization_percentage")
}

// waiting is a run that logs, prints and waits for a file.
const waiting = `
printf '%s\n' '{"param": "epochs", "value": 10}' >> "$AZML_METRICS_FILE"
for i in 1 2 3; do printf '{"name": "loss", "value": 0.%s, "step": %s}\n' $i $i >> "$AZML_METRICS_FILE"; printf 'epoch %s \033[2J\033]0;owned\007\n' $i; done
while ! [ -e "$0" ]; do sleep 0.05; done
exit $(cat "$0")
`

// goingOn submits a run that goes on until the file is written, with its exit
// code.
func (s *shell) goingOn(t *testing.T, id string) (file string) {
	t.Helper()
	needsProcesses(t)
	file = filepath.Join(t.TempDir(), "go")
	cmd := s.command(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--run-id", id, "--command", "--", "sh", "-c", waiting, file)
	cmd = &exec.Cmd{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env} // it outlives the test's context
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { // the run ends before its workspace is removed
		if _, err := os.Stat(file); err != nil {
			write(t, filepath.Dir(file), "go", "0")
		}
		_, _ = io.Copy(io.Discard, pipe)
		_ = cmd.Wait() // with the code of the run
	})
	_, err = bufio.NewReader(pipe).ReadString('\n')
	require.NoError(t, err, "it runs")
	return file
}

func TestInterruptedWatchLeavesTheRun(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.goingOn(t, "long")
	cmd := s.command(t, "run", "watch", "--interval", "50ms")
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(pipe)
	for lines.Scan() && !strings.Contains(lines.Text(), "| epoch 3") {
		require.NotContains(t, lines.Text(), "\x1b")
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	for lines.Scan() {
	}
	exit := &exec.ExitError{}
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, exitCanceled, exit.ExitCode(), stderr.String())
	require.Contains(t, stderr.String(), "The run goes on.")
	require.Equal(t, run.StatusRunning, s.status(t, "long"))
}

// screen is a terminal on which azml runs.
type screen struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	before *term.State
	output chan string // all of it, when it has ended
	seen   chan string // what came so far, again and again
}

// onTerminal runs azml on a terminal of a size.
func (s *shell) onTerminal(t *testing.T, columns, rows uint16, args ...string) *screen {
	t.Helper()
	cmd := s.command(t, args...)
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", "NO_COLOR=")
	master, slave, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, pty.Setsize(master, &pty.Winsize{Cols: columns, Rows: rows}))
	before, err := term.GetState(int(master.Fd()))
	require.NoError(t, err)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	require.NoError(t, cmd.Start())
	require.NoError(t, slave.Close())
	sc := &screen{t: t, cmd: cmd, master: master, before: before, output: make(chan string, 1), seen: make(chan string, 1)}
	go sc.read()
	t.Cleanup(func() { master.Close() })
	return sc
}

func (sc *screen) read() {
	var all strings.Builder
	buffer := make([]byte, 1<<16)
	for {
		n, err := sc.master.Read(buffer) // Linux ends it with EIO
		all.Write(buffer[:n])
		select {
		case <-sc.seen:
		default:
		}
		sc.seen <- all.String()
		if err != nil {
			sc.output <- all.String()
			return
		}
	}
}

// await waits until the last frame is as it should be.
func (sc *screen) await(what string, is func(lines []string) bool) {
	sc.t.Helper()
	deadline := time.After(2 * time.Minute)
	last := ""
	for {
		select {
		case last = <-sc.seen:
		case <-deadline:
			sc.t.Fatalf("%s: never; the last was %q", what, last)
		}
		if frames := frames(last); len(frames) > 0 && is(frames[len(frames)-1]) {
			return
		}
	}
}

// end waits for the end, and gives the exit code and what was written after
// the screen was given back.
func (sc *screen) end() (code int, after string) {
	sc.t.Helper()
	err := sc.cmd.Wait()
	exit := &exec.ExitError{}
	if err != nil {
		require.ErrorAs(sc.t, err, &exit)
		code = exit.ExitCode()
	}
	all := <-sc.output
	require.Equal(sc.t, 1, strings.Count(all, "\x1b[?1049h"))
	require.Equal(sc.t, 1, strings.Count(all, "\x1b[?1049l"))
	live, after, _ := strings.Cut(all, "\x1b[?1049l")
	require.Contains(sc.t, live, "\x1b[?25l", "the cursor is hidden")
	require.True(sc.t, strings.HasSuffix(live, "\x1b[?25h"), "and comes back")
	return code, after
}

var colorCodes = regexp.MustCompile(`\x1b\[[0-9;]*m|\x1b\[[KJH]`)

// frames gives the whole frames that were drawn, as lines of text.
func frames(output string) (all [][]string) {
	for _, part := range strings.Split(output, "\x1b[?2026h")[1:] {
		if text, _, whole := strings.Cut(part, "\x1b[?2026l"); whole {
			all = append(all, strings.Split(strings.TrimSuffix(colorCodes.ReplaceAllString(text, ""), "\r\n"), "\r\n"))
		}
	}
	return all
}

func contains(want string) func(lines []string) bool {
	return func(lines []string) bool { return strings.Contains(strings.Join(lines, "\n"), want) }
}

func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	s := setup(t)
	file := s.goingOn(t, "long")
	sc := s.onTerminal(t, 90, 20, "run", "watch")
	sc.await("the output", contains("epoch 3"))
	sc.await("the progress", contains("30%, 3 of 10 epochs"))
	sc.await("the metric", contains("loss"))
	sc.await("the machine", contains("CPU "))

	for _, size := range []pty.Winsize{{Cols: 20, Rows: 8}, {Cols: 50, Rows: 12}, {Cols: 120, Rows: 40}} {
		require.NoError(t, pty.Setsize(sc.master, &size))
		sc.await("a frame of the new size", func(lines []string) bool {
			for _, line := range lines {
				if terminal.Width(line) > int(size.Cols) {
					return false
				}
			}
			// The name is cut off only where it has to be.
			return len(lines) <= int(size.Rows) && (size.Cols < 30 || strings.Contains(lines[0], "in all"))
		})
	}
	write(t, filepath.Dir(file), "go", "0")
	code, after := sc.end()
	require.Zero(t, code, after)
	require.Contains(t, after, "METRIC")
	require.Contains(t, after, "epoch 3")
	require.Contains(t, after, "Completed after")
	require.NotContains(t, after, "\x1b[2J")
	require.NotContains(t, after, "owned")
}

func TestLeavingAWatchOnATerminal(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("pseudo-terminals are Unix's")
	}
	s := setup(t)
	file := s.goingOn(t, "long")
	for name, leave := range map[string]func(sc *screen){
		"q":       func(sc *screen) { _, err := sc.master.WriteString("xyzq"); require.NoError(t, err) },
		"Ctrl-C":  func(sc *screen) { _, err := sc.master.Write([]byte{3}); require.NoError(t, err) },
		"SIGTERM": func(sc *screen) { require.NoError(t, sc.cmd.Process.Signal(syscall.SIGTERM)) },
	} {
		sc := s.onTerminal(t, 80, 24, "run", "watch", "long")
		sc.await("the output", contains("epoch 3"))
		leave(sc)
		code, after := sc.end()
		require.Equal(t, exitCanceled, code, name)
		require.Contains(t, after, "The run goes on. Look again: azml run watch long", name)
		require.Contains(t, after, "epoch 3", "the last state stays")
		state, err := term.GetState(int(sc.master.Fd()))
		require.NoError(t, err)
		require.Equal(t, sc.before, state, "the terminal is as it was")
	}
	require.Equal(t, run.StatusRunning, s.status(t, "long"))

	sc := s.onTerminal(t, 80, 24, "run", "watch", "long")
	sc.await("the output", contains("epoch 3"))
	write(t, filepath.Dir(file), "go", "3")
	code, after := sc.end()
	require.Equal(t, exitError, code)
	require.Contains(t, after, "exit code 3")
}

func TestRunLogsTail(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, "for i in 1 2 3 4 5; do echo line $i; done")
	require.Equal(t, "line 4\nline 5", s.ok(t, "run", "logs", id, "--tail", "2"))
	require.Equal(t, "line 5", s.ok(t, "run", "logs", id, "-n", "1", "--follow"))
	require.Contains(t, s.fails(t, exitUsage, "run", "logs", id, "--tail", "0"), "--tail 0")
}
