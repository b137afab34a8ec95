package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// The scripts that the far shell is given, each one line without quotes, "!" and
// "\", which shells take differently. What they say begins with a word by which
// it is told from what start-up files say.
const (
	probeScript = `echo; echo azml-machine $(uname -s) $(uname -m)`

	// The folder's path is made absolute first.
	folderScript = `D=$1; case $D in /*) ;; *) D=$HOME/$D ;; esac; `

	serveScript = folderScript + `P=$D/bin/$2; if [ -x "$P" ]; then exec "$P" jobs serve "$D"; fi; echo; echo azml-missing`

	// What arrives is a program only when all of it is there, by its own word.
	uploadScript = folderScript + `umask 077; T=$D/bin/$5; ` +
		`mkdir -p "$D/bin" && cat >"$T" && [ $(wc -c <"$T") -eq $4 ] && ` +
		`chmod 700 "$T" && "$T" jobs verify $3 && mv "$T" "$D/bin/$2" && echo && echo azml-installed || { E=$?; rm -f "$T"; exit $E; }`

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

// run runs a command on the machine to its end. It gives the rest of the line that
// begins with the word, and with an error all that was said.
func run(ctx context.Context, client *ssh.Client, line, word string, in io.Reader) (rest, said string, err error) {
	session, err := newSession(ctx, client)
	if err != nil {
		return "", "", err
	}
	defer session.Close()
	defer context.AfterFunc(ctx, func() { _ = session.Close() })()
	var out, errs bounded
	session.Stdin, session.Stdout, session.Stderr = in, &out, &errs
	err = session.Run(line)
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	for l := range strings.Lines(out.String()) {
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(l, "\n"), word); ok && err == nil {
			return rest, "", nil
		}
	}
	if err == nil {
		err = errSilent
	}
	return "", out.String() + " " + errs.String(), err
}

// errSilent is about a command that ended well and did not say its word.
var errSilent = errors.New("it does not do what a POSIX shell does")

// bounded keeps the beginning of what is written.
type bounded struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	const limit = 64 << 10
	_, _ = b.Buffer.Write(p[:min(len(p), max(0, limit-b.Len()))])
	return len(p), nil
}

// newSession opens a session. Where only one may be open, the one before may still
// be closing.
func newSession(ctx context.Context, client *ssh.Client) (*ssh.Session, error) {
	const patience = 3 * time.Second
	for began := time.Now(); ; {
		session, err := client.NewSession()
		refused, ok := errors.AsType[*ssh.OpenChannelError](err)
		switch {
		case err == nil:
			return session, nil
		case !ok:
			return nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
		case time.Since(began) > patience:
			return nil, fmt.Errorf("%w: the server allows no session: %w", azml.ErrDenied, refused)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// commandError is about a command that did not do its work, and what it said.
func commandError(err error, said string) error {
	if azml.ClassOf(err) != nil {
		return err
	}
	exit, ok := errors.AsType[*ssh.ExitError](err)
	switch {
	case ok && exit.ExitStatus() == 126:
		return fmt.Errorf("%w: the program can't be run there (is it made for this machine, is it in a folder that programs may run from?): %s", azml.ErrUnsupported, short(said))
	case ok && strings.Contains(said, "ermission denied"):
		return fmt.Errorf("%w: on the machine: %s", azml.ErrDenied, short(said))
	case ok || said != "":
		return fmt.Errorf("%w: on the machine: %w: %s", azml.ErrUnavailable, err, short(said))
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

// short makes one line of a text, and not a long one.
func short(said string) string {
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > 400 {
		said = said[:200] + " … " + said[len(said)-200:]
	}
	return said
}

// probe asks what machine it is.
func probe(ctx context.Context, client *ssh.Client) (backend.Platform, error) {
	text, said, err := run(ctx, client, command(probeScript), machineWord, nil)
	if _, exited := errors.AsType[*ssh.ExitError](err); exited || errors.Is(err, errSilent) { // what the script does can't fail
		return backend.Platform{}, fmt.Errorf("%w: the account runs no commands of a POSIX shell: %w: %q", azml.ErrDenied, err, short(said))
	}
	if err != nil {
		return backend.Platform{}, commandError(err, said)
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
	session, err := newSession(ctx, client)
	if err != nil {
		return nil, err
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
		case waited != nil:
			err = commandError(waited, said.String())
		case said.Len() > 0:
			err = fmt.Errorf("%w: %s", err, short(said.String()))
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
	_, said, err := run(ctx, client, line, installedWord, io.NewSectionReader(program, 0, program.Size()))
	if err != nil {
		return fmt.Errorf("install the azml program: %w", commandError(err, said))
	}
	return nil
}
