package jobs

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
)

// relay listens for the held job, from before it begins, and hands what comes on to
// whoever listens for it through Serve: until somebody does, connections wait. It goes
// on until ctx ends.
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
	context.AfterFunc(ctx, func() { _ = own.Close() })
	go func() {
		for {
			conn, err := own.Accept()
			if err != nil {
				return
			}
			go handOn(ctx, conn.(*net.UnixConn), strings.TrimPrefix(at, "unix:"))
		}
	}()
	return nil
}

// handOn connects the job's connection with that of who listens at the path.
func handOn(ctx context.Context, job *net.UnixConn, path string) {
	defer job.Close()
	there := await(ctx, path)
	if there == nil {
		return
	}
	defer there.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = pass(there, job) // its end is told, or both are closed
	}()
	if pass(job, there) != nil {
		return // both are closed, which ends the other direction
	}
	<-sent
}

// await connects to who listens at the path, once somebody does; nil when ctx has
// ended.
func await(ctx context.Context, path string) (there *net.UnixConn) {
	_ = soon(ctx, func() (listening bool) {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: path})
		if err == nil {
			there = conn
		}
		return err == nil
	})
	return there
}

// pass copies one direction of a connection, and its end.
func pass(to, from *net.UnixConn) error {
	_, err := io.Copy(to, from)
	return errors.Join(err, to.CloseWrite())
}
