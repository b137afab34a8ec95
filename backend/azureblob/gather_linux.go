package azureblob

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// How much a long read waits for at most, and for how long. Without TLS a fast server's
// bytes come in pieces of some 64 KiB; to be woken for each costs both sides more than
// to take them.
const (
	gatherSize = 512 << 10
	gatherTime = 50 * time.Millisecond
)

// gathering is a connection whose long reads wait until there is more to read than
// the first bytes, by SO_RCVLOWAT (socket(7)).
type gathering struct {
	*watched
	socket   syscall.RawConn
	patience time.Duration // of a long read
	least    int           // what reading waits for
	slow     bool          // so much does not come in time, so nothing is gathered any more
}

// gather has long reads of a connection without TLS wait for more.
func gather(conn *watched) net.Conn {
	if c, ok := conn.Conn.(syscall.Conn); ok {
		if socket, err := c.SyscallConn(); err == nil {
			return &gathering{watched: conn, socket: socket, patience: gatherTime, least: 1}
		}
	}
	return conn
}

// Read implements net.Conn.
func (g *gathering) Read(p []byte) (int, error) {
	if len(p) > readBuffer && !g.slow && g.waitFor(min(len(p), gatherSize)) == nil {
		if err := g.SetReadDeadline(time.Now().Add(g.patience)); err != nil {
			return 0, err
		}
		n, err := g.Conn.Read(p)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		g.slow = true
	}
	if err := g.waitFor(1); err != nil {
		return 0, err
	}
	return g.watched.Read(p)
}

// waitFor says how many bytes must be there for a read that waits to go on.
func (g *gathering) waitFor(n int) error {
	if n == g.least {
		return nil
	}
	var failed error
	err := g.socket.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n)
	})
	if err == nil && failed == nil {
		g.least = n
	}
	return errors.Join(err, failed)
}
