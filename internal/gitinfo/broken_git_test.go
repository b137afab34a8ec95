package gitinfo

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeGit puts a shell script in the place of git. Tests that use it can't be
// parallel, for PATH is the process's.
func fakeGit(t *testing.T, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the replacement for git is a shell script")
	}
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\n"+script), 0o700))
	t.Setenv("PATH", bin)
}

func TestGitThatIsMissing(t *testing.T) {
	dir, _ := setup(t)
	t.Setenv("PATH", t.TempDir())
	require.Empty(t, read(t, dir))
}

func TestGitThatFails(t *testing.T) {
	fakeGit(t, "echo true\necho fatal >&2\nexit 128\n")
	require.Empty(t, read(t, t.TempDir()))
}

func TestGitThatHangs(t *testing.T) {
	fakeGit(t, "exec /bin/sleep 60\n")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := Read(ctx, t.TempDir(), noEnv)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begin), 5*time.Second)
}
