package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// The scripts that the far shell is given, each one line without quotes, "!" and
// "\", which shells take differently. What they say begins with a word by which
// it is told from what start-up files say.
const (
	probeScript = `echo azml-machine $(uname -s) $(uname -m)`

	// The folder's path is made absolute first.
	folderScript = `D=$1; case $D in /*) ;; *) D=$HOME/$D ;; esac; `

	serveScript = folderScript + `P=$D/bin/$2; if [ -x "$P" ]; then exec "$P" jobs serve "$D"; fi; echo azml-missing`

	// What arrives is a program only when all of it is there, by its own word.
	uploadScript = folderScript + `umask 077; T=$D/bin/$5; ` +
		`mkdir -p "$D/bin" && cat >"$T" && [ $(wc -c <"$T") -eq $4 ] && ` +
		`chmod 700 "$T" && "$T" jobs verify $3 && mv "$T" "$D/bin/$2" && echo azml-installed || { E=$?; rm -f "$T"; exit $E; }`

	machineWord   = "azml-machine "
	missingWord   = "azml-missing"
	installedWord = "azml-installed"
)

// command makes a command line for any shell. The arguments hold no quotes.
func command(script string, args ...string) string {
	line := "exec /bin/sh -c '" + script + "' sh"
	for _, arg := range args {
		line += " '" + arg + "'"
	}
	return line
}

// run runs a command on the machine to its end and gives the rest of the line that
// begins with the word. Its standard error is in the error.
func run(ctx context.Context, client *ssh.Client, line, word string, in io.Reader) (string, error) {
	session, err := client.NewSession()
	if err != nil {
		return "", sessionError(err)
	}
	defer session.Close()
	defer context.AfterFunc(ctx, func() { _ = session.Close() })()
	var out, said bounded
	session.Stdin, session.Stdout, session.Stderr = in, &out, &said
	err = session.Run(line)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	for l := range strings.Lines(out.String()) {
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(l, "\n"), word); ok && err == nil {
			return rest, nil
		}
	}
	return "", commandError(err, out.String()+" "+said.String())
}

// bounded keeps the beginning of what is written.
type bounded struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	const limit = 64 << 10
	_, _ = b.Buffer.Write(p[:min(len(p), max(0, limit-b.Len()))])
	return len(p), nil
}

// sessionError is about a connection that gives no session.
func sessionError(err error) error {
	if refused, ok := errors.AsType[*ssh.OpenChannelError](err); ok {
		return fmt.Errorf("%w: the server allows no session: %w", azml.ErrDenied, refused)
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

// commandError is about a command that did not do its work, and what it said.
func commandError(err error, said string) error {
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > 400 {
		said = said[:200] + " … " + said[len(said)-200:]
	}
	exit, ok := errors.AsType[*ssh.ExitError](err)
	switch {
	case err == nil:
		return fmt.Errorf("%w: the account runs no commands of a POSIX shell, it says %q", azml.ErrDenied, said)
	case ok && exit.ExitStatus() == 126:
		return fmt.Errorf("%w: the program can't be run there (is it made for this machine, is it in a folder that programs may run from?): %s", azml.ErrUnsupported, said)
	case ok && strings.Contains(said, "ermission denied"):
		return fmt.Errorf("%w: on the machine: %s", azml.ErrDenied, said)
	case ok:
		return fmt.Errorf("%w: on the machine: %w: %s", azml.ErrUnavailable, err, said)
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

// probe asks what machine it is.
func probe(ctx context.Context, client *ssh.Client) (backend.Platform, error) {
	text, err := run(ctx, client, command(probeScript), machineWord, nil)
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok { // what the script does can't fail
		return backend.Platform{}, fmt.Errorf("%w: the account runs no commands of a POSIX shell: %w", azml.ErrDenied, exit)
	}
	if err != nil {
		return backend.Platform{}, err
	}
	return platformOf(text)
}

var (
	systems    = map[string]string{"Linux": "linux", "Darwin": "darwin"}
	processors = map[string]string{"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "arm", "armv6l": "arm", "armv8l": "arm",
		"i686": "386", "i586": "386", "i386": "386", "riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x", "loongarch64": "loong64"}
)

// platformOf reads what uname says.
func platformOf(text string) (backend.Platform, error) {
	system, processor, _ := strings.Cut(strings.TrimSpace(text), " ")
	p := backend.Platform{OS: systems[system], Arch: processors[processor]}
	if p.OS == "" || p.Arch == "" {
		return backend.Platform{}, fmt.Errorf("%w: the machine is a %q; jobs run on Linux and macOS, on usual processors", azml.ErrUnsupported, text)
	}
	return p, nil
}

// serve starts the program on the machine, where it is. A missing one is
// azml.ErrNotFound.
func serve(ctx context.Context, client *ssh.Client, dir, program string) (*jobs.Client, error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, sessionError(err)
	}
	defer context.AfterFunc(ctx, func() { _ = session.Close() })()
	var said bounded
	session.Stderr = &said
	in, err := session.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	out, err := session.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	if err := session.Start(command(serveScript, dir, program)); err != nil {
		return nil, commandError(err, "")
	}
	c, err := jobs.Connect(ctx, in, out, client)
	if err == nil {
		return c, nil
	}
	if errors.Is(err, jobs.ErrLost) { // wait gives what it said on its standard error, too
		_ = out.Close()
		waited := session.Wait()
		switch {
		case strings.Contains(err.Error(), missingWord):
			err = fmt.Errorf("%w: %s", azml.ErrNotFound, program)
		case waited != nil || said.Len() > 0:
			err = commandError(waited, said.String())
		}
	}
	_ = session.Close() // it may be over
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, err
}

// upload puts the program on the machine.
func upload(ctx context.Context, client *ssh.Client, dir, name, digest string, program backend.Content) error {
	line := command(uploadScript, dir, name, digest, fmt.Sprint(program.Size()), jobs.ScratchPrefix+rand.Text())
	_, err := run(ctx, client, line, installedWord, io.NewSectionReader(program, 0, program.Size()))
	if err != nil {
		return fmt.Errorf("install the azml program: %w", err)
	}
	return nil
}
