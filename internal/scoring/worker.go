package scoring

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml"
)

//go:embed python/*.py
var pythonSources embed.FS

// closeGrace is how long after a worker's end its pipes may stay open for a
// process that the script sent out of the group.
const closeGrace = time.Second

// worker is one Python process that serves one call after the other.
type worker struct {
	cmd      *exec.Cmd
	calls    *os.File // frames to the worker
	answers  *os.File // frames from the worker
	reader   *bufio.Reader
	lifeline *os.File // never written; it closes when this process ends
	log      *lineLog
	hello    hello
	line     line
	web      *http.Transport // to an InferenceServer, else nil
	dead     atomic.Bool     // the process has ended
	served   atomic.Bool     // at least one call was answered
	late     atomic.Bool     // it was killed for a call that took too long
	kills    int64           // see systemKills, when it was started
	ended    chan struct{}   // closed when it is known how the process has ended
	exited   chan struct{}   // closed when all of it is gone
}

// hello is what the worker says while it starts: phases, then how it went.
type hello struct {
	Phase        string          `json:"phase"`
	Ready        bool            `json:"ready"`
	Failed       bool            `json:"failed"`
	Exception    string          `json:"exception"`
	Log          string          `json:"log"`
	Mode         string          `json:"mode"`
	WantsHeaders bool            `json:"wants_headers"`
	WantsID      bool            `json:"wants_id"`
	InputSchema  json.RawMessage `json:"input_schema"`
	OutputSchema json.RawMessage `json:"output_schema"`
	Versions     []string        `json:"versions"`
	MLflow       string          `json:"mlflow"`
	Batch        bool            `json:"batch"`
}

type workerSetup struct {
	SourceDir   string `json:"source_dir"`
	AppRoot     string `json:"app_root"`
	EntryScript string `json:"entry_script"`
	Model       string `json:"model,omitempty"`
	ModelPath   string `json:"model_path,omitempty"`
	MaxMemory   int64  `json:"max_memory,omitempty"`
	Port        int    `json:"port,omitempty"` // where an InferenceServer listens
	Lifeline    *int   `json:"lifeline"`
}

// startWorker starts the interpreter and returns when init() has returned.
// The error is a *StartError.
func startWorker(ctx context.Context, cfg *PythonConfig) (*worker, error) {
	w := &worker{ended: make(chan struct{}), exited: make(chan struct{}), log: &lineLog{out: cfg.Log, formed: cfg.Server == InferenceServer}}
	w.line = newLine(w.exited)
	setup := workerSetup{SourceDir: cfg.SourceDir, AppRoot: cfg.AppRoot, EntryScript: filepath.Join(cfg.SourceDir, cfg.EntryScript)}
	if cfg.Model != "" {
		setup = workerSetup{AppRoot: cfg.AppRoot, Model: cfg.Model, ModelPath: filepath.Join(cfg.ModelDir, cfg.ModelFile)}
	}
	setup.MaxMemory = cfg.MaxMemory
	w.kills = systemKills()
	output, err := w.spawn(cfg, &setup)
	if err != nil {
		class := azml.ErrUnavailable
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			class = azml.ErrNotFound
		}
		return nil, &StartError{Phase: PhaseStart, Script: setup.EntryScript, ExitCode: -1, Class: class, Cause: err}
	}
	go w.wait(output) //nolint:gosec // the worker outlives its start
	ctx, cancel := context.WithTimeout(ctx, cfg.InitTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, w.kill)
	phase, err := w.greet(setup)
	w.line.leave()
	if err == nil && stop() {
		return w, nil
	}
	if !w.hello.Failed { // else it ends by itself, with its own exit code
		w.kill()
	}
	<-w.exited
	stop()
	return nil, w.startError(ctx, cfg, phase, setup)
}

// spawn starts the process and gives the read end of its output.
func (w *worker) spawn(cfg *PythonConfig, setup *workerSetup) (output *os.File, err error) {
	bootstrap, err := pythonSources.ReadFile("python/bootstrap.py")
	if err != nil {
		return nil, err
	}
	var read, write [4]*os.File // calls, answers, output, lifeline
	for i := range read {
		if read[i], write[i], err = os.Pipe(); err != nil {
			closeFiles(append(read[:], write[:]...)...)
			return nil, err
		}
	}
	defer closeFiles(read[0], write[1], write[2], read[3]) // the process has copies of its ends
	w.calls, w.answers, output, w.lifeline = write[0], read[1], read[2], write[3]
	w.cmd = exec.Command(cfg.Python, "-u", "-X", "faulthandler", "-c", string(bootstrap))
	w.cmd.Dir, w.cmd.Env = cfg.AppRoot, cfg.environ()
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = read[0], write[1], write[2]
	ownGroup(w.cmd)
	if cfg.Server == InferenceServer {
		listener, err := w.listen(setup)
		if err != nil {
			closeFiles(w.calls, w.answers, output, w.lifeline)
			return nil, err
		}
		defer closeFiles(listener)
	}
	setup.Lifeline = passLifeline(w.cmd, read[3])
	if err := w.cmd.Start(); err != nil {
		closeFiles(w.calls, w.answers, output, w.lifeline)
		return nil, err
	}
	w.reader = bufio.NewReaderSize(w.answers, 64<<10)
	w.log.pid = w.cmd.Process.Pid
	return output, nil
}

func closeFiles(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // a nil file only gives an error
	}
}

// greet sends the worker its code and reads how the start goes.
func (w *worker) greet(setup workerSetup) (phase string, err error) {
	phase = PhaseStart
	head, err := json.Marshal(setup)
	if err != nil {
		return phase, err
	}
	body, err := workerModules(w.web != nil)
	if err != nil {
		return phase, err
	}
	if _, err := writeFrame(w.calls, head, body); err != nil {
		return phase, err
	}
	for !w.hello.Ready {
		head, _, err := readFrame(w.reader)
		if err != nil {
			return phase, err
		}
		w.hello = hello{}
		if err := json.Unmarshal(head, &w.hello); err != nil {
			return phase, err
		}
		if w.hello.Failed {
			if w.hello.Log != "" {
				w.log.write('E', "azml", []byte(w.hello.Log))
			}
			return phase, errWorkerDied
		}
		if w.hello.Phase != "" {
			phase = w.hello.Phase
		}
	}
	return phase, nil
}

// workerModules gives the worker's Python modules by name, in the order in
// which they import one another, as JSON.
func workerModules(inferenceServer bool) ([]byte, error) {
	names := []string{"azml_standins", "azml_monitoring", "azml_script", "azml_model", "azml_worker"}
	if inferenceServer {
		names = append(names, "azml_inference")
	}
	var modules [][2]string
	for _, name := range names {
		source, err := pythonSources.ReadFile("python/" + name + ".py")
		if err != nil {
			return nil, err
		}
		modules = append(modules, [2]string{name, string(source)})
	}
	return json.Marshal(modules)
}

func (w *worker) startError(ctx context.Context, cfg *PythonConfig, phase string, setup workerSetup) error {
	e := &StartError{
		Phase: phase, Script: setup.EntryScript, ExitCode: w.cmd.ProcessState.ExitCode(),
		Exception: w.hello.Exception, LastLines: w.log.lastLines(), Class: azml.ErrInvalid,
	}
	switch {
	case e.Exception != "":
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		e.Class, e.Cause = azml.ErrUnavailable, fmt.Errorf("not ready after %v: %w", cfg.InitTimeout, ctx.Err())
	case ctx.Err() != nil:
		e.Class, e.Cause = azml.ErrUnavailable, ctx.Err()
	default:
		e.Cause = fmt.Errorf("the worker ended: %s", w.fate())
	}
	return e
}

// wait reaps the process, ends what is left of its group and closes the pipes.
func (w *worker) wait(output *os.File) {
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		w.log.pump(output)
	}()
	_ = w.cmd.Wait() // how it ended is in ProcessState
	w.dead.Store(true)
	close(w.ended)
	killGroup(w.cmd.Process)
	grace := time.AfterFunc(closeGrace, func() { _ = output.Close() })
	defer grace.Stop()
	<-logged
	// A call that is under way may still read what the worker sent.
	reading, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	_ = w.line.empty(reading)
	closeFiles(output, w.calls, w.answers, w.lifeline)
	if w.web != nil {
		w.web.CloseIdleConnections()
	}
	close(w.exited)
}

// kill ends the worker and all that it started, at once.
func (w *worker) kill() {
	if !w.dead.Load() {
		killGroup(w.cmd.Process)
	}
}

// end says how a process ended that has closed its pipes; one that goes on without them
// is known by the cause alone.
func (w *worker) end(cause error) error {
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-w.ended:
		return errors.New(w.fate())
	case <-timer.C:
		return cause
	}
}

// fate says how the process ended, when it has.
func (w *worker) fate() string {
	state := w.cmd.ProcessState.String()
	if !w.late.Load() && killed(w.cmd.ProcessState) && systemKills() > w.kills {
		return state + ": out of memory: the system has ended processes for want of memory"
	}
	return state
}

// stop lets the worker end by itself, then by force when ctx ends or after the
// grace. It returns when the process is gone.
func (w *worker) stop(ctx context.Context, grace time.Duration) {
	_ = w.calls.Close() // the worker leaves its loop, so its exit handlers run
	if !w.dead.Load() {
		terminateGroup(w.cmd.Process)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-w.exited:
		return
	case <-timer.C:
	case <-ctx.Done():
	}
	w.kill()
	<-w.exited
}
