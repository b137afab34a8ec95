// Command dial connects to the address in its argument, "unix:" and a path or
// "tcp:", host and port, sends what it reads from standard input, and writes what
// is answered to standard output. With "listen:" and a port it writes what the
// first who connects there sends. The suite of targets runs it on the target.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

func main() {
	err := errors.New("usage: dial unix:PATH | tcp:HOST:PORT | listen:PORT")
	if len(os.Args) == 2 {
		if port, ok := strings.CutPrefix(os.Args[1], "listen:"); ok {
			err = listen(port)
		} else {
			err = dial(os.Args[1])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func dial(address string) error {
	network, place, _ := strings.Cut(address, ":")
	conn, err := net.Dial(network, place)
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := make(chan error, 1)
	go func() { sent <- send(conn) }()
	if _, err := io.Copy(os.Stdout, conn); err != nil {
		return err
	}
	return <-sent
}

func listen(port string) error {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// send copies standard input to the connection and ends it.
func send(conn net.Conn) error {
	if _, err := io.Copy(conn, os.Stdin); err != nil {
		return err
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
