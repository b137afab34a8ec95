package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/workspace"
)

// errandVariable holds the errand of a test binary that is a worker.
const errandVariable = "AZML_E2E_ERRAND"

// TestMain makes this program a worker process when it was started as one.
func TestMain(m *testing.M) {
	text := os.Getenv(errandVariable)
	if text == "" {
		goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
			for _, do := range atEnd {
				do()
			}
			os.Exit(code)
		}))
		return
	}
	os.Unsetenv(errandVariable)
	var e errand
	err := json.Unmarshal([]byte(text), &e)
	if err == nil {
		err = e.carryOut(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// atEnd is done when all tests have ended.
var atEnd []func()

// errand is what a worker process is to do, in which workspace.
type errand struct {
	Name    string
	Place   place
	Worker  int
	Count   int
	Seed    uint64
	Run     string
	Faults  bool
	Dir     string
	Program string
	Compute string
	Shared  string
	Detach  bool
}

func (e errand) carryOut(ctx context.Context) error {
	switch e.Name {
	case "client":
		return logThroughMLflow(ctx, e)
	case "teller":
		return tellSecret(e)
	case "submit":
		return submitAndStay(ctx, e)
	}
	ws, err := e.open(ctx)
	if err != nil {
		return err
	}
	ack := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	switch e.Name {
	case "register":
		err = registerMany(ctx, ws, e, ack)
	case "runs":
		err = logManyRuns(ctx, ws, e, ack)
	case "recreate":
		err = recreateRuns(ctx, ws, e, ack)
	case "log":
		err = logToRun(ctx, ws, e, ack)
	case "notice":
		err = noticeRun(ctx, ws, e, ack)
	case "live":
		err = liveUntilKilled(ctx, ws, e, ack)
	case "cancel":
		err = cancelRun(ctx, ws, e)
	case "ask":
		err = askToCancel(ctx, ws, e)
	case "drive":
		err = driveRun(ctx, ws, e)
	case "secret":
		err = driveWithSecret(ctx, ws, e)
	case "data":
		err = driveWithData(ctx, ws, e)
	case "panic":
		err = panicWithAll(ctx, ws, e.Place)
	case "refused":
		err = beRefused(ctx, ws, ack)
	default:
		err = fmt.Errorf("no errand is called %q", e.Name)
	}
	if err != nil {
		return err
	}
	return ws.Close(ctx)
}

// open opens the workspace, on a store that fails now and then if so asked.
func (e errand) open(ctx context.Context) (*workspace.Workspace, error) {
	if !e.Faults {
		return e.Place.opened(ctx)
	}
	stores, err := e.Place.failing(e.Seed)
	if err != nil {
		return nil, err
	}
	return workspace.New(ctx, stores)
}

// worker is a started worker process.
type worker struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	output io.Closer
	stderr *strings.Builder
}

// start starts a worker process. Its parent waits for it.
func start(t *testing.T, e errand) *worker {
	t.Helper()
	return startAs(t, e, os.Args[0])
}

// startAs starts a worker process by a command.
func startAs(t *testing.T, e errand, command ...string) *worker {
	t.Helper()
	data, err := json.Marshal(e)
	require.NoError(t, err)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), errandVariable+"="+string(data), "GOTRACEBACK=all")
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return &worker{cmd: cmd, lines: bufio.NewScanner(out), output: out, stderr: stderr}
}

// finish reads all lines of the worker and checks that it ended well.
func (w *worker) finish(t *testing.T) []string {
	t.Helper()
	var lines []string
	for w.lines.Scan() {
		lines = append(lines, w.lines.Text())
	}
	require.NoError(t, w.cmd.Wait(), "worker: %s", w.stderr)
	return lines
}

// all starts n workers on the same errand and gives their lines.
func all(t *testing.T, n int, e errand) []string {
	t.Helper()
	workers := make([]*worker, n)
	for i := range workers {
		e.Worker, e.Seed = i, e.Seed+1
		workers[i] = start(t, e)
	}
	var lines []string
	for _, w := range workers {
		lines = append(lines, w.finish(t)...)
	}
	return lines
}

// place is where a workspace is kept, known to all its processes: a folder, or a
// container of the storage account of a connection string, with the folder for
// the secrets alone.
type place struct {
	Dir, Cache, Key   string
	Connection, Blobs string
}

func newPlace(t *testing.T) place {
	t.Helper()
	base := t.TempDir()
	return place{Dir: filepath.Join(base, "ws"), Cache: filepath.Join(base, "cache"), Key: filepath.Join(base, "secrets.key")}
}

func (p place) options() *workspace.OpenOptions {
	return &workspace.OpenOptions{CacheDir: p.Cache, SecretsKeyFile: p.Key}
}

// open opens the place's workspace; it is closed with the test.
func (p place) open(t *testing.T) *workspace.Workspace {
	t.Helper()
	ws, err := p.opened(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { closeAll(t, ws) })
	return ws
}

// opened opens the place's workspace.
func (p place) opened(ctx context.Context) (*workspace.Workspace, error) {
	if p.Connection == "" {
		return workspace.Open(ctx, p.Dir, p.options())
	}
	config, err := p.config()
	if err != nil {
		return nil, err
	}
	return workspace.New(ctx, config)
}

// closeAll closes the workspace, and says what goes on where that takes too long.
func closeAll(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = pprof.Lookup("goroutine").WriteTo(t.Output(), 1) })
	defer stop()
	require.NoError(t, ws.Close(ctx))
}

// clean checks that fsck finds no problem.
func clean(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	report, err := ws.Fsck(t.Context(), &workspace.FsckOptions{Deep: true})
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}

// size gives full, or short when tests are to be short.
func size(full, short int) int {
	if testing.Short() {
		return short
	}
	return full
}
