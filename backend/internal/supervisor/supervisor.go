//go:build linux || darwin

package supervisor

import (
	"errors"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// Name is os.Args[0] of a supervisor; os.Args[1] is the job's folder.
const Name = "azml-job-supervisor"

// The job's files that a supervisor inherits.
const (
	// RecordFD is what is known of the job. The supervisor's lock on it says that it
	// lives.
	RecordFD = 3
	// OutputFD is what the command writes.
	OutputFD = 4
)

// CancelFile is the file in the job's folder that says how much time an end may
// take that SIGTERM asks the supervisor for.
const CancelFile = "cancel"

func init() {
	if len(os.Args) == 2 && os.Args[0] == Name {
		// At once: what os.Exit does for a program (the race detector, for one,
		// sleeps a second) is not for its supervisors.
		syscall.Exit(supervise(os.Args[1]))
	}
}

// supervise is the supervisor's whole life. Its answer is "ok", or "errno N"
// when the command could not be started.
func supervise(dir string) int {
	syscall.CloseOnExec(RecordFD)
	syscall.CloseOnExec(OutputFD)
	asks := make(chan time.Duration, 2)
	cancelled := catchSignals(dir, asks)
	s, err := readSpec(os.Stdin)
	if err != nil {
		return 1 // Start died while it wrote the spec: nothing must run
	}
	if s.Path == "" {
		return answer("ok")
	}
	pid, err := s.start()
	if err != nil {
		return answer("errno " + strconv.Itoa(errnoOf(err)))
	}
	log := os.NewFile(RecordFD, "record")
	begun := Beginning{Supervisor: os.Getpid(), PID: pid, Birth: birth(pid), Boot: BootID(), Started: time.Now()}
	if _, err := log.Write(begun.line()); err != nil { // a job that can't be recorded must not run
		asks <- 0
		go endGroups(asks, pid)
		reap(pid, func(syscall.WaitStatus) {})
		return answer("errno " + strconv.Itoa(errnoOf(err)))
	}
	answer("ok")
	go endGroups(asks, pid)
	end := End{}
	reap(pid, func(ws syscall.WaitStatus) {
		end.Cancelled = cancelled.Load()
		if ws.Signaled() {
			end.Signal = int(ws.Signal())
		} else {
			end.ExitCode = ws.ExitStatus()
		}
		if left(pid) {
			asks <- s.LeftoverGrace
		}
	})
	end.Ended = time.Now()
	if _, err := log.Write(end.line()); err != nil || log.Sync() != nil {
		return 1
	}
	return 0
}

// answer tells Start, which may be dead by now.
func answer(text string) int {
	_, _ = os.Stdout.WriteString(text + "\n")
	return 0
}

func errnoOf(err error) int {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return int(errno)
	}
	return int(syscall.EIO)
}

// start starts the command in a session of its own. Its output goes straight
// to the file, so that it needs nobody to carry it.
func (s Spec) start() (int, error) {
	if err := adoptOrphans(); err != nil {
		return 0, err
	}
	input, err := s.openInput()
	if err != nil {
		return 0, err
	}
	defer input.Close()
	return syscall.ForkExec(s.Path, s.Args, &syscall.ProcAttr{
		Dir:   s.Dir,
		Env:   s.Env,
		Files: []uintptr{input.Fd(), OutputFD, OutputFD},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// openInput gives what the command reads. The input goes through a pipe, which
// is seen by nobody else; a command that doesn't read it is not waited for.
func (s Spec) openInput() (*os.File, error) {
	if len(s.Input) == 0 {
		return os.Open(os.DevNull)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		_, _ = w.Write(s.Input) // fails when the command ends before it has read all
		_ = w.Close()
	}()
	return r, nil
}

// catchSignals turns SIGTERM into an ask for an end within the time that the
// cancel file names, and gives whether that happened. All other signals are
// caught and dropped: the supervisor ends with its job only, and a signal that
// is caught, unlike one that the starting process ignored, is back at its
// default in the command.
func catchSignals(dir string, asks chan<- time.Duration) *atomic.Bool {
	signal.Notify(make(chan os.Signal, 1))
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	var cancelled atomic.Bool
	go func() {
		for range term {
			cancelled.Store(true)
			asks <- readGrace(dir + "/" + CancelFile)
		}
	}()
	return &cancelled
}

// defaultGrace is for a SIGTERM that did not come from Cancel.
const defaultGrace = 10 * time.Second

func readGrace(path string) time.Duration {
	data, _ := os.ReadFile(path)
	grace, err := time.ParseDuration(string(data))
	if err != nil {
		return defaultGrace
	}
	return grace
}

// reap waits for all children and tells of the command's own end. It returns
// when no process of the job is left.
func reap(pid int, ended func(syscall.WaitStatus)) {
	for {
		var ws syscall.WaitStatus
		p, err := syscall.Wait4(-1, &ws, 0, nil)
		if errors.Is(err, syscall.ECHILD) {
			break
		}
		if p == pid {
			ended(ws)
		}
	}
	// Where orphans are not adopted, the rest of the group are no children.
	for pause := time.Millisecond; syscall.Kill(-pid, 0) == nil; pause = min(2*pause, maxPause) {
		time.Sleep(pause)
	}
}

// left tells whether anything of the job is there after its command has ended. It may
// take up what has ended, too. Mostly there is nothing, and the process table need not be
// read.
func left(pid int) bool {
	_, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
	return !errors.Is(err, syscall.ECHILD) || syscall.Kill(-pid, 0) == nil
}

// maxPause is the longest time between two looks at what is being ended.
const maxPause = 100 * time.Millisecond

// endGroups waits for the first ask and then ends the job: SIGTERM, with
// SIGCONT for those that are stopped, and SIGKILL again and again from when the
// shortest time asked for is over. A group gets a signal as one, so that its
// members can't escape by forking; new groups are met in the next round.
func endGroups(asks <-chan time.Duration, pid int) {
	grace := <-asks
	deadline := time.Now().Add(grace)
	Signal(jobGroups(pid), syscall.SIGTERM, syscall.SIGCONT)
	for left := time.Until(deadline); left > 0; left = time.Until(deadline) {
		select {
		case grace = <-asks:
			if earlier := time.Now().Add(grace); earlier.Before(deadline) {
				deadline = earlier
			}
		case <-time.After(left):
		}
	}
	go drain(asks)
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		Signal(jobGroups(pid), syscall.SIGKILL)
		time.Sleep(pause)
	}
}

func drain(asks <-chan time.Duration) {
	for range asks {
		continue
	}
}

// Signal sends the signals to the process groups, one after another.
func Signal(groups []int, signals ...syscall.Signal) {
	for _, s := range signals {
		for _, g := range groups {
			_ = syscall.Kill(-g, s) // gone already, or no longer ours to end
		}
	}
}
