package testenv

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder stands for a test that skips or fails.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()           {}
func (r *recorder) Skip(args ...any)  { r.skipped = args[0].(string) }
func (r *recorder) Fatal(args ...any) { r.failed = args[0].(string) }

func TestSkip(t *testing.T) {
	for name, tt := range map[string]struct {
		mustRun string
		skipped bool
	}{
		"nothing must run":   {"", true},
		"another must run":   {"python-venv,git", true},
		"this must run":      {"git,python", false},
		"this alone must":    {"python", false},
		"spelled otherwise":  {"Python", true},
		"part of its name":   {"pyth", true},
		"this among doubles": {"python,python", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(MustRunVariable, tt.mustRun)
			r := &recorder{TB: t}
			Skip(r, AbilityPython, "no\nsuch  program")
			if tt.skipped {
				require.Equal(t, "python is missing: no such program", r.skipped)
				require.Empty(t, r.failed)
				return
			}
			require.Contains(t, r.failed, "python is missing: no such program")
			require.Empty(t, r.skipped)
		})
	}
}

func TestOneLineIsBounded(t *testing.T) {
	t.Parallel()
	line := oneLine(strings.Repeat("é ", 1000) + "end")
	require.Len(t, []rune(line), 403)
	require.True(t, strings.HasSuffix(line, "end"))
}

func TestInstalledOnceByManyAtOnce(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	var installs atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := c.installed(t.Context(), "thing", false, func(dir string) error {
				installs.Add(1)
				return os.WriteFile(filepath.Join(dir, "file"), []byte("whole"), 0o600)
			})
			if err != nil {
				t.Error(err)
				return
			}
			text, err := os.ReadFile(filepath.Join(dir, "file"))
			if err != nil || string(text) != "whole" {
				t.Errorf("read %q, %v", text, err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, installs.Load())
}

func TestInstalledEmptiesHalfFilledFolder(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	left := filepath.Join(c.dir, "thing", "left")
	require.NoError(t, os.MkdirAll(left, 0o755))
	_, err := c.installed(t.Context(), "thing", false, func(string) error { return nil })
	require.NoError(t, err)
	require.NoDirExists(t, left)
}

func TestInstalledRemembersFailure(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	installs := 0
	fail := func(string) error { installs++; return errors.New("no network") }
	for range 2 {
		_, err := c.installed(t.Context(), "thing", false, fail)
		require.ErrorContains(t, err, "no network")
	}
	require.Equal(t, 1, installs, "a fresh failure is not tried again")
	require.NoDirExists(t, filepath.Join(c.dir, "thing"))

	_, err := c.installed(t.Context(), "thing", true, fail)
	require.ErrorContains(t, err, "no network")
	require.Equal(t, 2, installs, "again tries at once")

	old := time.Now().Add(-2 * failureKept)
	require.NoError(t, os.Chtimes(c.failure("thing"), old, old))
	_, err = c.installed(t.Context(), "thing", false, func(string) error { return nil })
	require.NoError(t, err, "an old failure is tried again")
}

func TestInstalledForgetsInterruption(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.installed(ctx, "thing", false, func(string) error { cancel(); return ctx.Err() })
	require.ErrorIs(t, err, context.Canceled)
	require.NoFileExists(t, c.failure("thing"))
}

func TestLockHonoursContext(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	unlock, err := c.lock(t.Context(), "thing")
	require.NoError(t, err)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = c.lock(ctx, "thing")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestVenvIsMadeOnceAndWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a virtual environment: left out in short mode")
	}
	Python(t)
	t.Setenv("AZML_TEST_CACHE", t.TempDir())
	first := Venv(t, "empty")
	out, err := exec.CommandContext(t.Context(), first, "-c", "import sys; print(sys.prefix != sys.base_prefix)").Output()
	require.NoError(t, err)
	require.Equal(t, "True", strings.TrimSpace(string(out)))

	before, err := os.Stat(first)
	require.NoError(t, err)
	require.Equal(t, first, Venv(t, "empty"))
	after, err := os.Stat(first)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
}

func TestVenvSaysWhatPipSaid(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a virtual environment: left out in short mode")
	}
	Python(t)
	t.Setenv("AZML_TEST_CACHE", t.TempDir())
	_, err := venv(t.Context(), "bad", false, []string{"not a requirement!"}, nil)
	require.ErrorContains(t, err, "Invalid requirement")
}

func TestSmallDiskFillsUp(t *testing.T) {
	t.Parallel()
	dir := SmallDisk(t, 1<<16)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fits"), make([]byte, 1<<12), 0o600))
	err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 1<<20), 0o600)
	var pathError *fs.PathError
	require.ErrorAs(t, err, &pathError)
}

func TestGit(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), Git(t), "--version").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "git version")
}

func TestPreparedLacks(t *testing.T) {
	t.Parallel()
	p := Prepared{Missing: map[string]string{AbilityMount: "no"}}
	require.Equal(t, []string{AbilityMount}, p.Lacks([]string{AbilityGit, AbilityMount}))
	require.Empty(t, p.Lacks([]string{AbilityGit}))
}
