package testenv

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// serve starts a server that says on its standard output, behind marker, by what
// URL it can be reached. It is asked to end by stop, and killed when it does not
// do so in time.
func serve(cmd *exec.Cmd, marker string, starting, stopping time.Duration) (address string, stop func() error, err error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	var said lines
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	found, ended := make(chan string, 1), make(chan struct{})
	var failure error // known when it has ended
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			_, _ = said.Write(append(scanner.Bytes(), '\n')) // never fails
			if _, after, ok := strings.Cut(scanner.Text(), marker); ok {
				found <- strings.TrimSpace(after)
				break
			}
		}
		_, _ = io.Copy(io.Discard, out) // what else it says; Wait tells of what goes wrong
		failure = cmd.Wait()
		close(ended)
	}()
	stop = func() error {
		_ = interrupt(cmd.Process) // it may have ended
		select {
		case <-ended:
		case <-time.After(stopping):
			_ = cmd.Process.Kill()
			<-ended
		}
		return nil
	}
	select {
	case address = <-found:
		return address, stop, nil
	case <-ended:
		return "", nil, errors.Join(fmt.Errorf("it ended at once: %s", oneLine(said.String())), failure)
	case <-time.After(starting):
		return "", nil, errors.Join(fmt.Errorf("it said nothing of an address: %s", oneLine(said.String())), stop())
	}
}

// lines is what a program has said, written and read by several goroutines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String gives all of it.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
