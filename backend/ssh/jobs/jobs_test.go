//go:build linux

package jobs

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
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
)

// serveHere serves the folder in this process and gives a client of it.
func serveHere(t *testing.T, dir string) *Client {
	return serveBy(t, func(in io.ReadCloser, out io.WriteCloser) error { return Serve(context.Background(), dir, in, out) })
}

// serveBy is serveHere by something that serves.
func serveBy(t *testing.T, serve func(in io.ReadCloser, out io.WriteCloser) error) *Client {
	toFar, fromHere := io.Pipe()
	toHere, fromFar := io.Pipe()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := serve(toFar, fromFar); err != nil {
			t.Error(err)
		}
		_ = fromFar.Close()
	})
	c, err := Connect(t.Context(), toHere, fromHere, pipes{fromHere, toHere})
	require.NoError(t, err)
	t.Cleanup(func() {
		for id := range listed(t, c) {
			require.NoError(t, c.Cancel(context.Background(), id, 0))
		}
		_ = c.Close()
		serving.Wait()
	})
	return c
}

func listed(t *testing.T, c *Client) map[string]backend.JobState {
	found := map[string]backend.JobState{}
	require.NoError(t, c.List(context.Background(), "", func(s backend.JobStatus) bool {
		found[s.ID] = s.State
		return true
	}))
	return found
}

func shell(t *testing.T, id, script string) backend.Job {
	return backend.Job{ID: id, Command: []string{"/bin/sh", "-c", script}, Dir: t.TempDir(), Env: map[string]string{"PATH": "/usr/bin:/bin"}}
}

func TestStartOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, other := serveHere(t, dir), serveHere(t, dir)
	ctx := t.Context()
	job := shell(t, "a", "echo x >> ran; exec sleep 1000")
	require.NoError(t, c.Start(ctx, "token", job))
	require.NoError(t, other.Start(ctx, "token", job), "the same start, whose answer was lost")
	require.ErrorIs(t, other.Start(ctx, "another", job), azml.ErrExists)
	require.NoError(t, other.Undo(ctx, "another", "a"), "that is not its own")
	require.Equal(t, map[string]backend.JobState{"a": backend.JobRunning}, listed(t, c))
	require.NoError(t, other.Undo(ctx, "token", "a"))
	require.Empty(t, listed(t, c))
	require.NoError(t, other.Undo(ctx, "token", "a"), "it is gone")
	require.NoError(t, c.Start(ctx, "third", shell(t, "a", "exit 3")))
	s, err := c.Wait(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, 3, s.ExitCode)
	require.NoError(t, c.Remove(ctx, "a"))
	left, err := os.ReadDir(filepath.Join(dir, "starts"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestStartThatDied is a start whose program died before the command ran.
func TestStartThatDied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := serveHere(t, dir)
	folder := filepath.Join(dir, "jobs", "a")
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "job.jsonl"), []byte(`{"id":"a","created":"2026-01-01T00:00:00Z"}`+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "starts", digestOf("a")), []byte("token"), 0o600))
	require.ErrorIs(t, c.Start(t.Context(), "another", shell(t, "a", "exit 3")), azml.ErrExists)
	require.NoError(t, c.Start(t.Context(), "token", shell(t, "a", "exit 3")))
	s, err := c.Wait(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, 3, s.ExitCode)
}

func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := serveHere(t, dir)
	job := shell(t, "a", "true")
	job.Command[0] = "/no/such/program"
	err := c.Start(t.Context(), "token", job)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.Equal(t, 1, strings.Count(err.Error(), "invalid"), err)
	left, err := os.ReadDir(filepath.Join(dir, "starts"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := serveHere(t, dir)
	ctx := t.Context()
	const text = "#!/bin/sh\necho hello\n"
	_, err := c.Program(ctx, "hello", "")
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = c.Program(ctx, "hello", digest(text))
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = c.Install(ctx, "hello", digest(text), strings.NewReader(text[:10]))
	require.ErrorIs(t, err, azml.ErrDamaged)
	_, err = c.Program(ctx, "hello", digest(text))
	require.ErrorIs(t, err, azml.ErrNotFound, "what is damaged is no program")
	path, err := c.Install(ctx, "hello", digest(text), strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "bin", "hello"), path)
	other, err := c.Program(ctx, "other-name", digest(text))
	require.NoError(t, err, "the content is there")
	got, err := os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
	own, err := c.Program(ctx, ProgramPrefix+digest(text), digest(text))
	require.NoError(t, err)
	require.NoError(t, Verify(own, digest(text)))
	for _, name := range []string{"", ".", "..", "a/b", "a b", ".hidden", strings.Repeat("x", 201)} {
		_, err := c.Program(ctx, name, digest(text))
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		_, err = c.Install(ctx, name, digest(text), strings.NewReader(text))
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
	left, err := filepath.Glob(filepath.Join(dir, "bin", ScratchPrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestUnusedProgramsAreDeleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	require.NoError(t, os.MkdirAll(bin, 0o700))
	age := func(name string, old time.Duration) {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), nil, 0o700))
		when := time.Now().Add(-old)
		require.NoError(t, os.Chtimes(filepath.Join(bin, name), when, when))
	}
	age("azml-used", 29*24*time.Hour)
	age("azml-unused", 31*24*time.Hour)
	age(ScratchPrefix+"on-its-way", time.Hour)
	age(ScratchPrefix+"lost", 25*time.Hour)
	require.NoError(t, os.Symlink("azml-used", filepath.Join(bin, "a")))
	require.NoError(t, os.Symlink("azml-unused", filepath.Join(bin, "b")))
	_ = serveHere(t, dir)
	left, err := os.ReadDir(bin)
	require.NoError(t, err)
	var names []string
	for _, e := range left {
		if _, err := os.Stat(filepath.Join(bin, e.Name())); err == nil {
			names = append(names, e.Name())
		}
	}
	require.Equal(t, []string{ScratchPrefix + "on-its-way", "a", "azml-used"}, names)
}

func TestMeeting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		said  string
		class error
		text  string
	}{
		"at once":         {greeting + strconv.Itoa(Protocol) + "\nrest", nil, ""},
		"after noise":     {"welcome\n\nto\n" + greeting + strconv.Itoa(Protocol) + "\nrest", nil, ""},
		"another version": {greeting + "1\nrest", azml.ErrUnsupported, "speaks version 1"},
		"nothing":         {"", ErrLost, ""},
		"something else":  {"sh: no such command\n", ErrLost, "no such command"},
		"no line end":     {greeting + strconv.Itoa(Protocol), ErrLost, ""},
		"endless":         {strings.Repeat("x\n", noise), ErrLost, "x x"},
		"endless line":    {strings.Repeat("x", 4*noise), ErrLost, "xxx"},
	} {
		r := bufio.NewReader(strings.NewReader(c.said))
		err := meet(r)
		if c.class == nil {
			require.NoError(t, err, name)
			rest, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, "rest", string(rest), name)
			continue
		}
		require.ErrorIs(t, err, c.class, name)
		require.Contains(t, err.Error(), c.text, name)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"serve"}, {"attend"}, {"verify"}, {"other", "x"}, {"serve", "a", "b"}} {
		require.ErrorIs(t, Run(t.Context(), args, nil, nil), azml.ErrInvalid, fmt.Sprint(args))
	}
	require.ErrorIs(t, Run(t.Context(), []string{"verify", "00"}, nil, nil), azml.ErrDamaged)
}

func TestErrorsOnTheirWay(t *testing.T) {
	t.Parallel()
	for _, class := range azml.Classes() {
		err := newFailure(fmt.Errorf("%w: job %q", class, "a")).error()
		require.ErrorIs(t, err, class)
		require.Equal(t, class.Error()+`: job "a"`, err.Error())
	}
	require.ErrorIs(t, newFailure(io.ErrShortWrite).error(), azml.ErrUnavailable)
	require.ErrorIs(t, failure{Class: "of the future", Text: "x"}.error(), azml.ErrUnavailable)
}
