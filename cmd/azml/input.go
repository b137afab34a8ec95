package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/azml-go/azml/internal/terminal"
)

// await reads something from a person or another program, or ends with ctx. A
// read that nobody waits for any more ends with this process.
func await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// readAll reads the standard input to its end.
func (a *app) readAll(ctx context.Context) ([]byte, error) {
	return await(ctx, func() ([]byte, error) { return io.ReadAll(a.stdin) })
}

// readLine reads one line that a person types.
func (a *app) readLine(ctx context.Context) (string, error) {
	line, err := await(ctx, func() (string, error) { return bufio.NewReader(a.stdin).ReadString('\n') })
	return strings.TrimSpace(line), err
}

// readSecret asks for a value that is not shown while it is typed, or reads the
// standard input without the line end after it.
func (a *app) readSecret(ctx context.Context, name string) (string, error) {
	f, ok := a.stdin.(*os.File)
	if !ok || !terminal.IsTerminal(f) {
		text, err := a.readAll(ctx)
		return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), err
	}
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	defer term.Restore(fd, before) //nolint:errcheck // also when the read was left behind
	fmt.Fprintf(a.stderr, "Value of %s (not shown): ", name)
	value, err := await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	fmt.Fprintln(a.stderr)
	return string(value), err
}
