package pyenv

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/testenv"
)

// patience bounds conditions that hold within seconds on an idle machine.
const patience = 3 * time.Minute

// run runs a program inside the environment.
func run(t *testing.T, env *Env, name string, args ...string) string {
	t.Helper()
	vars := env.Environ(map[string]string{"PATH": os.Getenv("PATH"), "PYTHONHOME": "/nowhere"})
	path, err := lookPath(name, vars)
	require.NoError(t, err)
	cmd := exec.Command(path, args...)
	cmd.Env = environList(vars)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func TestBuildInstallsAndReuses(t *testing.T) {
	t.Parallel()
	needPython(t)
	links, cache := t.TempDir(), t.TempDir()
	wheel(t, links, "tinyone", "1.0")
	wheel(t, links, "tinyone", "2.0")
	wheel(t, links, "tinytwo", "1.0")
	spec := localSpec(links, "tinyone", "Tinytwo == 1.0")
	spec.Constraints = []string{"tinyone<2"}
	log := newLines()
	opts := &BuildOptions{CacheDir: cache, Log: log}

	env, err := Build(t.Context(), spec, opts)
	require.NoError(t, err, "%s", log)
	require.False(t, env.Reused)
	require.Positive(t, env.BuildTime)
	require.Equal(t, spec.Hash(), env.Hash)
	require.Equal(t, filepath.Join(cache, "envs", spec.Hash()), filepath.Dir(env.Dir))
	require.Contains(t, log.String(), "Successfully installed")

	require.Equal(t, "1.0", run(t, env, "python", "-c", "import tinyone, tinytwo; print(tinyone.version)"))
	require.Equal(t, "1.0", run(t, env, "tinyone-cli"))
	require.Equal(t, env.Dir, run(t, env, "python", "-c", "import sys; print(sys.prefix)"))
	frozen, err := env.Freeze(t.Context())
	require.NoError(t, err)
	require.Contains(t, frozen, "tinyone==1.0")
	require.Contains(t, frozen, "tinytwo==1.0")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(env.Dir), "*.txt"))
	require.NoError(t, err)
	require.Empty(t, left, "files handed to pip stay behind")

	again, err := Build(t.Context(), Spec{Pip: []string{"tinytwo==1.0", "tinyone"}, PipOptions: spec.PipOptions,
		Constraints: spec.Constraints}, opts)
	require.NoError(t, err)
	require.True(t, again.Reused)
	require.Equal(t, env.Dir, again.Dir)
	require.Equal(t, env.BuildTime, again.BuildTime)

	all, err := List(t.Context(), cache)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.True(t, all[0].Complete)
	require.Equal(t, env.Dir, all[0].Dir)
	require.Greater(t, all[0].Size, int64(10_000))

	// An interpreter that has gone makes the environment unusable.
	require.NoError(t, os.Remove(env.Python))
	rebuilt, err := Build(t.Context(), spec, opts)
	require.NoError(t, err)
	require.False(t, rebuilt.Reused)

	removed, err := Prune(t.Context(), cache, time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Empty(t, removed, "a used environment was pruned")
	removed, err = Prune(t.Context(), cache, time.Now().Add(time.Second))
	require.NoError(t, err)
	require.Len(t, removed, 1)
	require.NoDirExists(t, rebuilt.Dir)
}

func TestBuildFailureLeavesNothing(t *testing.T) {
	t.Parallel()
	needPython(t)
	links, cache := t.TempDir(), t.TempDir()
	sdist(t, links, "broken", "print('compiling for user:sekret99'); raise RuntimeError('no compiler')")
	spec := localSpec(links, "broken")
	_, err := Build(t.Context(), spec, &BuildOptions{CacheDir: cache})
	failed := &BuildError{}
	require.ErrorAs(t, err, &failed)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.Equal(t, "pip install", failed.Phase)
	require.Equal(t, 1, failed.ExitCode)
	require.Contains(t, strings.Join(failed.LastLines, "\n"), "no compiler")
	require.Equal(t, noWheel, failed.Hint, "%v", err)
	require.NoDirExists(t, filepath.Join(cache, "envs", spec.Hash()))
}

func TestHints(t *testing.T) {
	t.Parallel()
	for line, class := range map[string]error{
		"ERROR: No matching distribution found for nosuchthing":                                azml.ErrInvalid,
		"OSError: [Errno 28] No space left on device":                                          azml.ErrUnavailable,
		"NewConnectionError: Failed to establish a new connection":                             azml.ErrUnavailable,
		"ERROR: HTTP error 403 Client Error: Forbidden for url":                                azml.ErrDenied,
		"ERROR: ResolutionImpossible: for help visit":                                          azml.ErrInvalid,
		"error sending request for url (https://h/c): invalid peer certificate: UnknownIssuer": azml.ErrUnavailable,
		"HTTP status client error (403 Forbidden) for url (https://h/c/noarch)":                azml.ErrDenied,
		"HTTP status server error (500 Internal Server Error) for url (https://h/c/noarch)":    azml.ErrUnavailable,
	} {
		failed := newBuildError("pip install", os.ErrInvalid, []string{line})
		require.ErrorIs(t, failed, class, line)
		require.ErrorIs(t, failed, os.ErrInvalid)
		require.NotEmpty(t, failed.Hint, line)
		require.ErrorContains(t, failed, line)
	}
	require.Empty(t, newBuildError("venv", os.ErrInvalid, []string{"?"}).Hint)
}

func TestBuildCancelKillsTheGroup(t *testing.T) {
	t.Parallel()
	needPython(t)
	links, cache := t.TempDir(), t.TempDir()
	pidFile := filepath.Join(links, "pid")
	sdist(t, links, "slow", "open('"+pidFile+".tmp', 'w').write(str(os.getpid()))\nos.rename('"+pidFile+".tmp', '"+pidFile+"')\ntime.sleep(60)")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Build(ctx, localSpec(links, "slow"), &BuildOptions{CacheDir: cache})
		done <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(pidFile); return err == nil }, patience, 20*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	pid, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !alive(string(pid)) }, patience, 20*time.Millisecond,
		"the package's build still runs")
	require.NoDirExists(t, filepath.Join(cache, "envs", localSpec(links, "slow").Hash()))
}

// alive tells whether a process runs; one that only waits for its parent to
// read its status does not.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestWaiterHonoursContext(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	spec := Spec{Pip: []string{"anything"}}
	unlock, err := slot{cache: cache, key: spec.Hash()}.lock(t.Context(), func() {})
	require.NoError(t, err)
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	log := newLines()
	done := make(chan error, 1)
	go func() {
		_, err := Build(ctx, spec, &BuildOptions{CacheDir: cache, Log: log})
		done <- err
	}()
	log.waitFor(t, "waiting for another build of the Python environment "+spec.Hash())
	removed, err := Prune(t.Context(), cache, time.Now())
	require.NoError(t, err)
	require.Empty(t, removed)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestBuildFromTheNetwork(t *testing.T) {
	t.Parallel()
	needPython(t)
	env, err := Build(t.Context(), Spec{Pip: []string{"iniconfig==2.0.0"}}, &BuildOptions{CacheDir: t.TempDir()})
	if err != nil && azml.ClassOf(err) == azml.ErrUnavailable {
		testenv.Skip(t, testenv.AbilityPythonVenv, "the package index can't be reached from here")
	}
	require.NoError(t, err)
	require.NotEmpty(t, run(t, env, "python", "-c", "import iniconfig; print(iniconfig.__name__)"))
}
