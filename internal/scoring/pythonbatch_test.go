package scoring

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// batchScript gives back its inputs with the size of their batch.
const batchScript = `
import json, os, time

def init(): pass

def run(data):
    if data == "hold":
        while not os.path.exists(os.environ["RELEASE"]):
            time.sleep(0.001)
    if data == "worse":
        raise ValueError("alone, too")
    if data == "exit":
        os._exit(7)
    return [data, 1]

class Made:
    status_code, headers = 418, {"X-Mine": "yes"}
    def get_data(self): return b"made"

def run_batch(inputs):
    if "exit" in inputs: os._exit(7)
    if "fail" in inputs or "worse" in inputs: raise ValueError("all of them")
    return [KeyError("own") if text == "own" else Made() if text == "made" else {1} if text == "set" else [text, len(inputs)] for text in inputs]
`

// TestScriptBatch: a script with run_batch() gets what waits as a list, and each request
// gets its own answer.
func TestScriptBatch(t *testing.T) {
	t.Parallel()
	const failed = saysFailed
	for name, c := range map[string]struct {
		inputs []string
		want   []string // status and a part of the body
		log    string
	}{
		"together":      {[]string{"a", "b", "c"}, []string{`200 ["a", 3]`, `200 ["b", 3]`, `200 ["c", 3]`}, ""},
		"own error":     {[]string{"a", "own"}, []string{`200 ["a", 2]`, "500 " + failed}, "KeyError: 'own'"},
		"own response":  {[]string{"made", "b"}, []string{"418 made", `200 ["b", 2]`}, ""},
		"no text":       {[]string{"\xff", "b"}, []string{"400 Input cannot be decoded as UTF-8", `200 ["b", 1]`}, ""},
		"no JSON":       {[]string{"set", "b"}, []string{"500 An unexpected internal error", `200 ["b", 2]`}, "a set that JSON can't hold"},
		"fails at all":  {[]string{"a", "fail", "worse"}, []string{`200 ["a", 1]`, `200 ["fail", 1]`, "500 " + failed}, "ValueError: all of them"},
		"ends the rest": {[]string{"a", "exit", "c"}, []string{`200 ["a", 1]`, "502 ended while it worked", `200 ["c", 1]`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := filepath.Join(t.TempDir(), "release")
			p, log := startScript(t, batchScript, func(cfg *PythonConfig) { cfg.Env = map[string]string{"RELEASE": release} })
			s := serve(t, options{MaxQueueWait: time.Minute}, p)
			waiting := func() int {
				p.batcher.mu.Lock()
				defer p.batcher.mu.Unlock()
				return len(p.batcher.waiting) + 10*p.batcher.busy
			}
			var all sync.WaitGroup
			all.Go(func() { s.ask(t, "POST", "/score", "hold") })
			require.Eventually(t, func() bool { return waiting() == 10 }, 20*time.Second, time.Millisecond)
			got := make([]answer, len(c.inputs))
			for i, input := range c.inputs {
				all.Go(func() { got[i] = s.ask(t, "POST", "/score", input) })
				require.Eventually(t, func() bool { return waiting() == 11+i }, 20*time.Second, time.Millisecond)
			}
			require.NoError(t, os.WriteFile(release, nil, 0o600))
			all.Wait()
			for i := range c.inputs {
				status, text, _ := strings.Cut(c.want[i], " ")
				require.Equal(t, status, strconv.Itoa(got[i].status), got[i].body)
				require.Contains(t, got[i].body, text)
			}
			require.Contains(t, log.String(), c.log)
			if name == "own response" {
				require.Equal(t, "yes", got[0].header.Get("X-Mine"))
			}
		})
	}
}

// TestScriptBatchRefused: run_batch() has to fit.
func TestScriptBatchRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, want string }{
		"parameters":      {"def init(): pass\ndef run(d): pass\ndef run_batch(a, b): pass\n", "must be a function of one parameter"},
		"no function":     {"def init(): pass\ndef run(d): pass\nrun_batch = 1\n", "must be a function of one parameter"},
		"request headers": {"def init(): pass\ndef run(d, request_headers): pass\ndef run_batch(a): pass\n", "a plain run(data)"},
		"two parameters":  {"def init(): pass\ndef run(d, e=1): pass\ndef run_batch(a): pass\n", "a plain run(data)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := StartPython(t.Context(), PythonConfig{SourceDir: writeScript(t, c.source), EntryScript: "score.py", Python: needPython(t)})
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, c.want)
		})
	}
}
