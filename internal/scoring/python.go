package scoring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/azml-go/azml"
)

var (
	// errWorkerDied says that the process ended while it had the call.
	errWorkerDied = fmt.Errorf("%w: the scoring process ended during the call", azml.ErrUnavailable)
	// errNotStarted says that the call was not begun, so another try is safe.
	errNotStarted = fmt.Errorf("%w: the scoring process is not ready", azml.ErrUnavailable)
	// errScoringTimeout says that run() was stopped for taking too long.
	errScoringTimeout = fmt.Errorf("%w: run() took too long", context.DeadlineExceeded)
)

const (
	defaultInitTimeout = 5 * time.Minute
	defaultStopGrace   = 5 * time.Second
	firstRestartDelay  = 100 * time.Millisecond
	lastRestartDelay   = 30 * time.Second
)

// The models that need no script.
const (
	// ModelMLflow is a model that MLflow can load as a Python function.
	ModelMLflow = "mlflow"
	// ModelSklearn is a pickle of a model of scikit-learn's.
	ModelSklearn = "sklearn"
)

// PythonConfig says which scoring script to host and how.
type PythonConfig struct {
	// Python is the interpreter, a path or a name on PATH; default "python3".
	Python string
	// SourceDir is the folder of the script; it is the first on sys.path.
	SourceDir string
	// EntryScript is the script's path below SourceDir; default "main.py".
	EntryScript string
	// Server is what runs the script: empty for a worker of this package's, or
	// InferenceServer, which Batching is nothing for. That needs Unix.
	Server string
	// Model, when set, serves the model in ModelDir without a script, whose fields are
	// not used then: ModelMLflow or ModelSklearn.
	Model string
	// ModelFile is the path of the pickle in ModelDir, for ModelSklearn.
	ModelFile string
	// ModelDir is what AZUREML_MODEL_DIR names; empty leaves it out.
	ModelDir string
	// AppRoot is the working directory, and AML_APP_ROOT; default SourceDir.
	AppRoot string
	// ServiceName is SERVICE_NAME; default "ML service".
	ServiceName string
	// ServiceVersion is SERVICE_VERSION; default "1.0".
	ServiceVersion string
	// WorkspaceName is WORKSPACE_NAME; empty leaves it out.
	WorkspaceName string
	// Env are further environment variables; they win over all others. Of
	// this process's own environment the worker gets only the basics such as
	// PATH and HOME.
	Env map[string]string
	// Batching says how requests are sent together to a script that has run_batch().
	// There is one slot.
	Batching Batching
	// Log gets the worker's output line by line, each line by one Write with
	// time, process id and logger; nil drops it. A writer that several
	// workers share must be safe for concurrent use.
	Log io.Writer
	// Logger gets what happens to the worker itself; nil drops it.
	Logger *slog.Logger
	// MaxMemory bounds the data of the worker's process in bytes, see setrlimit(2),
	// RLIMIT_DATA; 0 is no limit. Only Linux holds a process to it.
	MaxMemory int64
	// InitTimeout bounds the import and init(); default 5 minutes.
	InitTimeout time.Duration
	// StopGrace is how long Close lets the worker end by itself before it is
	// killed; default 5 seconds.
	StopGrace time.Duration
}

// normal gives a checked copy with defaults and absolute paths.
func (c PythonConfig) normal() (*PythonConfig, error) {
	defaults := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	if c.Server == InferenceServer && runtime.GOOS == "windows" {
		return nil, fmt.Errorf("%w: %s serves on hosts with Linux or macOS", azml.ErrUnsupported, InferenceServer)
	}
	defaults(&c.Python, "python3")
	if c.Model != "" {
		c.SourceDir, c.EntryScript = c.ModelDir, cmp.Or(c.ModelFile, ".")
	}
	defaults(&c.EntryScript, "main.py")
	defaults(&c.ServiceName, "ML service")
	defaults(&c.ServiceVersion, "1.0")
	if c.SourceDir == "" {
		return nil, fmt.Errorf("%w: no source folder is given for the scoring script", azml.ErrInvalid)
	}
	if !filepath.IsLocal(c.EntryScript) {
		return nil, fmt.Errorf("%w: the entry script %q must be a path inside the source folder", azml.ErrInvalid, c.EntryScript)
	}
	defaults(&c.AppRoot, c.SourceDir)
	for _, dir := range []*string{&c.SourceDir, &c.AppRoot} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return nil, fmt.Errorf("%w: folder %q: %w", azml.ErrInvalid, *dir, err)
		}
		*dir = abs
	}
	if info, err := os.Stat(filepath.Join(c.SourceDir, c.EntryScript)); err != nil || !info.Mode().IsRegular() && c.Model == "" {
		return nil, fmt.Errorf("%w: there is no entry script %q in %s", azml.ErrInvalid, c.EntryScript, c.SourceDir)
	}
	if info, err := os.Stat(c.AppRoot); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%w: the app root %s is not a folder", azml.ErrInvalid, c.AppRoot)
	}
	if c.InitTimeout <= 0 {
		c.InitTimeout = defaultInitTimeout
	}
	if c.StopGrace <= 0 {
		c.StopGrace = defaultStopGrace
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &c, nil
}

// Python is a scorer that runs a scoring script in one worker process, one
// call at a time. A worker that ends or is stopped is started again, at once
// when it had answered calls, else after a delay that doubles up to 30 s;
// meanwhile the scorer isn't ready. It is safe for concurrent use.
type Python struct {
	cfg    *PythonConfig
	traits Traits
	life   context.Context // ends when Close is called
	end    context.CancelFunc
	done   chan struct{} // closed when the supervisor has ended
	// batcher is nil when requests are sent one by one.
	batcher *batcher[*Request, *Response]

	mu       sync.Mutex
	worker   *worker // nil while none is ready
	down     error   // why none is
	closed   bool
	restarts int
	onReady  func()
}

// StartPython starts a worker and returns when the script's init() has
// returned. A script that can't be imported, has no proper init and run, or
// whose init() fails gives a *StartError at once. The context bounds only the
// start. Errors: ErrInvalid, ErrNotFound (no such interpreter),
// ErrUnavailable (it took longer than InitTimeout).
func StartPython(ctx context.Context, cfg PythonConfig) (*Python, error) {
	c, err := cfg.normal()
	if err != nil {
		return nil, err
	}
	w, err := startWorker(ctx, c)
	if err != nil {
		return nil, err
	}
	p := &Python{cfg: c, worker: w, traits: w.traits(), done: make(chan struct{})}
	p.batches(w)
	p.life, p.end = context.WithCancel(context.Background())
	go p.supervise(w)
	return p, nil
}

// Traits gives the schema that the script's decorators
// declare.
func (p *Python) Traits() Traits { return p.traits }

// OnReady has f called whenever a new worker has come up.
func (p *Python) OnReady(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onReady = f
}

// Ahead gives how many requests it is to be given beyond the one that runs, see
// router.Ahead: some while run() takes so little time that the way there and back
// would be most of it.
func (p *Python) Ahead() int {
	if p.batcher != nil {
		return p.batcher.ahead()
	}
	if w, err := p.current(); err == nil && w.line.quick() {
		return ahead
	}
	return 0
}

// Ready says whether a worker is up, and if not, why.
func (p *Python) Ready() error {
	_, err := p.current()
	return err
}

// Restarts counts how often the worker was started again.
func (p *Python) Restarts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.restarts
}

// PID gives the worker's process id, 0 while none is ready.
func (p *Python) PID() int {
	w, err := p.current()
	if err != nil {
		return 0
	}
	return w.cmd.Process.Pid
}

// current gives the worker that is ready.
func (p *Python) current() (*worker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, fmt.Errorf("%w: the scoring process was stopped", azml.ErrClosed)
	case p.worker == nil:
		return nil, fmt.Errorf("%w: %w", errNotStarted, p.down)
	default:
		return p.worker, nil
	}
}

// lost takes w out of service.
func (p *Python) lost(w *worker, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.worker == w {
		p.worker, p.down = nil, why
	}
}

// Close lets the call that is under way end, then the worker: it is asked to
// end, and killed with all its children after StopGrace or when ctx ends.
// Close returns when no process is left; the error says that a call was cut
// off. Closing again only waits.
func (p *Python) Close(ctx context.Context) error {
	p.mu.Lock()
	w := p.worker
	p.closed = true
	p.mu.Unlock()
	p.end()
	if w == nil {
		<-p.done
		return nil
	}
	var cut error
	if w.line.empty(ctx) != nil {
		cut = fmt.Errorf("%w: a scoring call was cut off: %w", azml.ErrUnavailable, ctx.Err())
	}
	w.stop(ctx, p.cfg.StopGrace)
	<-p.done
	return cut
}

// supervise starts a new worker whenever one has ended, until Close.
func (p *Python) supervise(w *worker) {
	defer close(p.done)
	var delay time.Duration
	for {
		<-w.exited
		p.lost(w, fmt.Errorf("%w: %s", errWorkerDied, w.fate()))
		if w.served.Load() {
			delay = 0
		}
		next, ok := p.restart(w, &delay)
		if !ok {
			return
		}
		w = next
	}
}

// restart tries until a worker is up; ok is false when the scorer was closed.
func (p *Python) restart(old *worker, delay *time.Duration) (w *worker, ok bool) {
	if p.life.Err() != nil {
		return nil, false
	}
	p.cfg.Logger.Warn("scoring worker ended", "script", p.cfg.EntryScript, "pid", old.cmd.Process.Pid,
		"state", old.fate(), "restart_in", *delay)
	for {
		timer := time.NewTimer(*delay)
		select {
		case <-p.life.Done():
			timer.Stop()
			return nil, false
		case <-timer.C:
		}
		*delay = min(max(2**delay, firstRestartDelay), lastRestartDelay)
		w, err := startWorker(p.life, p.cfg)
		if err == nil && p.up(w) {
			return w, true
		}
		if p.life.Err() != nil {
			return nil, false
		}
		p.mu.Lock()
		p.down = err
		p.mu.Unlock()
		p.cfg.Logger.Error("scoring worker did not start", "error", err, "restart_in", *delay)
	}
}

// up puts w into service, or stops it when the scorer was closed meanwhile.
func (p *Python) up(w *worker) bool {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.worker, p.down = w, nil
		p.restarts++
	}
	wake := p.onReady
	p.mu.Unlock()
	if wake != nil {
		wake()
	}
	if closed {
		w.stop(p.life, p.cfg.StopGrace)
	}
	return !closed
}

// Score runs the script's run(). When ctx's deadline passes, the worker is
// killed, since Python code can't be interrupted, and started again. When ctx
// is cancelled earlier, the call is left to end before its deadline, which
// costs less than a restart; without a deadline the worker is killed then too.
func (p *Python) Score(ctx context.Context, req *Request) (*Response, error) {
	if p.batcher != nil && req.Method == http.MethodPost {
		return p.together(ctx, req)
	}
	return p.score(ctx, req)
}

// score is Score for a request alone, or a whole batch.
func (p *Python) score(ctx context.Context, req *Request) (*Response, error) {
	w, err := p.current()
	if err != nil {
		return nil, err
	}
	c := &call{w: w, over: make(chan struct{}), lost: func(err error) { p.lost(w, err) }}
	ask := c.start
	if w.web != nil {
		ask = c.forward
	}
	resp, err := ask(ctx, req)
	if err != nil && !errors.Is(err, errNotStarted) && p.life.Err() != nil {
		err = fmt.Errorf("%w: the scoring process was stopped during the call", azml.ErrClosed)
	}
	return resp, err
}
