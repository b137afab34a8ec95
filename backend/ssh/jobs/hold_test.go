//go:build linux

package jobs

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// hold holds the job in dir and gives what becomes of it.
func hold(ctx context.Context, t *testing.T, dir string, job backend.Job, out io.Writer) (Ended, Outcome) {
	request, err := MarshalRequest(job, "")
	require.NoError(t, err)
	at, end := filepath.Join(t.TempDir(), "request"), filepath.Join(t.TempDir(), "end")
	require.NoError(t, os.WriteFile(at, request, 0o600))
	err = Hold(ctx, dir, at, end, out)
	var ended Ended
	require.ErrorAs(t, err, &ended)
	said, err := os.ReadFile(end)
	require.NoError(t, err)
	require.LessOrEqual(t, len(said), 4096)
	o, err := UnmarshalOutcome(said)
	require.NoError(t, err)
	return ended, o
}

func TestHold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		code   int
		state  backend.JobState
		out    string
	}{
		"code":       {"echo out; echo err >&2; exit 7", 7, backend.JobExited, "out\nerr\n"},
		"signal":     {"kill -SEGV $$", 137, backend.JobKilled, ""},
		"no newline": {"printf 'a\\nb'", 0, backend.JobExited, "a\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			ended, o := hold(t.Context(), t, t.TempDir(), shell(t, "a", c.script), &out)
			require.Equal(t, c.code, ended.Code)
			require.NoError(t, o.Err)
			require.Equal(t, c.state, o.Status.State)
			require.Equal(t, "a", o.Status.ID)
			require.Equal(t, c.out, out.String())
			require.EqualValues(t, len(c.out), o.Size)
			require.Equal(t, name != "no newline", o.Whole)
		})
	}
}

func TestHoldWhatCannotStart(t *testing.T) {
	t.Parallel()
	dir, job := t.TempDir(), shell(t, "a", "true")
	job.Command = []string{"/no/such/program" + string(bytes.Repeat([]byte("\x01"), 5000))}
	ended, o := hold(t.Context(), t, dir, job, io.Discard)
	require.Equal(t, 1, ended.Code)
	require.ErrorIs(t, o.Err, azml.ErrInvalid)
	said, err := os.ReadFile(filepath.Join(dir, BegunFile))
	require.NoError(t, err)
	begun, err := UnmarshalOutcome(said)
	require.NoError(t, err)
	require.ErrorIs(t, begun.Err, azml.ErrInvalid)
}

// TestHoldServes has others listen for a held job that was there first, read what it
// writes, and end it.
func TestHoldServes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan Outcome, 1)
	go func() {
		_, o := hold(ctx, t, dir, shell(t, "a", "trap 'echo saved; exit 3' TERM; echo ready; while :; do sleep 0.02; done"), io.Discard)
		held <- o
	}()
	var conn net.Conn
	require.Eventually(t, func() (there bool) {
		var err error
		conn, err = net.Dial("unix", filepath.Join(dir, SocketFile))
		return err == nil
	}, time.Minute, 5*time.Millisecond)
	defer conn.Close()
	_, err := conn.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, conn.(*net.UnixConn).CloseWrite())

	c := serveHere(t, dir)
	l, err := c.Listen(t.Context(), "a")
	require.NoError(t, err)
	defer l.Close()
	from, err := l.Accept()
	require.NoError(t, err)
	said, err := io.ReadAll(from)
	require.NoError(t, err)
	require.Equal(t, "hello", string(said))
	_, err = from.Write([]byte("you"))
	require.NoError(t, err)
	require.NoError(t, from.Close())
	said, err = io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "you", string(said))

	cancel() // as SIGTERM does
	o := <-held
	require.Equal(t, backend.JobExited, o.Status.State)
	require.Equal(t, 3, o.Status.ExitCode)
	require.GreaterOrEqual(t, o.Size, int64(len("ready\nsaved\n")))
}

// TestAttend: who attends before a job is held there, listens for it as soon as it is.
func TestAttend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	early := make(chan error, 1)
	go func() {
		in, _ := io.Pipe()
		_, out := io.Pipe()
		early <- Attend(ctx, t.TempDir(), in, out)
	}()
	held := make(chan Outcome, 1)
	go func() {
		time.Sleep(100 * time.Millisecond)
		_, o := hold(t.Context(), t, dir, shell(t, "a", "exec sleep 1000"), io.Discard)
		held <- o
	}()
	c := serveBy(t, func(in io.ReadCloser, out io.WriteCloser) error { return Attend(context.Background(), dir, in, out) })
	l, err := c.Listen(t.Context(), "a")
	require.NoError(t, err)
	defer l.Close()
	var conn net.Conn
	require.Eventually(t, func() bool {
		conn, err = net.Dial("unix", filepath.Join(dir, SocketFile))
		return err == nil
	}, time.Minute, time.Millisecond, "its name is there a moment before it listens")
	defer conn.Close()
	from, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, from.Close())
	o, err := c.Begun(t.Context())
	require.NoError(t, err)
	require.NoError(t, o.Err)
	require.NoError(t, c.Cancel(t.Context(), "a", 0))
	require.Equal(t, backend.JobKilled, (<-held).Status.State)

	cancel() // nothing was ever held there
	require.ErrorIs(t, <-early, context.Canceled)
}

// TestHoldStays: the place of a held job is there until who has cancelled it is done.
func TestHoldStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held := make(chan Outcome, 1)
	go func() {
		_, o := hold(t.Context(), t, dir, shell(t, "a", "exec sleep 1000"), io.Discard)
		held <- o
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, BegunFile)); return err == nil }, time.Minute, 5*time.Millisecond)
	toFar, fromHere := io.Pipe()
	toHere, fromFar := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- Serve(t.Context(), dir, toFar, fromFar) }()
	c, err := Connect(t.Context(), toHere, fromHere, pipes{fromHere, toHere})
	require.NoError(t, err)
	require.NoError(t, c.Cancel(t.Context(), "a", time.Minute))
	runtime.GC() // which closes what nobody has any more
	select {
	case <-held:
		require.Fail(t, "its place is gone")
	case <-time.After(500 * time.Millisecond):
	}
	require.NoError(t, c.Close())
	require.NoError(t, <-served)
	require.Equal(t, backend.JobKilled, (<-held).Status.State)
}

// FuzzOutcome reads anything as what becomes of a job.
func FuzzOutcome(f *testing.F) {
	f.Add(Outcome{Status: backend.JobStatus{ID: "a", State: backend.JobExited, ExitCode: 3}, Size: 10}.marshal())
	f.Add(Outcome{Err: azml.ErrInvalid}.marshal())
	f.Add([]byte("killed"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := UnmarshalOutcome(data)
		if err != nil {
			require.ErrorIs(t, err, azml.ErrDamaged)
			return
		}
		again, err := UnmarshalOutcome(o.marshal())
		require.NoError(t, err)
		require.Equal(t, o.Err == nil, again.Err == nil)
		require.Equal(t, o.Status.State, again.Status.State)
	})
}
