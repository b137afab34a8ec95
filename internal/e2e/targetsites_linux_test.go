package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/faultproxy"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// site is where a target is.
type site struct {
	config compute.Config // nil for this machine itself
	// dirs are the folders that it has on this machine, of this test alone.
	dirs []string
	// shared is a folder of this machine that its scripts see, too.
	shared string
	server *testenv.SSHServer
	wire   *faultproxy.Wire // the way to the server
	engine string           // Docker's address
	boxes  string           // the folder of what is kept here of its containers
	// lists gives what is on a target that can't be seen from this machine.
	lists func(t *testing.T) []string
}

// sharedFolder gives a folder that scripts see and write to, whoever they run as.
func sharedFolder(t *testing.T) string {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	return dir
}

func apart(t *testing.T, _ place) *site {
	dir := t.TempDir()
	return &site{config: process.Target{Dir: filepath.Join(dir, "jobs"), CacheDir: filepath.Join(dir, "cache")}, dirs: []string{dir}, shared: sharedFolder(t)}
}

func far(t *testing.T, _ place) *site {
	server, dir := testenv.SSHD(t), t.TempDir()
	wire, err := faultproxy.StartWire(net.JoinHostPort("127.0.0.1", strconv.Itoa(server.Port)))
	require.NoError(t, err)
	t.Cleanup(wire.Close)
	config := ssh.Target{Address: "127.0.0.1", Port: wire.Port(), Username: server.User, Credential: ssh.Credential{PrivateKey: server.Key},
		HostKey: server.HostKey, Dir: filepath.Join(dir, "jobs"), CacheDir: filepath.Join(dir, "cache")}
	return &site{config: config, dirs: []string{dir}, shared: sharedFolder(t), server: server, wire: wire}
}

func boxed(t *testing.T, p place) *site {
	engine, shared := testenv.Docker(t).Host, sharedFolder(t)
	config := docker.Config{Host: engine, Image: testenv.DockerImage, BuildNetwork: "host", Network: "none", Mounts: []docker.Mount{{Source: shared, Target: shared}}}
	dir := filepath.Join(p.Cache, "docker")
	return &site{config: config, dirs: []string{dir}, shared: shared, engine: engine, boxes: dir}
}

// farBoxed is the engine of a machine that is reached by SSH.
func farBoxed(t *testing.T, p place) *site {
	s, boxes := far(t, p), boxed(t, p)
	config := s.config.(ssh.Target)
	config.CacheDir, config.Containers = "", boxes.config
	s.config, s.shared, s.engine, s.boxes = config, boxes.shared, boxes.engine, filepath.Join(config.Dir, "docker")
	return s
}

// kill ends the machine, or the container that the run has, at once; what is killed
// by hand is there again afterwards, with nothing running.
func (s *site) kill(t *testing.T, ws *workspace.Workspace, r *run.Run, remove bool) {
	t.Helper()
	if s.server != nil {
		s.server.Kill()
		defer s.server.Restart()
	}
	if s.engine != "" {
		verb := []string{"kill"}
		if remove {
			verb = []string{"rm", "-f"}
		}
		ids := strings.Fields(s.docker(t, "ps", "-q", "--filter", "label=azml.job="+recordOf(t, ws, r).Agent.Job))
		require.Len(t, ids, 1)
		s.docker(t, append(verb, ids[0])...)
		if s.server == nil {
			return
		}
	}
	testenv.KillProcessesAbout(s.words()...)
}

func (s *site) docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", append([]string{"-H", s.engine}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// words are what the processes of the target, for this test alone, are known by.
func (s *site) words() []string { return append(slices.Clone(s.dirs), s.shared) }

// requireNothing waits until nothing of a run is left on the target: no process, container, socket or file.
func (s *site) requireNothing(t *testing.T, r *run.Run) {
	t.Helper()
	left := s.left(t, r)
	for began := time.Now(); len(left) > 0 && time.Since(began) < 5*time.Minute; left = s.left(t, r) {
		time.Sleep(50 * time.Millisecond)
	}
	require.Empty(t, left, "left behind")
}

func (s *site) left(t *testing.T, r *run.Run) (left []string) {
	t.Helper()
	if s.lists != nil {
		return s.lists(t)
	}
	for _, pid := range testenv.ProcessesAbout(s.words()...) {
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		left = append(left, fmt.Sprintf("process %d: %q", pid, args))
	}
	for _, dir := range s.dirs {
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			rest := strings.TrimPrefix(path, dir)
			if err == nil && (entry.Type()&fs.ModeSocket != 0 || strings.Contains(rest, r.ID()) || strings.Contains(rest, "/agent-") && s.config != nil || filepath.Dir(path) == filepath.Join(s.boxes, "jobs")) {
				left = append(left, path)
			}
			return nil
		})
	}
	if s.engine == "" {
		return left
	}
	names, err := os.ReadDir(filepath.Join(s.boxes, "shared")) // its drivers have
	require.NoError(t, err)
	for _, name := range names {
		left = append(left, strings.Fields(s.docker(t, "ps", "-aq", "--filter", "label=azml.driver="+name.Name()))...)
	}
	return left
}

func recordOf(t *testing.T, ws *workspace.Workspace, r *run.Run) record.Run {
	t.Helper()
	stored, err := history.Get(t.Context(), workspace.Handle(ws), r.ID())
	require.NoError(t, err)
	return stored.Value
}

// agentOf gives the process that answers for the run, by its number on this machine: a container's own has another one there.
func agentOf(t *testing.T, ws *workspace.Workspace, r *run.Run) int {
	t.Helper()
	owner := recordOf(t, ws, r).Owner
	require.NotEqual(t, os.Getpid(), owner.PID)
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if space, _ := os.Readlink(filepath.Join("/proc", e.Name(), "ns", "pid")); err != nil || space != owner.Namespace {
			continue
		}
		status, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		_, line, _ := strings.Cut(string(status), "\nNSpid:")
		line, _, _ = strings.Cut(line, "\n")
		if inside := strings.Fields(line); len(inside) > 0 && inside[len(inside)-1] == strconv.Itoa(owner.PID) {
			return pid
		}
	}
	require.FailNow(t, "the agent is not there", "%+v", owner)
	return 0
}

// keeperOf gives the process that keeps a detached run of the place.
func keeperOf(t *testing.T, p place) int {
	t.Helper()
	for _, supervisor := range testenv.ProcessesAbout(p.Cache) {
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", supervisor))
		if !bytes.Contains(args, []byte("/keeper-")) {
			continue
		}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", supervisor, supervisor))
		require.NoError(t, err)
		if first := strings.Fields(string(children)); len(first) == 1 {
			pid, err := strconv.Atoi(first[0])
			require.NoError(t, err)
			return pid
		}
	}
	require.FailNow(t, "nobody keeps the run")
	return 0
}

// hears waits until the run's output has the text.
func hears(t *testing.T, r *run.Run, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		log, err := r.Logs(context.Background(), nil)
		if err != nil {
			return false
		}
		defer log.Close()
		var all bytes.Buffer
		_, err = all.ReadFrom(log)
		return err == nil && strings.Contains(all.String(), text)
	}, 5*time.Minute, 20*time.Millisecond, "the script says %q", text)
}
