//go:build linux

package process_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/supervisor"
	"github.com/azml-go/azml/backend/process"
)

func shell(t *testing.T, id, script string) backend.Job {
	return backend.Job{ID: id, Command: []string{"/bin/sh", "-c", script}, Dir: t.TempDir(), Env: map[string]string{"PATH": "/usr/bin:/bin", "TOKEN": "s3cret-value"}}
}

// known gives a field of the job's record.
func known(t *testing.T, dir, id, field string) any {
	data, err := os.ReadFile(filepath.Join(dir, id, "job.jsonl"))
	require.NoError(t, err)
	fields := map[string]any{}
	for line := range bytes.Lines(data) {
		require.NoError(t, json.Unmarshal(line, &fields))
	}
	return fields[field]
}

func supervisorOf(t *testing.T, dir, id string) int {
	pid := int(known(t, dir, id, "supervisor").(float64))
	require.Positive(t, pid)
	return pid
}

func TestSupervisorKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir)
	require.NoError(t, d.Start(t.Context(), shell(t, "a", "sleep 1000 & sleep 1000")))
	require.NoError(t, syscall.Kill(supervisorOf(t, dir, "a"), syscall.SIGKILL))
	require.Eventually(t, func() bool {
		s, err := d.Status(t.Context(), "a")
		require.NoError(t, err)
		return s.State == backend.JobRunning && strings.Contains(s.Reason, "supervisor")
	}, 10*time.Second, time.Millisecond, "the command still runs")
	require.ErrorIs(t, d.Remove(t.Context(), "a"), azml.ErrConflict)
	require.NoError(t, d.Cancel(t.Context(), "a", 50*time.Millisecond))
	s, err := d.Wait(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobLost, s.State)
	require.Contains(t, s.Reason, "supervisor")
	require.True(t, s.Ended.IsZero())
	require.NoError(t, d.Remove(t.Context(), "a"))
}

func TestSupervisorStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir)
	require.NoError(t, d.Start(t.Context(), shell(t, "a", "exec sleep 1000")))
	require.NoError(t, syscall.Kill(supervisorOf(t, dir, "a"), syscall.SIGSTOP))
	require.NoError(t, d.Cancel(t.Context(), "a", time.Second))
	s, err := d.Status(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobKilled, s.State)
	require.Equal(t, "cancelled, killed by signal 15 (terminated)", s.Reason)
}

// TestSignalsForTheSupervisor are those that mean the program, not its jobs.
func TestSignalsForTheSupervisor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir)
	require.NoError(t, d.Start(t.Context(), shell(t, "a", "until [ -e go ]; do sleep 0.02; done; exit 3")))
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1} {
		require.NoError(t, syscall.Kill(supervisorOf(t, dir, "a"), s))
	}
	folder := known(t, dir, "a", "dir").(string)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "go"), nil, 0o600))
	s, err := d.Wait(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, 3, s.ExitCode)
	require.Empty(t, s.Reason)
}

// TestSupervisorBeginsEarly starts this test's program as a supervisor: it is none of those that
// wait for the libraries that the program links.
func TestSupervisorBeginsEarly(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	var initialised bytes.Buffer
	cmd := &exec.Cmd{Path: self, Args: []string{supervisor.Name, t.TempDir()}, Env: []string{"GODEBUG=inittrace=1"}, Stderr: &initialised}
	var ended *exec.ExitError
	require.ErrorAs(t, cmd.Run(), &ended, "it was told nothing")
	require.Equal(t, 1, ended.ExitCode())
	require.Contains(t, initialised.String(), "init os ")
	for _, late := range []string{"encoding/json", "path/filepath", "regexp", "net", "github.com/stretchr/testify/assert"} {
		require.NotContains(t, initialised.String(), "init "+late+" ")
	}
}

// TestRecords are the records that crashes leave.
func TestRecords(t *testing.T) {
	t.Parallel()
	const created, started = `{"id":"a","created":"2026-01-01T00:00:00Z"}` + "\n", `{"supervisor":1,"pid":1,"boot":"another","started":"2026-01-01T00:00:01Z"}` + "\n"
	const ended = `{"exit_code":3,"ended":"2026-01-01T00:00:02Z"}` + "\n"
	for name, c := range map[string]struct {
		text   string
		state  backend.JobState
		reason string
	}{
		"before the start":  {created, backend.JobLost, "the starting process died before the command ran"},
		"another boot":      {created + started, backend.JobLost, "the machine was started anew"},
		"torn last line":    {created + started + ended[:20], backend.JobLost, "the machine was started anew"},
		"ended before that": {created + started + ended, backend.JobExited, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := open(t, dir)
			require.NoError(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "job.jsonl"), []byte(c.text), 0o600))
			s, err := d.Wait(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, c.state, s.State)
			require.Equal(t, c.reason, s.Reason)
			require.NoError(t, d.Cancel(t.Context(), "a", 0))
			require.NoError(t, d.Remove(t.Context(), "a"))
		})
	}
}

func TestReusedPID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	sid, _, errno := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0)
	require.Zero(t, errno)
	record := `{"id":"a"}` + "\n" + `{"supervisor":1,"birth":1,"pid":` + strconv.Itoa(int(sid)) + `,"boot":"` + strings.TrimSpace(string(boot)) + `"}` + "\n"
	require.NoError(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "job.jsonl"), []byte(record), 0o600))
	s, err := d.Status(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobLost, s.State, "this test's own session is not the job's")
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "jobs")
	d := open(t, dir)
	job := shell(t, "a", "cat >/dev/null; exec sleep 1000")
	job.Input = []byte("s3cret input")
	require.NoError(t, d.Start(t.Context(), job))
	require.NoError(t, d.Cancel(t.Context(), "a", 0))
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		if !e.IsDir() {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotContains(t, string(data), "s3cret", path)
		}
		return nil
	})
	require.NoError(t, err)
}

func TestCommandThatCannotRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir)
	for name, text := range map[string]string{"interpreter": "#!/no/such/interpreter\n", "format": "\x00\x01\x02"} {
		path := filepath.Join(t.TempDir(), "tool")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o700))
		err := d.Start(t.Context(), backend.Job{ID: "a", Command: []string{path}, Dir: "/"})
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := process.New(dir, nil)
	require.NoError(t, err)
	require.NoError(t, d.Start(t.Context(), shell(t, "a", "exec sleep 1000")))
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	require.ErrorIs(t, d.Start(t.Context(), shell(t, "b", "true")), azml.ErrClosed)
	other := open(t, dir)
	s, err := other.Status(context.Background(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobRunning, s.State)
	_, err = other.Status(t.Context(), "b")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.NoError(t, other.Cancel(t.Context(), "a", 0))
}

func TestNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := process.New(filepath.Join(file, "below"), nil)
	require.ErrorIs(t, err, azml.ErrInvalid)

	old := filepath.Join(dir, ".scratch-1")
	require.NoError(t, os.Mkdir(old, 0o700))
	require.NoError(t, os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)))
	fresh := filepath.Join(dir, ".scratch-2")
	require.NoError(t, os.Mkdir(fresh, 0o700))
	open(t, dir)
	require.NoDirExists(t, old)
	require.DirExists(t, fresh)
}

// TestFolderIsRemoved removes the folder of an idle driver, as somebody does who
// clears a cache.
func TestFolderIsRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "jobs")
	d := open(t, dir)
	require.NoError(t, os.RemoveAll(dir))
	for _, err := range d.List(t.Context()) {
		require.NoError(t, err)
	}
	require.NoError(t, d.Check(t.Context()))
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, d.Start(t.Context(), shell(t, "a", "true")))
}
