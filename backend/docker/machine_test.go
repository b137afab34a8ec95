package docker_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/internal/testenv"
)

// place is a container, for processes of the tests.
type place struct {
	Host, Container, Dir, Program string
}

func (p place) options() docker.MachineOptions {
	return docker.MachineOptions{Host: p.Host, Container: p.Container, Dir: p.Dir, User: "nobody",
		Program: func(context.Context, backend.Platform) (string, error) { return p.Program, nil }}
}

// built is the azml program, built once for all tests.
var built = sync.OnceValues(func() (string, error) {
	file := filepath.Join(os.TempDir(), "azml-machine-test")
	cmd := exec.Command("go", "build", "-o", file, "github.com/azml-go/azml/cmd/azml")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = errors.New(string(out))
	}
	return file, err
})

// container starts a container that does nothing, and is removed with the test.
func container(t *testing.T, engine *testenv.DockerEngine) place {
	program, err := built()
	require.NoError(t, err)
	p := place{Host: engine.Host, Dir: "/tmp/azml", Program: program}
	p.Container = p.docker(t, "run", "-d", "--init", "--network", "none", testenv.DockerImage, "sleep", "infinity")
	t.Cleanup(func() {
		require.NoError(t, exec.Command("docker", "-H", p.Host, "rm", "-f", p.Container).Run())
	})
	return p
}

func (p place) docker(t backendtest.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", append([]string{"-H", p.Host}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func (p place) open(t *testing.T) *docker.Machine {
	m, err := docker.NewMachine(p.options())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func TestMachineConformance(t *testing.T) {
	t.Parallel()
	p := container(t, testenv.Docker(t))
	require.NoError(t, p.open(t).Check(t.Context()))
	backendtest.Compute(t, func(t *testing.T) backendtest.ComputeHarness {
		p := p
		p.Dir = "/tmp/" + strings.ReplaceAll(t.Name(), "/", "-")
		// One copy of the program is enough for all.
		p.docker(t, "exec", "-u", "nobody", p.Container, "sh", "-c", `mkdir -p "$1/work" && ln -s /tmp/azml/bin "$1/bin"`, "sh", p.Dir)
		return backendtest.ComputeHarness{
			Compute: p.open(t),
			Dir:     p.Dir + "/work",
			Reopen:  func() (backend.Compute, error) { return p.open(t), nil },
			StartAndDie: func(t backendtest.TB, job backend.Job) error {
				return backendtest.StartAndDie(t, starter{Machine: &p}, job)
			},
		}
	})
}

// TestMachineStops stops the container and starts it again while jobs are there.
func TestMachineStops(t *testing.T) {
	t.Parallel()
	p := container(t, testenv.Docker(t))
	m := p.open(t)
	require.NoError(t, m.Start(t.Context(), shell("a", "echo kept")))
	_, err := m.Wait(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, m.Start(t.Context(), shell("b", "exec sleep 1000")))
	waited := make(chan backend.JobStatus, 1)
	go func() {
		s, err := m.Wait(t.Context(), "b")
		assert.NoError(t, err)
		waited <- s
	}()
	p.docker(t, "stop", "-t", "0", p.Container)
	impatient := p.options()
	impatient.Patience = time.Millisecond
	other, err := docker.NewMachine(impatient)
	require.NoError(t, err)
	defer other.Close()
	require.ErrorIs(t, other.Check(t.Context()), azml.ErrUnavailable)
	p.docker(t, "start", p.Container)
	require.Equal(t, backend.JobLost, (<-waited).State, "waiting waits on, and learns what became of the job")
	require.NoError(t, other.Check(t.Context()))
	r, err := other.Output(t.Context(), "a", &backend.OutputOptions{})
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "kept\n", string(text))
}

// TestMachinesThatWontDo are containers that are no machines, with what their
// owner is told.
func TestMachinesThatWontDo(t *testing.T) {
	t.Parallel()
	p := container(t, testenv.Docker(t))
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o700))
		return path
	}
	for name, c := range map[string]struct {
		change func(p *place)
		class  error
		text   string
	}{
		"no such container": {func(p *place) { p.Container = "azml-there-is-none" }, azml.ErrNotFound, "azml-there-is-none"},
		"no engine":         {func(p *place) { p.Host = "unix:///nonexistent" }, azml.ErrUnavailable, "engine"},
		"no folder":         {func(p *place) { p.Dir = "/proc/none" }, azml.ErrUnavailable, "install the azml program"},
		"another machine":   {func(p *place) { p.Program = file("other", "\x7fELF\x02\x01\x01\x00nonsense\x00\x01") }, azml.ErrUnsupported, "install the azml program"},
		"no program":        {func(p *place) { p.Program = filepath.Join(dir, "missing") }, azml.ErrInvalid, "missing"},
	} {
		p := p
		c.change(&p)
		m, err := docker.NewMachine(p.options())
		require.NoError(t, err)
		err = m.Check(t.Context())
		require.ErrorIs(t, err, c.class, name)
		require.Contains(t, err.Error(), c.text, name)
		require.NoError(t, m.Close())
	}
	require.Empty(t, p.docker(t, "exec", p.Container, "sh", "-c", "ls -A /tmp/azml/bin"), "what is no program there is not kept")
	for _, opts := range []docker.MachineOptions{{}, {Container: "a"}, {Container: "a", Program: p.options().Program, Dir: "relative"}} {
		_, err := docker.NewMachine(opts)
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
}
