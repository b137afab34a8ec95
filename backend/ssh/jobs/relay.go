package jobs

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// relay listens for the held job, from before it begins, and hands what comes on to
// whoever listens for it through Serve: until somebody does, connections wait. It goes
// on until this program ends.
func (s *server) relay(ctx context.Context, id, socket string) error {
	l, at, err := s.driver.Listen(ctx, id) // which nobody does yet, to know where
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		return err
	}
	own, err := net.Listen("unix", socket)
	if err != nil {
		return classify(err)
	}
	go func() {
		for {
			conn, err := own.Accept()
			if err != nil {
				return
			}
			go handOn(conn.(*net.UnixConn), strings.TrimPrefix(at, "unix:"))
		}
	}()
	return nil
}

// handOn connects the job's connection with that of who listens at the path.
func handOn(job *net.UnixConn, path string) {
	defer job.Close()
	const pause = 20 * time.Millisecond
	there, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: path})
	for ; err != nil; there, err = net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: path}) {
		time.Sleep(pause)
	}
	defer there.Close()
	sent := make(chan error, 1)
	go func() { sent <- pass(there, job) }()
	if pass(job, there) != nil {
		return // both are closed, which ends the other direction
	}
	<-sent
}

// pass copies one direction of a connection, and its end.
func pass(to, from *net.UnixConn) error {
	_, err := io.Copy(to, from)
	return errors.Join(err, to.CloseWrite())
}
