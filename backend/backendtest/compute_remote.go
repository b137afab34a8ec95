package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func remoteGroup() group[ComputeHarness] {
	return group[ComputeHarness]{"remote", []check[ComputeHarness]{{"platform", onRemote(checkPlatform)}, {"install", onRemote(checkInstall)},
		{"install cut off", onRemote(checkInstallCutOff)}, {"install at once", onRemote(checkInstallTogether)}, {"reach back", onRemote(checkListen)},
		{"listen later", onRemote(checkListenLater)}, {"listen again", onRemote(checkListenAgain)}, {"many connections", onRemote(checkListenMany)},
		{"context", onRemote(checkRemoteContext)}}}
}

// remote is a target that is a backend.Remote.
type remote struct {
	target
	backend.Remote
}

// onRemote has a check run on targets that are Remote.
func onRemote(run func(c remote)) func(t TB, h ComputeHarness) {
	return func(t TB, h ComputeHarness) {
		r, ok := backend.As[backend.Remote](h.Compute)
		if !ok {
			t.Logf("the target is no backend.Remote")
			return
		}
		run(remote{target{t, h}, r})
	}
}

// content is a program's text.
func content(text string) backend.Content { return strings.NewReader(text) }

func checkPlatform(c remote) {
	p, err := c.Platform(c.Context())
	require.NoError(c, err)
	require.NotEmpty(c, p.OS)
	require.NotEmpty(c, p.Arch)
}

func checkInstall(c remote) {
	path, err := c.Install(c.Context(), "hello-0123", content("#!/bin/sh\necho hello $1\n"))
	require.NoError(c, err)
	again, err := c.Install(c.Context(), "hello-0123", content("#!/bin/sh\necho another\n"))
	require.NoError(c, err)
	require.Equal(c, path, again)
	other, err := c.Install(c.Context(), "hello-4567", content("#!/bin/sh\necho other\n"))
	require.NoError(c, err)
	require.NotEqual(c, path, other)
	require.Equal(c, "hello you\n", c.run("a", "'"+path+"' you"), "what was there is left as it is")
	job := c.shell("b", "")
	job.Command = []string{other}
	require.NoError(c, c.Compute.Start(c.Context(), job))
	c.wait("b")
	require.Equal(c, "other\n", c.output("b"))
	for _, name := range []string{"", ".", "..", "a/b", "a b", ".hidden"} {
		_, err := c.Install(c.Context(), name, content("#!/bin/sh\n"))
		require.ErrorIs(c, err, azml.ErrInvalid, name)
	}
	require.Len(c, collect(c, c.Compute.List(c.Context())), 2, "programs are no jobs")
}

// broken is content that can't be read to its end.
type broken struct{ *strings.Reader }

var errBroken = errors.New("broken")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.Size()/2 {
		return 0, errBroken
	}
	return b.Reader.ReadAt(p, off)
}

func (b broken) Read([]byte) (int, error) { return 0, errBroken }

func checkInstallCutOff(c remote) {
	text := "#!/bin/sh\necho whole\nexit 3\n" + strings.Repeat("#", 1<<20)
	_, err := c.Install(c.Context(), "cut-0123", broken{strings.NewReader(text)})
	require.Error(c, err)
	path, err := c.Install(c.Context(), "cut-0123", content(text))
	require.NoError(c, err)
	require.Equal(c, "whole\n", c.run("a", "'"+path+"'"))
}

func checkInstallTogether(c remote) {
	other, ok := backend.As[backend.Remote](c.reopen().Compute)
	require.True(c, ok)
	text := "#!/bin/sh\necho whole\nexit 0\n" + strings.Repeat("#", 1<<20) + "\n"
	paths := make([]string, 8)
	together(8, func(i int) {
		on := []backend.Remote{c.Remote, other}[i%2]
		path, err := on.Install(c.Context(), "same-0123", content(text))
		if noError(c, err) {
			paths[i] = path
		}
	})
	for _, path := range paths {
		require.Equal(c, paths[0], path)
	}
	require.Equal(c, fmt.Sprintln(len(text)), strings.TrimLeft(c.run("a", "'"+paths[0]+"' > said; wc -c < '"+paths[0]+"'"), " "))
	require.Equal(c, "whole\n", c.run("b", "cat said"))
}

// dialer gives the path of the program dial on the target, which it builds for
// it.
func (c remote) dialer() string {
	c.Helper()
	p, err := c.Platform(c.Context())
	require.NoError(c, err)
	dir, err := os.MkdirTemp("", "azml-dial-")
	require.NoError(c, err)
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "dial")
	build := exec.CommandContext(c.Context(), "go", "build", "-trimpath", "-o", file, "github.com/azml-go/azml/backend/backendtest/dial")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch, "GOFLAGS=")
	out, err := build.CombinedOutput()
	require.NoError(c, err, "build dial: %s", out)
	program, err := os.ReadFile(file)
	require.NoError(c, err)
	path, err := c.Install(c.Context(), "dial-0123", bytes.NewReader(program))
	require.NoError(c, err)
	return path
}

// listen listens for the job until the check has ended or stop was called.
func (c remote) listen(on backend.Remote, id string) (net.Listener, string) {
	c.Helper()
	ctx, stop := withTimeout(c.target)
	defer stop()
	l, address, err := on.Listen(ctx, id)
	require.NoError(c, err)
	return l, address
}

// accept gives what the next connection sends, answers it in capitals, and closes
// it.
func accept(l net.Listener) (string, error) {
	conn, err := l.Accept()
	if err != nil {
		return "", err
	}
	defer conn.Close()
	said, err := io.ReadAll(conn)
	if err == nil {
		_, err = conn.Write(bytes.ToUpper(said))
	}
	return string(said), err
}

func (c remote) accept(l net.Listener) string {
	c.Helper()
	type answer struct {
		said string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		said, err := accept(l)
		got <- answer{said, err}
	}()
	select {
	case a := <-got:
		require.NoError(c, a.err)
		return a.said
	case <-time.After(c.soon()):
		require.FailNow(c, "no connection came")
		return ""
	}
}

func checkListen(c remote) {
	dial := c.dialer()
	l, address := c.listen(c.Remote, "a")
	defer l.Close()
	network, place, _ := strings.Cut(address, ":")
	require.Contains(c, []string{"unix", "tcp"}, network)
	require.NotEmpty(c, place)
	job := c.shell("a", "exec '"+dial+"' '"+address+"'")
	job.Input = []byte("secret token")
	require.NoError(c, c.Compute.Start(c.Context(), job))
	require.Equal(c, "secret token", c.accept(l))
	require.Equal(c, 0, c.wait("a").ExitCode)
	require.Equal(c, "SECRET TOKEN", c.output("a"))
	require.NoError(c, l.Close())
	_, err := l.Accept()
	require.Error(c, err)
	require.NoError(c, c.Compute.Remove(c.Context(), "a"))
}

// checkListenLater has the job there before its listener.
func checkListenLater(c remote) {
	dial := c.dialer()
	l, address := c.listen(c.Remote, "a")
	require.NoError(c, l.Close())
	c.start("a", "until echo one | '"+dial+"' '"+address+"' 2>/dev/null | grep ONE; do sleep 0.1; done")
	l, again := c.listen(c.Remote, "a")
	defer l.Close()
	require.Equal(c, address, again, "the address of a job is always the same")
	require.Equal(c, "one", strings.TrimSpace(c.accept(l)))
	require.Equal(c, 0, c.wait("a").ExitCode)
}

// checkListenAgain has another process take over the listening.
func checkListenAgain(c remote) {
	dial := c.dialer()
	l, address := c.listen(c.Remote, "a")
	c.start("a", "for word in one two; do until echo $word | '"+dial+"' '"+address+"' 2>/dev/null | grep -i $word; do sleep 0.1; done; done")
	require.Equal(c, "one", strings.TrimSpace(c.accept(l)))
	require.NoError(c, l.Close())
	other, ok := backend.As[backend.Remote](c.reopen().Compute)
	require.True(c, ok)
	l, again := c.listen(other, "a")
	defer l.Close()
	require.Equal(c, address, again)
	require.Equal(c, "two", strings.TrimSpace(c.accept(l)))
	require.Equal(c, 0, c.wait("a").ExitCode)
	require.Equal(c, "ONE\nTWO\n", c.output("a"))
	s, err := other.Status(c.Context(), "a")
	require.NoError(c, err)
	require.Equal(c, backend.JobExited, s.State)
}

func checkListenMany(c remote) {
	dial := c.dialer()
	l, address := c.listen(c.Remote, "a")
	defer l.Close()
	const many, size = 8, 1 << 20
	c.start("a", fmt.Sprintf("for i in $(seq %d); do head -c %d /dev/zero | '%s' '%s' | wc -c & done; wait", many, size, dial, address))
	echoed := make(chan error, many)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { echoed <- echo(conn) }()
		}
	}()
	for range many {
		select {
		case err := <-echoed:
			require.NoError(c, err)
		case <-time.After(c.soon()):
			require.FailNow(c, "connections are stuck")
		}
	}
	require.Equal(c, 0, c.wait("a").ExitCode)
	require.Equal(c, strings.Repeat(fmt.Sprintln(size), many), strings.ReplaceAll(c.output("a"), " ", ""))
}

// echo answers with what comes, while it comes.
func echo(conn net.Conn) error {
	defer conn.Close()
	_, err := io.Copy(conn, conn)
	if half, ok := conn.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	return err
}

func checkRemoteContext(c remote) {
	ctx, cancel := context.WithCancel(c.Context())
	cancel()
	_, err := c.Platform(ctx)
	require.ErrorIs(c, err, context.Canceled, "Platform")
	_, err = c.Install(ctx, "x-0123", content("#!/bin/sh\n"))
	require.ErrorIs(c, err, context.Canceled, "Install")
	_, _, err = c.Listen(ctx, "a")
	require.ErrorIs(c, err, context.Canceled, "Listen")
}
