package snapshot

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// asNobody makes the file system treat the calling goroutine as somebody who
// owns nothing: root may read everything. The goroutine's thread ends with it.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	runtime.LockOSThread()
	const nobody = 65534
	_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
	now, _, _ := syscall.RawSyscall(syscall.SYS_SETFSUID, ^uintptr(0), 0, 0)
	if now != nobody {
		t.Skip("this system does not let root step down")
	}
	t.Cleanup(func() { _, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0) })
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"a": "", "secret": "", "locked/x": "", "sub/.gitignore": "x\n", "sub/x": "", "ignored": "", ".gitignore": "ignored\n", "link": "->secret",
	})
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Chmod(filepath.Join(dir, "sub"), 0o755))
	for _, path := range []string{"secret", "locked", "sub/.gitignore", "ignored"} {
		require.NoError(t, os.Chmod(filepath.Join(dir, path), 0))
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "locked"), 0o700) })
	asNobody(t)
	plan := scan(t, dir, nil)
	require.Equal(t, []string{".gitignore", "a", "link", "sub/x"}, paths(plan))
	const reason = "it can't be read: permission denied"
	require.Equal(t, map[string]string{"secret": reason, "locked": reason, "sub/.gitignore": reason}, skipped(plan))
	require.Contains(t, plan.Warnings[0], `"sub/.gitignore" can't be read, so nothing is ignored by it`)

	_, err := Scan(t.Context(), dir, &Options{Require: []string{"secret"}})
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "permission denied")
	_, err = Scan(t.Context(), filepath.Join(dir, "locked"), nil)
	require.ErrorIs(t, err, azml.ErrDenied)
}

func TestOddFiles(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"a\nb": "", "\xff\xfe": "", "sub/\xff/x": "", `back\slash`: "", " ": "", "é": "", "*": "", "~": "", ".gitignore": "ignored-pipe\n",
	})
	for _, pipe := range []string{"pipe", "ignored-pipe"} {
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, pipe), 0o666))
	}
	plan := scan(t, dir, nil)
	require.Equal(t, []string{" ", "*", ".gitignore", "a\nb", "sub", "~", "é"}, paths(plan))
	require.Equal(t, map[string]string{
		"\xff\xfe":   "its name is not UTF-8",
		"sub/\xff":   "its name is not UTF-8",
		`back\slash`: "its name holds a backslash, which is no name on every system",
		"pipe":       "it is a named pipe",
	}, skipped(plan))
	require.Contains(t, ignored(plan), "ignored-pipe")
}
