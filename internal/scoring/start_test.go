package scoring

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// TestStartFailures: a script that can't serve fails at once, and says where
// and why.
func TestStartFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script, phase, exception string
		exit                           int
		line                           string
	}{
		{"syntax", "def init(:\n", PhaseImport, "SyntaxError", 3, "SyntaxError"},
		{"missing package", "import no_such_package_here\ndef init(): pass\ndef run(d): pass\n", PhaseImport, "No module named 'no_such_package_here'; add its package to the script's environment", 3, "ModuleNotFoundError"},
		{"missing azureml-core", "from azureml.core.model import Model\n", PhaseImport, "add azureml-core to the script's environment, or find models in the folder that the variable AZUREML_MODEL_DIR names", 3, ""},
		{"missing monitoring", "from azureml.ai.monitoring import Collector\n", PhaseImport, "add azureml-ai-monitoring to the script's environment", 3, ""},
		{"raises on import", "print('loading')\nraise RuntimeError('broken')\n", PhaseImport, "RuntimeError: broken", 3, "loading"},
		{"exits on import", "import sys\nsys.exit(7)\n", PhaseImport, "SystemExit: 7", 3, ""},
		{"no init", "def run(d): pass\n", PhaseCheck, "init()", 3, ""},
		{"no run", "def init(): pass\n", PhaseCheck, "run()", 3, ""},
		{"init is no function", "init = 1\ndef run(d): pass\n", PhaseCheck, "init()", 3, ""},
		{"no parameter", "def init(): pass\ndef run(): pass\n", PhaseCheck, "no parameter", 3, ""},
		{"only headers", "def init(): pass\ndef run(request_headers): pass\n", PhaseCheck, "no parameter", 3, ""},
		{"star args", "def init(): pass\ndef run(*args): pass\n", PhaseCheck, "*args", 3, ""},
		{"star kwargs", "def init(): pass\ndef run(d, **k): pass\n", PhaseCheck, "*args", 3, ""},
		{"positional only", "def init(): pass\ndef run(d, /): pass\n", PhaseCheck, "positional-only", 3, ""},
		{"init raises", "def init():\n  print('no newline', end='')\n  open('/no/such/model')\ndef run(d): pass\n", PhaseInit, "FileNotFoundError", 3, "no newline"},
		{"init needs arguments", "def init(x): pass\ndef run(d): pass\n", PhaseInit, "TypeError", 3, ""},
		{"init exits", "import os\ndef init(): os._exit(9)\ndef run(d): pass\n", PhaseInit, "", 9, ""},
		{"init is killed", "import os, signal\ndef init(): os.kill(os.getpid(), signal.SIGKILL)\ndef run(d): pass\n", PhaseInit, "", -1, ""},
		{"import crashes", "import ctypes\nctypes.string_at(0)\n", PhaseImport, "", -1, "Fatal Python error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := StartPython(t.Context(), PythonConfig{SourceDir: writeScript(t, c.script), EntryScript: "score.py", Python: needPython(t)})
			require.ErrorIs(t, err, azml.ErrInvalid)
			e, ok := errors.AsType[*StartError](err)
			require.True(t, ok)
			require.Equal(t, c.phase, e.Phase)
			require.Equal(t, c.exit, e.ExitCode)
			require.Contains(t, e.Exception, c.exception)
			require.Contains(t, err.Error(), "score.py failed in phase "+c.phase)
			if c.line != "" {
				require.Contains(t, err.Error(), c.line)
			}
		})
	}
}

func TestStartBadConfig(t *testing.T) {
	t.Parallel()
	dir := writeScript(t, "def init(): pass\ndef run(d): return d\n")
	for _, c := range []struct {
		name  string
		cfg   PythonConfig
		class error
	}{
		{"no folder", PythonConfig{}, azml.ErrInvalid},
		{"no script", PythonConfig{SourceDir: dir, EntryScript: "other.py"}, azml.ErrInvalid},
		{"default script absent", PythonConfig{SourceDir: dir}, azml.ErrInvalid},
		{"script escapes", PythonConfig{SourceDir: dir, EntryScript: "../score.py"}, azml.ErrInvalid},
		{"absolute script", PythonConfig{SourceDir: dir, EntryScript: filepath.Join(dir, "score.py")}, azml.ErrInvalid},
		{"script is a folder", PythonConfig{SourceDir: filepath.Dir(dir), EntryScript: filepath.Base(dir)}, azml.ErrInvalid},
		{"no app root", PythonConfig{SourceDir: dir, EntryScript: "score.py", AppRoot: filepath.Join(dir, "no")}, azml.ErrInvalid},
		{"no interpreter", PythonConfig{SourceDir: dir, EntryScript: "score.py", Python: "no-such-python"}, azml.ErrNotFound},
		{"no interpreter at path", PythonConfig{SourceDir: dir, EntryScript: "score.py", Python: "/no/such/python"}, azml.ErrNotFound},
		{"interpreter is something else", PythonConfig{SourceDir: dir, EntryScript: "score.py", Python: "true"}, azml.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := StartPython(t.Context(), c.cfg)
			require.ErrorIs(t, err, c.class)
		})
	}
}

func TestStartTakesTooLong(t *testing.T) {
	t.Parallel()
	dir := writeScript(t, "import time\ndef init():\n  print('slow model')\n  time.sleep(600)\ndef run(d): pass\n")
	_, err := StartPython(t.Context(), PythonConfig{SourceDir: dir, EntryScript: "score.py", Python: needPython(t), InitTimeout: 4 * time.Second})
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	e, _ := errors.AsType[*StartError](err)
	require.Equal(t, PhaseInit, e.Phase)
	require.Contains(t, e.LastLines, "slow model")

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err = StartPython(ctx, PythonConfig{SourceDir: dir, EntryScript: "score.py", Python: needPython(t)})
	require.ErrorIs(t, err, context.Canceled)
}

// TestScriptSurroundings: what a script sees of the world.
func TestScriptSurroundings(t *testing.T) {
	t.Setenv("AZML_TEST_SECRET", "not for scripts") // so not parallel
	model := t.TempDir()
	p, log := startScript(t, `
import json, os, sys, pickle
import sibling
class Model: pass
def init():
    os.write(1, b"from fd 1\n")
    os.write(2, b"from fd 2\r\n")
    print("unfinished", end="")
    assert pickle.loads(pickle.dumps(Model())).__class__ is Model
def run(data):
    return {"env": dict(os.environ), "cwd": os.getcwd(), "stdin": sys.stdin.read(), "sibling": sibling.__file__, "name": __name__}
`, func(c *PythonConfig) {
		require.NoError(t, os.WriteFile(filepath.Join(c.SourceDir, "sibling.py"), nil, 0o600))
		c.ModelDir, c.WorkspaceName, c.ServiceName = model, "ws", "svc"
		c.Env = map[string]string{"MINE": "1", "SERVICE_VERSION": "7"}
	})
	var seen struct {
		Env                       map[string]string
		Cwd, Stdin, Sibling, Name string
	}
	score(t, p, "", &seen)
	dir := p.cfg.SourceDir
	require.Equal(t, dir, seen.Cwd)
	require.Equal(t, filepath.Join(dir, "sibling.py"), seen.Sibling)
	require.Equal(t, "entry_module", seen.Name)
	require.Empty(t, seen.Stdin)
	for name, want := range map[string]string{
		"AZUREML_MODEL_DIR": model, "AZUREML_ENTRY_SCRIPT": filepath.Join(dir, "score.py"), "AZUREML_SOURCE_DIRECTORY": dir,
		"AML_APP_ROOT": dir, "SERVICE_NAME": "svc", "WORKSPACE_NAME": "ws", "SERVICE_VERSION": "7", "MINE": "1", "PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME"),
	} {
		require.Equal(t, want, seen.Env[name], name)
	}
	require.NotContains(t, seen.Env, "AZML_TEST_SECRET")
	require.NoError(t, p.Close(t.Context()))
	require.Regexp(t, `(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} I \[\d+\] azml\.print - from fd 1\n.*azml\.print - from fd 2\n.*azml\.print - unfinished\n`, log.String())
}

// TestDriverModule: a generated script that wraps the user's own.
func TestDriverModule(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, `
import inner as driver_module
def init(): driver_module.ready = True
def run(*args): raise RuntimeError("not this one")
`, func(c *PythonConfig) {
		require.NoError(t, os.WriteFile(filepath.Join(c.SourceDir, "inner.py"), []byte("def run(data): return ready\n"), 0o600))
	})
	var got bool
	score(t, p, "", &got)
	require.True(t, got)
}
