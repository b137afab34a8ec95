package testenv

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// Ports for servers that can't be told to listen on any free port. They are below
// those from which systems give outgoing connections and listeners theirs (32768 and
// up on Linux, 49152 elsewhere) and Kubernetes its services (from 30000), so nobody
// takes one by chance between its choice and its use.
const (
	firstPort = 21000
	portCount = 4000
)

// FreePort gives a port of the loopback interface that nobody listens on, and that no
// other test of this machine is given until this one has ended.
func FreePort(t testing.TB) int {
	t.Helper()
	port, release, err := ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

// ReservePort is FreePort without a test: the port is the caller's until release.
func ReservePort() (port int, release func(), err error) {
	c, err := openCache()
	if err != nil {
		return 0, nil, err
	}
	dir := filepath.Join(c.dir, "ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, nil, err
	}
	first := rand.IntN(portCount)
	for i := range portCount {
		port := firstPort + (first+i)%portCount
		lock := flock.New(filepath.Join(dir, strconv.Itoa(port)))
		if locked, err := lock.TryLock(); err != nil {
			return 0, nil, err
		} else if !locked {
			continue
		}
		if free(port) {
			return port, func() { _ = lock.Unlock() }, nil
		}
		_ = lock.Unlock()
	}
	return 0, nil, errors.New("no port is free")
}

// free tells whether nobody listens on a port of the loopback interface. It does not try
// to: a process that is being started at that moment would keep the listener for a while.
func free(port int) bool {
	conn, err := net.DialTimeout("tcp", loopback(port), time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// loopback gives the address of a port.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
