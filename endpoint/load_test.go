//go:build linux

package endpoint_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd are connections that do harm.
type crowd struct {
	t       *testing.T
	address string
	clients sync.WaitGroup
	all     []net.Conn
}

// join adds n connections, each of which sends a text and then n bytes of a body, as
// far as it can, and reads nothing.
func (c *crowd) join(n int, sends string, body int) {
	for range n {
		connection, err := (&net.Dialer{}).DialContext(c.t.Context(), "tcp", c.address)
		require.NoError(c.t, err)
		require.NoError(c.t, connection.(*net.TCPConn).SetWriteBuffer(64<<10))
		require.NoError(c.t, connection.(*net.TCPConn).SetReadBuffer(4<<10))
		c.all = append(c.all, connection)
		c.clients.Go(func() {
			if _, err := io.WriteString(connection, sends); err == nil {
				_, _ = io.CopyN(connection, spaces{}, int64(body)) // it may be refused at any time
			}
		})
	}
}

func (c *crowd) leave() {
	for _, connection := range c.all {
		_ = connection.Close()
	}
	c.clients.Wait()
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestCrowd: 1,000 connections that send slowly, too much or nothing, or don't take
// their answers, keep no more memory than they may, keep nobody else from being
// served, and leave nothing behind.
func TestCrowd(t *testing.T) {
	t.Parallel()
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), hostVariable+"="+t.TempDir())
	host.Stderr = os.Stderr
	stdin, err := host.StdinPipe()
	require.NoError(t, err)
	stdout, err := host.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, host.Start())
	t.Cleanup(func() {
		require.NoError(t, stdin.Close())
		require.NoError(t, host.Wait())
	})
	out := bufio.NewReader(stdout)
	address, err := out.ReadString('\n')
	require.NoError(t, err)
	address = strings.TrimSpace(address)
	look := func() (h held) {
		_, err := io.WriteString(stdin, "\n")
		require.NoError(t, err)
		line, err := out.ReadBytes('\n')
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(line, &h))
		return h
	}
	served := func() {
		for range 20 {
			code, body, _ := ask(t, "POST", "http://"+address+"/score", "test-key", "2")
			require.Equal(t, 200, code, body)
		}
	}
	served()
	before := look()

	const head = "POST /score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer test-key\r\n"
	c := &crowd{t: t, address: address}
	defer c.leave()
	c.join(300, "", 0)
	c.join(300, "POST /score HTTP/1.1\r\nHost: x\r\n", 0)
	c.join(100, head+"Content-Length: 60000\r\n\r\n", 10)
	c.join(100, head+"Content-Length: 16000000\r\n\r\n", 10)
	c.join(60, head+"Content-Length: 16000000\r\n\r\n", 8<<20)
	c.join(50, head+"Content-Length: 160000000\r\n\r\n", 8<<20)
	c.join(50, head+"Transfer-Encoding: chunked\r\n\r\n10000000\r\n", 20<<20)
	c.join(40, head+"Content-Length: 7\r\n\r\n1000000", 0)
	var most held
	for range 5 {
		served()
		now := look()
		most = held{max(most.Goroutines, now.Goroutines), max(most.Files, now.Files), max(most.Bytes, now.Bytes)}
	}
	t.Logf("before %+v, at most %+v", before, most)
	const room, answers = 64 << 20, 40 << 20 // four times MaxBody; those that wait for room
	require.Less(t, most.Bytes, before.Bytes+room*3/2+answers+1000*(64<<10), "what they sent is %d MiB", 60*8+50*8+50*20)
	require.Greater(t, most.Files, before.Files+150, "at least those with half a body are there for minutes, however slow the machine is")
	c.leave()
	require.Eventually(t, func() bool {
		now := look()
		return now.Goroutines <= before.Goroutines+5 && now.Files <= before.Files+5 && now.Bytes < before.Bytes+10<<20
	}, 60*time.Second, 100*time.Millisecond, "nothing is left of them")
	served()
}
