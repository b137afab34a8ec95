//go:build linux

package azureblob

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// gathered gives a connection that gathers, and its other end.
func gathered(t *testing.T) (*gathering, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	far, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = far.Close() })
	g, ok := gather(&watched{conn, time.Minute}).(*gathering)
	require.True(t, ok)
	return g, far
}

// waitsFor asks the system for how many bytes reading waits.
func waitsFor(t *testing.T, g *gathering) (n int) {
	t.Helper()
	require.NoError(t, g.socket.Control(func(fd uintptr) {
		var err error
		n, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT)
		require.NoError(t, err)
	}))
	return n
}

// TestGather reads a body in long pieces, of which the last is shorter than what was
// waited for, and what comes after it.
func TestGather(t *testing.T) {
	t.Parallel()
	g, far := gathered(t)
	body := make([]byte, 2*gatherSize+readBuffer+1)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	sent := make(chan error, 1)
	go func() {
		_, err := far.Write(body)
		sent <- err
	}()
	got := make([]byte, len(body))
	_, err := io.ReadFull(g, got)
	require.NoError(t, err)
	require.NoError(t, <-sent)
	require.True(t, bytes.Equal(body, got))

	_, err = far.Write([]byte("next"))
	require.NoError(t, err)
	n, err := g.Read(make([]byte, readBuffer))
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.Equal(t, 1, waitsFor(t, g), "who doesn't know how much comes takes what is there")
}

// TestGatherWaits looks that a long read, when it has to wait, does so for more than the
// first bytes, and takes what is there.
func TestGatherWaits(t *testing.T) {
	t.Parallel()
	g, far := gathered(t)
	g.patience = time.Minute
	_, err := far.Write([]byte("first"))
	require.NoError(t, err)
	got := make([]byte, 2*readBuffer)
	n, err := g.Read(got)
	require.NoError(t, err)
	require.Equal(t, "first", string(got[:n]))
	require.Equal(t, len(got), waitsFor(t, g))

	go func() { _, _ = far.Write(make([]byte, len(got))) }()
	_, err = io.ReadFull(g, got)
	require.NoError(t, err)
}

// TestGatherFromSlow reads from one that sends less than is waited for: it comes, and
// nobody waits for more any longer.
func TestGatherFromSlow(t *testing.T) {
	t.Parallel()
	g, far := gathered(t)
	g.patience = 1 // its time is over before it looks
	for _, text := range []string{"little", "by little"} {
		_, err := far.Write([]byte(text))
		require.NoError(t, err)
		got := make([]byte, 2*readBuffer)
		n, err := g.Read(got)
		require.NoError(t, err)
		require.Equal(t, text, string(got[:n]))
		require.True(t, g.slow)
		require.Equal(t, 1, waitsFor(t, g))
	}
}

// TestGatherFromGone reads from one that goes away: what came is there, then the end.
func TestGatherFromGone(t *testing.T) {
	t.Parallel()
	g, far := gathered(t)
	_, err := far.Write([]byte("all"))
	require.NoError(t, err)
	require.NoError(t, far.Close())
	got, err := io.ReadAll(g)
	require.NoError(t, err)
	require.Equal(t, "all", string(got))
	buf := make([]byte, 2*readBuffer)
	_, err = g.Read(buf)
	require.ErrorIs(t, err, io.EOF)
}
