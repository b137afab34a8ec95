package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// DockerImage is the image that each engine of tests has: Debian with Python,
// venv and pip, and this machine's certificates. Nothing of it is Docker's own.
const DockerImage = "azml-test/python:1"

// DockerEngine is a Docker engine on this machine, of tests alone: it has no
// network of its own, so that jobs have the machine's or none, and leaves its
// firewall alone.
type DockerEngine struct {
	// Host is its socket as DOCKER_HOST has it.
	Host string

	dir   string
	stop  func()
	inUse bool          // it has ended because of another, which has its folder
	ended chan struct{} // closed when it has ended
}

// engine is the one that this process has started.
var engine struct {
	sync.Mutex
	users   int
	running *DockerEngine
}

// Docker gives a Docker engine that has [DockerImage]. It is one for all tests
// of a process, and ends with the last of those that have asked for it; other
// processes have others.
func Docker(t testing.TB) *DockerEngine {
	t.Helper()
	engine.Lock()
	defer engine.Unlock()
	if engine.users == 0 {
		running, err := ownDocker(t.Context(), false)
		if err != nil {
			Skip(t, AbilityDocker, err.Error())
		}
		engine.running = running
	}
	engine.users++
	t.Cleanup(func() {
		engine.Lock()
		defer engine.Unlock()
		if engine.users--; engine.users == 0 {
			engine.running.stop()
		}
	})
	return engine.running
}

// LaunchDocker is Docker for programs that are no tests; stop ends the engine.
func LaunchDocker(ctx context.Context) (engine *DockerEngine, stop func(), err error) {
	if engine, err = ownDocker(ctx, true); err != nil {
		return nil, nil, err
	}
	return engine, engine.stop, nil
}

// errDockerInUse is that another engine has the folder.
var errDockerInUse = errors.New("another engine uses the folder")

// ownDocker starts an engine in the first folder that no other engine has, for one at a
// time can use its data.
func ownDocker(ctx context.Context, again bool) (*DockerEngine, error) {
	for n := 1; ; n++ {
		dir, err := docker(ctx, n, again)
		if err != nil {
			return nil, err
		}
		if e, err := startDocker(ctx, dir); !errors.Is(err, errDockerInUse) {
			return e, err
		}
	}
}

// docker gives the n-th folder of an engine's data, prepared with the image.
func docker(ctx context.Context, n int, again bool) (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("only root can start an engine")
	}
	if _, err := program(ctx, findDocker, "docker.io", "debootstrap"); err != nil {
		return "", err
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	name := "docker-" + strings.NewReplacer("/", "-", ":", "-").Replace(DockerImage)
	if n > 1 {
		name += fmt.Sprintf("-engine-%d", n)
	}
	return c.installed(ctx, name, again, func(dir string) error {
		return importDockerImage(ctx, dir)
	})
}

func findDocker(ctx context.Context) (string, error) {
	for _, name := range []string{"docker", "docker-init", "containerd", "runc", "debootstrap", "flock"} {
		if _, err := exec.LookPath(name); err != nil {
			return "", err
		}
	}
	path, err := exec.LookPath("dockerd")
	if err != nil {
		return "", err
	}
	_, err = output(ctx, path, "--version")
	return path, err
}

// importDockerImage gives the image to a new engine.
func importDockerImage(ctx context.Context, dir string) error {
	root, err := pythonRoot(ctx)
	if err != nil {
		return err
	}
	engine, err := startDocker(ctx, dir)
	if err != nil {
		return err
	}
	defer engine.stop()
	return engine.importImage(ctx, root, DockerImage)
}

// importImage makes an image of a file with all its files.
func (e *DockerEngine) importImage(ctx context.Context, root, called string) error {
	_, err := output(ctx, "docker", "-H", e.Host, "import", root, called)
	return err
}

// runDocker runs an engine in the folder $1 until standard input ends, as it
// does when its starter dies, and starts it anew when there is a file "again". The
// lock is not handed down: processes of jobs may outlive the engine. It exits with
// the code $3 when another engine has the folder.
const runDocker = `exec 9> "$1/lock"; flock --nonblock --conflict-exit-code "$3" 9 || exit
rm -f "$1/again" "$1/pid" "$1/log" "$1"/socket*
{ while :; do
	rm -f "$1/run/containerd/containerd.pid" # of one that was killed with its engine
	dockerd --data-root "$1/data" --exec-root "$1/run" --pidfile "$1/pid" -H "$2" \
		--live-restore --bridge=none --iptables=false --ip6tables=false 9>&- >> "$1/log" 2>&1
	rm -f "$1/pid"
	rm "$1/again" || break
done; kill $$; } &
cat
until kill "$(cat "$1/pid")"; do sleep 0.1; done
wait`

// dockerInUse is the code that runDocker exits with when another engine has the folder.
const dockerInUse = 75

// systemContainerd is where dockerd looks for a containerd that runs already.
const systemContainerd = "/run/containerd/containerd.sock"

// dropDeadSocket removes the socket of a containerd that was killed: dockerd takes it for one
// that runs, and would wait for it and end.
func dropDeadSocket(ctx context.Context, path string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return c.Close()
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	}
	return nil
}

func startDocker(ctx context.Context, dir string) (*DockerEngine, error) {
	if err := dropDeadSocket(ctx, systemContainerd); err != nil {
		return nil, err
	}
	// One of its own, so that another engine that has the folder doesn't answer.
	socket := filepath.Join(dir, "socket-"+rand.Text()[:8])
	e := &DockerEngine{Host: "unix://" + socket, dir: dir, ended: make(chan struct{})}
	cmd := exec.Command("sh", "-c", runDocker, "sh", dir, e.Host, strconv.Itoa(dockerInUse))
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(e.ended)
		_ = cmd.Wait() // its log says why it ended
		e.inUse = cmd.ProcessState.ExitCode() == dockerInUse
	}()
	e.stop = func() {
		_ = input.Close()
		<-e.ended
	}
	if err := e.ready(ctx); err != nil {
		e.stop()
		return nil, err
	}
	// What killed tests left is nobody's.
	_, err = output(ctx, "sh", "-c", `export DOCKER_HOST="$1"; docker ps -aq | xargs -r docker rm -fv; docker volume ls -q | xargs -r docker volume rm`, "sh", e.Host)
	if err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

// ready waits until the engine answers.
func (e *DockerEngine) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		_, err := output(ctx, "docker", "-H", e.Host, "version")
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
			continue
		case <-ctx.Done():
		case <-e.ended:
			if e.inUse {
				return errDockerInUse
			}
		}
		said, _ := os.ReadFile(filepath.Join(e.dir, "log"))
		return fmt.Errorf("the engine is not ready: %w: %s", err, oneLine(string(said)))
	}
}

// Restart kills the engine and starts it anew, as after a crash; its containers
// go on meanwhile. Nobody else must be using it.
func (e *DockerEngine) Restart(t testing.TB) {
	t.Helper()
	again := filepath.Join(e.dir, "again")
	var pid int
	data, err := os.ReadFile(filepath.Join(e.dir, "pid"))
	if err == nil {
		pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
	}
	if err == nil {
		err = os.WriteFile(again, nil, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	for exists(again) {
		time.Sleep(10 * time.Millisecond)
	}
	if err := e.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}
