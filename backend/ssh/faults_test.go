//go:build linux

package ssh_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/internal/faultproxy"
	"github.com/azml-go/azml/internal/testenv"
)

// wired gives a driver behind a wire that can be cut.
func wired(t *testing.T, at server, change func(*ssh.Config)) (*ssh.Driver, *faultproxy.Wire) {
	w, err := faultproxy.StartWire(net.JoinHostPort("127.0.0.1", strconv.Itoa(at.Port)))
	require.NoError(t, err)
	t.Cleanup(w.Close)
	at.Port = w.Port()
	if at.Dir == "" {
		at.Dir = t.TempDir()
	}
	config := at.config()
	if change != nil {
		change(&config)
	}
	return open(t, config), w
}

func shell(t *testing.T, id, script string) backend.Job {
	return backend.Job{ID: id, Command: []string{"/bin/sh", "-c", script}, Dir: t.TempDir(), Env: map[string]string{"PATH": "/usr/bin:/bin"}}
}

// soon is longer than anything takes that works.
const soon = time.Minute

func within(t *testing.T) context.Context {
	ctx, stop := context.WithTimeout(t.Context(), soon)
	t.Cleanup(stop)
	return ctx
}

// TestCutWhileFollowing cuts the connection again and again while a job's output
// is followed, of which every byte must come once.
func TestCutWhileFollowing(t *testing.T) {
	t.Parallel()
	d, wire := wired(t, sshd(t), nil)
	const lines = 400
	require.NoError(t, d.Start(t.Context(), shell(t, "a", fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); sleep 0.01; done", lines))))
	out, err := d.Output(within(t), "a", &backend.OutputOptions{Follow: true})
	require.NoError(t, err)
	defer out.Close()
	var got strings.Builder
	cuts, buf := 0, make([]byte, 100)
	for {
		n, err := out.Read(buf)
		got.Write(buf[:n])
		if err == io.EOF {
			break
		}
		require.NoError(t, err, "after %d cuts and %d bytes", cuts, got.Len())
		if got.Len() > (cuts+1)*700 {
			wire.Cut()
			cuts++
		}
	}
	var want strings.Builder
	for i := range lines {
		fmt.Fprintln(&want, "line", i)
	}
	require.Equal(t, want.String(), got.String())
	require.Greater(t, cuts, 3)
}

func TestCutWhileWaiting(t *testing.T) {
	t.Parallel()
	d, wire := wired(t, sshd(t), nil)
	job := shell(t, "a", "until [ -e go ]; do sleep 0.02; done; exit 3")
	require.NoError(t, d.Start(t.Context(), job))
	ended := make(chan backend.JobStatus, 1)
	go func() {
		s, err := d.Wait(within(t), "a")
		if err != nil {
			t.Error(err)
		}
		ended <- s
	}()
	for range 3 {
		wire.Cut()
		s, err := d.Status(within(t), "a")
		require.NoError(t, err)
		require.Equal(t, backend.JobRunning, s.State)
	}
	require.NoError(t, os.WriteFile(filepath.Join(job.Dir, "go"), nil, 0o600))
	require.Equal(t, 3, (<-ended).ExitCode)
}

// TestCutWhileStarting cuts connections at random while jobs are started, each of
// which must run once.
func TestCutWhileStarting(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	d, wire := wired(t, sshd(t), nil)
	require.NoError(t, d.Check(t.Context()))
	dir := t.TempDir()
	stop := make(chan struct{})
	var cutting sync.WaitGroup
	cutting.Go(func() {
		for {
			if err := d.Check(within(t)); err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rnd.IntN(300)) * time.Millisecond):
				wire.Cut()
			}
		}
	})
	const jobs = 40
	var starting sync.WaitGroup
	for w := range 4 {
		starting.Go(func() {
			for i := w; i < jobs; i += 4 {
				id := "job-" + strconv.Itoa(i)
				job := shell(t, id, "echo x >> "+id)
				job.Dir = dir
				if err := d.Start(within(t), job); err != nil {
					t.Errorf("start %s: %v", id, err)
				}
			}
		})
	}
	starting.Wait()
	close(stop)
	cutting.Wait()
	for i := range jobs {
		id := "job-" + strconv.Itoa(i)
		s, err := d.Wait(within(t), id)
		require.NoError(t, err)
		require.Equal(t, backend.JobExited, s.State, "%s: %s", id, s.Reason)
		ran, err := os.ReadFile(filepath.Join(dir, id))
		require.NoError(t, err)
		require.Equal(t, "x\n", string(ran), id)
		require.ErrorIs(t, d.Start(within(t), shell(t, id, "true")), azml.ErrExists)
	}
}

// TestSilentNetwork has the network gone without a word for longer than it takes
// to find out.
func TestSilentNetwork(t *testing.T) {
	t.Parallel()
	d, wire := wired(t, sshd(t), func(c *ssh.Config) { c.KeepAlive = 300 * time.Millisecond })
	job := shell(t, "a", "echo one; until [ -e go ]; do sleep 0.02; done; echo two; exit 3")
	require.NoError(t, d.Start(t.Context(), job))
	out, err := d.Output(within(t), "a", &backend.OutputOptions{Follow: true})
	require.NoError(t, err)
	defer out.Close()
	first := make([]byte, 4)
	_, err = io.ReadFull(out, first)
	require.NoError(t, err)
	wire.Silence()
	require.NoError(t, os.WriteFile(filepath.Join(job.Dir, "go"), nil, 0o600))
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	_, err = d.Status(ctx, "a")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	wire.Heal()
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	require.Equal(t, "two\n", string(rest))
	s, err := d.Wait(within(t), "a")
	require.NoError(t, err)
	require.Equal(t, 3, s.ExitCode)
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	d, wire := wired(t, sshd(t), func(c *ssh.Config) { c.KeepAlive, c.Patience = 200*time.Millisecond, time.Second })
	require.NoError(t, d.Start(t.Context(), shell(t, "a", "exec sleep 1000")))
	wire.Silence()
	// What connects meanwhile is accepted by the wire and gets no answer.
	ctx, stop := context.WithTimeout(t.Context(), 3*soon)
	defer stop()
	_, err := d.Wait(ctx, "a")
	require.ErrorIs(t, err, azml.ErrUnavailable)
	wire.Heal()
	s, err := d.Status(within(t), "a")
	require.NoError(t, err, "who asks later finds it")
	require.Equal(t, backend.JobRunning, s.State)
}

// TestServerKilled kills the server with all its connections and starts it anew.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	s := testenv.SSHD(t)
	d := open(t, server{Port: s.Port, User: s.User, Key: s.Key, HostKey: s.HostKey, Dir: t.TempDir()}.config())
	job := shell(t, "a", "echo one; until [ -e go ]; do sleep 0.02; done; echo two; exit 3")
	require.NoError(t, d.Start(t.Context(), job))
	out, err := d.Output(within(t), "a", &backend.OutputOptions{Follow: true})
	require.NoError(t, err)
	defer out.Close()
	first := make([]byte, 4)
	_, err = io.ReadFull(out, first)
	require.NoError(t, err)
	s.Kill()
	require.NoError(t, os.WriteFile(filepath.Join(job.Dir, "go"), nil, 0o600))
	var started sync.WaitGroup
	started.Go(func() {
		if err := d.Start(within(t), shell(t, "b", "exit 4")); err != nil {
			t.Error(err)
		}
	})
	s.Restart()
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	require.Equal(t, "two\n", string(rest))
	started.Wait()
	for id, code := range map[string]int{"a": 3, "b": 4} {
		s, err := d.Wait(within(t), id)
		require.NoError(t, err)
		require.Equal(t, code, s.ExitCode)
	}
}

// TestGivenUpStart ends the context of a start whose request is on its way: the
// job must not be there when Start has returned.
func TestGivenUpStart(t *testing.T) {
	t.Parallel()
	d, wire := wired(t, sshd(t), func(c *ssh.Config) { c.KeepAlive = 500 * time.Millisecond })
	require.NoError(t, d.Check(t.Context()))
	job := shell(t, "a", "exec sleep 1000")
	wire.Silence()
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	healed := time.AfterFunc(time.Second, wire.Heal)
	defer healed.Stop()
	require.ErrorIs(t, d.Start(ctx, job), context.DeadlineExceeded)
	_, err := d.Status(within(t), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.NoError(t, d.Start(within(t), job), "the ID is still free")
}

// TestListenerOutlivesConnection cuts the connection while a job reaches back.
func TestListenerOutlivesConnection(t *testing.T) {
	t.Parallel()
	d, wire := wired(t, sshd(t), nil)
	l, address, err := d.Listen(within(t), "a")
	require.NoError(t, err)
	defer l.Close()
	path := strings.TrimPrefix(address, "unix:")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	for i := range 3 {
		require.Eventually(t, func() bool { return echoes(path, fmt.Sprint("word ", i)) }, soon, 20*time.Millisecond)
		wire.Cut()
	}
	require.Eventually(t, func() bool { return echoes(path, "last") }, soon, 20*time.Millisecond)
}

// echoes tells whether who listens there says back what it is told.
func echoes(path, word string) bool {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(conn, word); err != nil {
		return false
	}
	got := make([]byte, len(word))
	_, err = io.ReadFull(conn, got)
	return err == nil && string(got) == word
}

func TestCloseEndsCalls(t *testing.T) {
	t.Parallel()
	at := sshd(t)
	at.Dir = t.TempDir()
	d, err := ssh.New(at.config())
	require.NoError(t, err)
	require.NoError(t, d.Start(t.Context(), shell(t, "a", "exec sleep 1000")))
	l, _, err := d.Listen(t.Context(), "a")
	require.NoError(t, err)
	out, err := d.Output(t.Context(), "a", &backend.OutputOptions{Follow: true})
	require.NoError(t, err)
	var calls sync.WaitGroup
	calls.Go(func() {
		if _, err := d.Wait(t.Context(), "a"); err == nil {
			t.Error("waited for a job that runs")
		}
	})
	calls.Go(func() {
		if _, err := l.Accept(); err == nil {
			t.Error("accepted what nobody made")
		}
	})
	calls.Go(func() {
		if _, err := out.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("read of a closed driver: %v", err)
		}
	})
	require.NoError(t, d.Close())
	calls.Wait()
	_, err = d.Status(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrClosed)
	require.NoError(t, d.Close())
	other := open(t, at.config())
	s, err := other.Status(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobRunning, s.State)
}

// reads gives all that who listens there says.
func reads(t *testing.T, path string) string {
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(soon)))
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(text)
}
