package docker_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/internal/testenv"
)

func shell(id, script string) backend.Job {
	return backend.Job{ID: id, Command: []string{"/bin/sh", "-c", script}, Dir: "/tmp", Env: map[string]string{"PATH": "/usr/bin:/bin", "TOKEN": "s3cret-value"}}
}

// finish runs a job to its end and gives what it wrote.
func finish(t *testing.T, d *docker.Driver, job backend.Job) (backend.JobStatus, string) {
	require.NoError(t, d.Start(t.Context(), job))
	s, err := d.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	r, err := d.Output(t.Context(), job.ID, &backend.OutputOptions{})
	require.NoError(t, err)
	defer r.Close()
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	return s, string(out)
}

// TestEngineRestarts kills the engine while a job runs.
func TestEngineRestarts(t *testing.T) {
	engine := testenv.Docker(t)
	opts := options(t, engine)
	d := open(t, opts)
	require.NoError(t, d.Start(t.Context(), shell("a", "echo first; sleep 4; echo second; exit 5")))
	require.NoError(t, d.Start(t.Context(), shell("b", "echo $$; exec sleep 1000")))
	waiting := make(chan error)
	go func() {
		_, err := d.Wait(context.WithoutCancel(t.Context()), "b")
		waiting <- err
	}()
	r, err := d.Output(t.Context(), "b", &backend.OutputOptions{Follow: true})
	require.NoError(t, err)
	defer r.Close()
	var pid string
	_, err = fmt.Fscanln(r, &pid)
	require.NoError(t, err)
	require.Len(t, alive(t, opts, "b", []string{pid}), 1, "what the suite looks for is found")
	time.Sleep(100 * time.Millisecond) // lets the other request get there; without, it finds no engine, which is the same class
	engine.Restart(t)
	require.ErrorIs(t, <-waiting, azml.ErrUnavailable)
	_, err = r.Read(make([]byte, 1))
	require.ErrorIs(t, err, azml.ErrUnavailable)
	s, err := d.Wait(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobExited, s.State)
	require.Equal(t, 5, s.ExitCode)
	other := open(t, opts)
	out, err := other.Output(t.Context(), "a", &backend.OutputOptions{Follow: true})
	require.NoError(t, err)
	defer out.Close()
	text, err := io.ReadAll(out)
	require.NoError(t, err)
	require.Equal(t, "first\nsecond\n", string(text))
	require.NoError(t, other.Cancel(t.Context(), "b", time.Second))
}

// TestNothingIsShown looks for values in what the engine says of a job, and for
// its input in all that is stored.
func TestNothingIsShown(t *testing.T) {
	t.Parallel()
	engine := testenv.Docker(t)
	opts := options(t, engine)
	d := open(t, opts)
	job := shell("a", "wc -c; sleep 1000")
	job.Input = []byte("t0ken-of-the-run")
	require.NoError(t, d.Start(t.Context(), job))
	out, err := exec.Command("sh", "-c", `export DOCKER_HOST="$1"; c=$(docker ps -aq --filter label=azml.driver="$2"); docker inspect $c; docker top $c`,
		"sh", engine.Host, opts.Name).Output()
	require.NoError(t, err)
	require.Contains(t, string(out), `"azml.job": "a"`)
	require.NotContains(t, string(out), "s3cret")
	require.NotContains(t, string(out), "t0ken")
	for _, name := range []string{".", "jobs"} {
		info, err := os.Stat(filepath.Join(opts.Dir, name))
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, name)
	}
	files, err := filepath.Glob(filepath.Join(opts.Dir, "jobs", "*", "*"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(data), "t0ken", file)
	}
}

// TestUser has jobs run as nobody unless somebody says otherwise, and unable to
// become root.
func TestUser(t *testing.T) {
	t.Parallel()
	engine := testenv.Docker(t)
	opts := options(t, engine)
	_, out := finish(t, open(t, opts), shell("a", "id -u; grep NoNewPrivs /proc/self/status; touch /here 2>&1 || echo refused; echo > /run/azml/job/x || echo refused"))
	require.Contains(t, out, "65532\nNoNewPrivs:\t1\n")
	require.Contains(t, out, "touch: cannot touch '/here': Permission denied\nrefused\n")
	require.Contains(t, out, "Read-only file system\nrefused\n")
	opts.Name += "-other"
	opts.User = "1234:1000"
	_, out = finish(t, open(t, opts), shell("a", "id -u; id -g"))
	require.Equal(t, "1234\n1000\n", out)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	engine := testenv.Docker(t)
	opts := options(t, engine)
	opts.Limits = backend.Limits{SharedMemory: 3 << 20}
	d := open(t, opts)
	_, out := finish(t, d, shell("a", "df -k --output=size /dev/shm | tail -1"))
	require.Equal(t, "3072", strings.TrimSpace(out))
	job := shell("b", `exec python3 -c 'x = bytearray(1 << 30)'`)
	job.Limits.Memory = 32 << 20
	s, _ := finish(t, d, job)
	require.Equal(t, backend.JobKilled, s.State)
	require.Equal(t, "it ran out of memory: its limit was 33554432 bytes", s.Reason)
	for name, limits := range map[string]backend.Limits{"GPUs": {GPUs: 1}, "all GPUs": {GPUs: -1}, "CPUs": {CPUs: 1000}, "memory": {Memory: 1000}} {
		job := shell("c", "true")
		job.Limits = limits
		require.ErrorIs(t, d.Start(t.Context(), job), azml.ErrUnsupported, name)
		_, err := d.Status(t.Context(), "c")
		require.ErrorIs(t, err, azml.ErrNotFound, name)
	}
	left, err := os.ReadDir(filepath.Join(opts.Dir, "jobs"))
	require.NoError(t, err)
	require.Len(t, left, 2, "folders of refused jobs are gone")
}

func TestPausedJob(t *testing.T) {
	t.Parallel()
	engine := testenv.Docker(t)
	opts := options(t, engine)
	d := open(t, opts)
	require.NoError(t, d.Start(t.Context(), shell("a", "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done")))
	r, err := d.Output(t.Context(), "a", &backend.OutputOptions{Follow: true})
	require.NoError(t, err)
	defer r.Close()
	_, err = io.ReadFull(r, make([]byte, len("ready\n")))
	require.NoError(t, err)
	require.NoError(t, exec.Command("sh", "-c", `docker -H "$1" pause $(docker -H "$1" ps -q --filter label=azml.driver="$2")`, "sh", engine.Host, opts.Name).Run())
	s, err := d.Status(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "its container is paused", s.Reason)
	require.NoError(t, d.Cancel(t.Context(), "a", time.Minute))
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Contains(t, string(rest), "saved\n")
}

// TestEngines are those that are not there, and those elsewhere.
func TestEngines(t *testing.T) {
	t.Parallel()
	for host, class := range map[string]error{
		"unix:///no/such/engine": azml.ErrUnavailable, "tcp://127.0.0.1:1": azml.ErrUnsupported,
	} {
		d, err := docker.New(&docker.Options{Host: host, Dir: t.TempDir(), Image: "any"})
		require.NoError(t, err)
		require.ErrorIs(t, d.Check(t.Context()), class, host)
		require.ErrorIs(t, d.Start(t.Context(), shell("a", "true")), class, host)
		require.NoError(t, d.Close())
	}
	_, err := docker.New(&docker.Options{Host: "nonsense", Dir: t.TempDir()})
	require.ErrorIs(t, err, azml.ErrInvalid)
	d, err := docker.New(&docker.Options{Host: testenv.Docker(t).Host, Dir: t.TempDir()})
	require.NoError(t, err)
	defer d.Close()
	require.ErrorIs(t, d.Start(t.Context(), shell("a", "true")), azml.ErrInvalid, "no image")
}
