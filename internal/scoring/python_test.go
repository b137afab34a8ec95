package scoring

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/router"
)

// score calls a scorer once and reads its JSON.
func score(t testing.TB, s Scorer, body string, into any) {
	t.Helper()
	resp, err := s.Score(t.Context(), &Request{Method: http.MethodPost, Body: []byte(body)})
	require.NoError(t, err)
	require.Equal(t, 200, resp.Status, string(resp.Body))
	require.NoError(t, json.Unmarshal(resp.Body, into))
}

const deathsScript = `
import ctypes, os, signal, sys, threading, time, subprocess
count = 0
def init(): print("ready", os.getpid())
def run(data):
    global count
    count += 1
    if data == "exit": sys.exit(4)
    if data == "_exit": os._exit(4)
    if data == "segfault": ctypes.string_at(0)
    if data == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if data == "interrupt": raise KeyboardInterrupt
    if data == "scribble":
        for fd in range(3, 20):
            try: os.write(fd, b"garbage that is no frame at all")
            except OSError: pass
    if data == "close":
        os.closerange(3, 100)
    if data == "daemon":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        os._exit(4)
    if data == "thread":
        threading.Thread(target=time.sleep, args=(600,)).start()
        sys.exit(4)
    return [os.getpid(), count]
`

// TestWorkerDeaths: a worker that ends during a call costs that call a 502;
// the next one meets a new worker.
func TestWorkerDeaths(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"exit", "_exit", "segfault", "kill", "interrupt", "scribble", "close", "daemon"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p, _ := startScript(t, deathsScript, nil)
			s := serve(t, options{MaxQueueWait: 20 * time.Second}, p)
			var before, after [2]int
			require.NoError(t, json.Unmarshal([]byte(s.ask(t, "POST", "/score", "").body), &before))
			got := s.ask(t, "POST", "/score", how)
			require.Equal(t, http.StatusBadGateway, got.status, got.body)
			require.Equal(t, "True", got.header.Get(headerRunFailed))
			got = s.ask(t, "POST", "/score", "")
			require.Equal(t, 200, got.status, got.body)
			require.NoError(t, json.Unmarshal([]byte(got.body), &after))
			require.NotEqual(t, before[0], after[0])
			require.Equal(t, 1, after[1], "a new worker starts anew")
			require.Equal(t, 2, p.Restarts(), "it was given to a second worker")
		})
	}
}

// TestIdleWorkerDies: readiness falls, then the worker is back by itself.
func TestIdleWorkerDies(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, `
import os, time
def init():
    if os.path.exists("died"): time.sleep(0.3)
    open("died", "w").close()
def run(data): return os.getpid()
`, nil)
	s := serve(t, options{MaxQueueWait: 20 * time.Millisecond}, p)
	pid := p.PID()
	w, err := p.current()
	require.NoError(t, err)
	w.kill()
	require.Eventually(t, func() bool { return p.Ready() != nil }, 5*time.Second, time.Millisecond)
	got := s.ask(t, "GET", "/", "")
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.Equal(t, "1", got.header.Get("Retry-After"))
	require.Equal(t, http.StatusServiceUnavailable, s.ask(t, "POST", "/score", "").status)
	require.Eventually(t, func() bool { return p.Ready() == nil }, 10*time.Second, 5*time.Millisecond)
	require.NotEqual(t, pid, p.PID())
	require.Equal(t, 200, s.ask(t, "GET", "/", "").status)
	require.Equal(t, 200, s.ask(t, "POST", "/score", "").status)
}

// TestCrashLoop: a worker that no longer comes up is tried again with a
// growing delay, and comes back when the cause is gone.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, `
import os
def init():
    with open("starts", "a") as f: f.write("x")
    if len(open("starts").read()) in (2, 3): raise RuntimeError("not now")
def run(data): os._exit(1)
`, nil)
	_, err := p.Score(t.Context(), &Request{Method: "POST"})
	require.ErrorIs(t, err, errWorkerDied)
	require.Eventually(t, func() bool { err = p.Ready(); return err != nil && strings.Contains(err.Error(), "not now") }, 10*time.Second, time.Millisecond)
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.Eventually(t, func() bool { return p.Ready() == nil }, 10*time.Second, time.Millisecond)
}

// TestHangingRun: the client gets its answer at the timeout, the worker is
// replaced even when it holds the interpreter.
func TestHangingRun(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]string{
		"sleep": "time.sleep(600)", "loop": "\n        while True: pass",
		"signals ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
		"regex in C":      "re.match('(a+)+$', 'a' * 60 + 'b')",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := startScript(t, "import time, signal, re\ndef init(): pass\ndef run(data):\n    if data: "+hang+"\n    return 1\n", nil)
			s := serve(t, options{ScoringTimeout: 600 * time.Millisecond, MaxQueueWait: 20 * time.Second}, p)
			got := s.ask(t, "POST", "/score", "hang")
			require.Equal(t, answer{504, got.header, `{"message":"Scoring timeout after 600 ms"}`}, got)
			require.Equal(t, 200, s.ask(t, "POST", "/score", "").status)
		})
	}
}

// TestClientGoesAway: the call is left to end, nothing is restarted.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	p, log := startScript(t, `
import time
calls = 0
def init(): pass
def run(data):
    global calls
    calls += 1
    if data == "slow":
        print("began")
        time.sleep(0.3)
    return calls
`, nil)
	s := serve(t, options{MaxQueueWait: 10 * time.Second}, p)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/score", strings.NewReader("slow"))
	require.NoError(t, err)
	go func() {
		for !strings.Contains(log.String(), "began") {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err = s.Client().Do(req)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "2", s.ask(t, "POST", "/score", "").body)
	require.Zero(t, p.Restarts())
	require.Eventually(t, func() bool { return strings.Contains(s.requests.String(), `"status":499,`) }, 10*time.Second, time.Millisecond)
}

// TestScoreWithoutDeadline: a cancelled call without a deadline stops the worker.
func TestScoreWithoutDeadline(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, "import time\ndef init(): pass\ndef run(d): time.sleep(600)\n", nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := p.Score(ctx, &Request{Method: "POST"})
	require.ErrorIs(t, err, context.Canceled)
}

// TestForkInScript: a forked child that returns from run() doesn't answer too,
// and one that lives on doesn't hold the worker.
func TestForkInScript(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, `
import multiprocessing, os, signal, time
def init(): pass
def double(x): return 2 * x
def run(data):
    if data == "fork" and os.fork() == 0:
        return "from the child"
    if data == "stay" and os.fork() == 0:
        time.sleep(600)
    if data == "young": # a child that is told to end as soon as there is one
        for _ in range(200):
            child = os.fork()
            if child == 0: time.sleep(600)
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
    if data == "pool":
        with multiprocessing.get_context("fork").Pool(2) as pool: return pool.map(double, [1, 2])
    return os.getpid()
`, nil)
	pid := p.PID()
	for _, data := range []string{"fork", "", "fork", "stay", "", "young", ""} {
		var got int
		score(t, p, data, &got)
		require.Equal(t, pid, got)
	}
	var doubled []int
	score(t, p, "pool", &doubled)
	require.Equal(t, []int{2, 4}, doubled)
	require.Zero(t, p.Restarts())
}

// TestStreams: pieces arrive as they are made; a break in the middle is seen;
// a client that leaves doesn't block the worker.
func TestStreams(t *testing.T) {
	t.Parallel()
	p, log := startScript(t, `
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse
import time
def init(): pass
def pieces(kind):
    yield "first"
    if kind == "break": raise ValueError("broke off")
    if kind == "wait": time.sleep(0.3)
    if kind == "endless":
        while True: yield "x" * 100000
    if kind == "hang": time.sleep(600)
    yield b"last"
@rawhttp
def run(request): return AMLResponse(pieces(request.args["kind"]), 200)
`, nil)
	s := serve(t, options{ScoringTimeout: 1500 * time.Millisecond, MaxQueueWait: 20 * time.Second}, p)
	open := func(kind string) *http.Response {
		resp, err := s.Client().Get(s.URL + "/score?kind=" + kind)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		first := make([]byte, 5)
		_, err = resp.Body.Read(first)
		require.NoError(t, err)
		require.Equal(t, "first", string(first))
		return resp
	}
	require.Equal(t, "last", readAll(open("wait")))
	require.Equal(t, "unexpected EOF", readAll(open("break")))
	require.Contains(t, log.String(), "ValueError: broke off")
	require.Zero(t, p.Restarts())
	require.NoError(t, open("endless").Body.Close())
	require.Equal(t, "last", readAll(open("wait")))
	require.Equal(t, "unexpected EOF", readAll(open("hang")))
	require.Equal(t, "last", readAll(open("wait")))
}

// readAll gives the rest of a body, or the error's text.
func readAll(resp *http.Response) string {
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// TestClose: the call under way ends first; a script that doesn't end is
// killed; nothing is served after.
func TestClose(t *testing.T) {
	t.Parallel()
	script := `
import atexit, signal, time
def leave(): signal.raise_signal(signal.SIGTERM); print("at exit")
def init(): atexit.register(leave)
def run(data):
    print("began")
    if data == "hang": signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)
    time.sleep(0.2)
    return "done"
`
	began := func(t *testing.T, log *syncBuffer) {
		require.Eventually(t, func() bool { return strings.Contains(log.String(), "began") }, 5*time.Second, time.Millisecond)
	}
	t.Run("drains", func(t *testing.T) {
		t.Parallel()
		p, log := startScript(t, script, nil)
		got := make(chan error, 1)
		go func() { _, err := p.Score(context.Background(), &Request{Method: "POST"}); got <- err }()
		began(t, log)
		require.NoError(t, p.Close(t.Context()))
		require.NoError(t, <-got)
		require.Contains(t, log.String(), "at exit")
		require.NotContains(t, log.String(), "SystemExit", "the signal may come when it is leaving")
		require.NoError(t, p.Close(t.Context()), "again")
		_, err := p.Score(t.Context(), &Request{Method: "POST"})
		require.ErrorIs(t, err, azml.ErrClosed)
		require.ErrorIs(t, p.Ready(), azml.ErrClosed)
	})
	t.Run("cuts off", func(t *testing.T) {
		t.Parallel()
		p, log := startScript(t, script, func(c *PythonConfig) { c.StopGrace = 100 * time.Millisecond })
		got := make(chan error, 1)
		go func() {
			_, err := p.Score(context.Background(), &Request{Method: "POST", Body: []byte("hang")})
			got <- err
		}()
		began(t, log)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, p.Close(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, <-got, azml.ErrClosed)
	})
	t.Run("while down", func(t *testing.T) {
		t.Parallel()
		p, _ := startScript(t, "import os, time\ndef init():\n  if os.path.exists('x'): time.sleep(600)\n  open('x', 'w').close()\ndef run(d): os._exit(1)\n", nil)
		_, err := p.Score(t.Context(), &Request{Method: "POST"})
		require.ErrorIs(t, err, errWorkerDied)
		require.NoError(t, p.Close(t.Context()))
	})
}

// TestPoolOfWorkers: several workers answer side by side, and one that dies
// costs only its own call.
func TestPoolOfWorkers(t *testing.T) {
	t.Parallel()
	const script = "import os, time\ndef init(): pass\ndef run(d):\n  if d == 'die': os._exit(1)\n  time.sleep(0.05)\n  return os.getpid()\n"
	a, _ := startScript(t, script, nil)
	b, _ := startScript(t, script, nil)
	s := serve(t, options{MaxQueueWait: 20 * time.Second}, a, b)
	var mu sync.Mutex
	pids, statuses := map[string]int{}, map[int]int{}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			body := ""
			if i == 5 {
				body = "die"
			}
			got := s.ask(t, "POST", "/score", body)
			mu.Lock()
			defer mu.Unlock()
			statuses[got.status]++
			pids[got.body]++
		})
	}
	all.Wait()
	require.Equal(t, map[int]int{200: 19, 502: 1}, statuses)
	require.Greater(t, len(pids), 2, "both workers answered, and one failed")
}

// TestLoad: 1,000 requests one after the other and 64 clients at once, each
// answer its own; nothing leaks (checked by TestMain).
func TestLoad(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, "def init(): pass\ndef run(data): return data\n", nil)
	s := serve(t, options{MaxQueueWait: 30 * time.Second}, p)
	for i := range 1000 {
		body := fmt.Sprintf("n%d", i)
		require.Equal(t, `"`+body+`"`, s.ask(t, "POST", "/score", body).body)
	}
	var all sync.WaitGroup
	for c := range 64 {
		all.Go(func() {
			for i := range 20 {
				body := fmt.Sprintf("c%d-%d%s", c, i, strings.Repeat(".", i*i*c))
				if got := s.ask(t, "POST", "/score", body); got.status != 200 || got.body != `"`+body+`"` {
					t.Errorf("client %d, request %d: %d %.100s", c, i, got.status, got.body)
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, p.Restarts())
	require.Equal(t, router.Stats{Replicas: 1, Ready: 1, Together: 1}, s.deployment.Stats().Stats)
}
