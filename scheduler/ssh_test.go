//go:build linux

package scheduler_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/scheduler"
)

// host is a machine that is reached by SSH and is off, until its command is given.
type host struct {
	server *testenv.SSHServer
	log    string // what its commands have said, a line each
	jobs   string // the folder of its jobs
}

// hostOff gives one; it obeys as long as the test goes on.
func hostOff(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{testenv.SSHD(t), filepath.Join(dir, "log"), filepath.Join(dir, "jobs")}
	h.server.Kill()
	t.Cleanup(func() { testenv.KillProcessesAbout(h.jobs) }) // what a machine that is taken away takes along
	return h
}

func (h *host) member(name string) compute.Member {
	return compute.Member{Target: name, Start: "echo on >>" + h.log, Stop: "echo off >>" + h.log}
}

// commands are those that it was given.
func (h *host) commands(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(h.log)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	return strings.Fields(string(text))
}

// awaits waits for the command with that number.
func (h *host) awaits(t *testing.T, number int, command string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(h.commands(t)) > number }, soon, 20*time.Millisecond)
	require.Equal(t, command, h.commands(t)[number])
}

func (h *host) target() ssh.Target {
	return ssh.Target{Address: "127.0.0.1", Port: h.server.Port, Username: h.server.User, Credential: ssh.Credential{PrivateKey: h.server.Key},
		HostKey: h.server.HostKey, Dir: h.jobs, CacheDir: h.jobs + "-cache"}
}

// TestMachinesReachedBySSH has two machines woken for runs and stopped when idle, one of which
// is taken away for good while it has one: the run goes on, on the other, with what it had
// in outputs/.
func TestMachinesReachedBySSH(t *testing.T) {
	t.Parallel()
	red, blue := hostOff(t), hostOff(t)
	ws, dir := open(t, compute.Cluster{}, 0)
	for name, h := range map[string]*host{"red": red, "blue": blue} {
		_, err := ws.Compute().Create(t.Context(), name, h.target(), &compute.CreateOptions{SkipValidation: true})
		require.NoError(t, err)
	}
	_, err := ws.Compute().Create(t.Context(), "pool", compute.Cluster{Priority: compute.LowPriority, MaxNodes: 1, IdleBeforeScaleDown: time.Second,
		Members: []compute.Member{red.member("red"), blue.member("blue")}}, nil)
	require.NoError(t, err)
	t.Cleanup(scheduleFor(t, ws, scheduler.TakenAfter(patient, 30*time.Second)))
	file := filepath.Join(dir, "begun")
	r := submit(t, ws, "woken", "mkdir -p outputs; cat outputs/step && exit; echo 7 >outputs/step; touch "+file+"; exec sleep 1000", nil)
	first, second, firstName := red, blue, "red"
	require.Eventually(t, func() bool { return len(red.commands(t))+len(blue.commands(t)) > 0 }, soon, 20*time.Millisecond)
	if len(blue.commands(t)) > 0 {
		first, second, firstName = blue, red, "blue"
	}
	first.server.Restart() // it takes its time to boot
	require.Eventually(t, func() bool { _, err := os.Stat(file); return err == nil }, soon, 20*time.Millisecond)
	eventually(t, ws, "outputs are stored", func(compute.ClusterStatus) bool {
		files, err := r.Files(t.Context(), "outputs")
		return err == nil && len(files) == 1
	})
	first.server.Kill() // for good; its agent goes on where nobody hears it
	second.awaits(t, 0, "on")
	second.server.Restart()
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, run.StatusCompleted, r.Status())
	require.Contains(t, logText(t, r, "user_logs/std_log.txt"), "7\n")
	second.awaits(t, 1, "off")
	said := false
	for _, e := range status(t, ws).Events {
		said = said || e.What == "preempted "+firstName+"/0"
	}
	require.True(t, said, "%v", status(t, ws).Events)
}
