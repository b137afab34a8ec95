// Command dial connects to the address in its argument, "unix:" and a path or
// "tcp:", host and port, sends what it reads from standard input, and writes what
// is answered to standard output. The suite of targets runs it on the target.
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
	err := errors.New("usage: dial unix:PATH | tcp:HOST:PORT")
	if len(os.Args) == 2 {
		err = dial(os.Args[1])
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
