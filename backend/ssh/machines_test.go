//go:build linux

package ssh_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/internal/testenv"
)

// TestServersOfAllKinds are servers that forbid, bound or say more than usual.
func TestServersOfAllKinds(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"no forwarding": {"DisableForwarding yes"},
		"one session":   {"MaxSessions 1"},
		"noise":         {`ForceCommand echo welcome; echo to >&2; printf half; eval "$SSH_ORIGINAL_COMMAND"`},
		"C shell":       {`ForceCommand ` + csh(t) + ` -c "$SSH_ORIGINAL_COMMAND"`},
		"no variables":  {`ForceCommand exec env -i HOME="$HOME" /bin/sh -c "$SSH_ORIGINAL_COMMAND"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := sshd(t, lines...)
			at.Dir = filepath.Join(t.TempDir(), "with space")
			d := open(t, at.config())
			require.NoError(t, d.Check(within(t)))
			l, address, err := d.Listen(within(t), "a")
			require.NoError(t, err)
			defer l.Close()
			done := make(chan error, 1)
			go func() {
				conn, err := l.Accept()
				if err == nil {
					_, err = conn.Write([]byte("word"))
					err = errors.Join(err, conn.Close())
				}
				done <- err
			}()
			require.Equal(t, "word", reads(t, strings.TrimPrefix(address, "unix:")))
			require.NoError(t, <-done)
		})
	}
}

// csh gives a shell that is no POSIX shell, else one that is.
func csh(t *testing.T) string {
	for _, name := range []string{"tcsh", "csh", "fish", "bash"} {
		if path, err := exec.LookPath(name); err == nil {
			t.Logf("the other shell is %s", path)
			return path
		}
	}
	return "/bin/sh"
}

// TestMachinesThatWontDo are those that a target can't be on, with what their
// owner is told.
func TestMachinesThatWontDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		class error
		text  string
	}{
		"no shell":     {[]string{"ForceCommand echo This account is currently not available.; exit 1"}, azml.ErrDenied, "not available"},
		"files only":   {[]string{"ForceCommand exit 0"}, azml.ErrDenied, "runs no commands"},
		"other system": {[]string{"ForceCommand echo azml-machine Plan9 mips"}, azml.ErrUnsupported, "Plan9"},
		"no sessions":  {[]string{"MaxSessions 0"}, azml.ErrDenied, "no session"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := sshd(t, c.lines...)
			at.Dir = t.TempDir()
			d, err := ssh.New(at.config())
			require.NoError(t, err)
			defer d.Close()
			err = d.Check(within(t))
			require.ErrorIs(t, err, c.class)
			require.Contains(t, err.Error(), c.text)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		s := testenv.SSHD(t)
		s.Kill()
		d, err := ssh.New(server{Port: s.Port, User: s.User, Key: s.Key, HostKey: s.HostKey}.config())
		require.NoError(t, err)
		defer d.Close()
		require.ErrorIs(t, d.Check(within(t)), azml.ErrUnavailable)
	})
}

// TestProgramsThatWontDo are those that are put on the machine and don't run there.
func TestProgramsThatWontDo(t *testing.T) {
	t.Parallel()
	at := sshd(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o700))
		return path
	}
	for name, c := range map[string]struct {
		path  string
		err   error
		class error
		text  string
	}{
		"none for it":     {"", azml.ErrUnsupported, azml.ErrUnsupported, "linux/"},
		"not there":       {filepath.Join(dir, "missing"), nil, azml.ErrInvalid, "missing"},
		"another machine": {file("other", "\x7fELF\x02\x01\x01\x00nonsense\x00\x01"), nil, azml.ErrUnsupported, "made for this machine"},
		"another program": {file("another", "#!/bin/sh\necho no such command >&2; exit 2\n"), nil, azml.ErrUnavailable, "no such command"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := at
			at.Dir = t.TempDir()
			config := at.config()
			config.Program = func(context.Context, backend.Platform) (string, error) { return c.path, c.err }
			d, err := ssh.New(config)
			require.NoError(t, err)
			defer d.Close()
			err = d.Check(within(t))
			require.ErrorIs(t, err, c.class)
			require.Contains(t, err.Error(), c.text)
			left, err := filepath.Glob(filepath.Join(at.Dir, "bin", "*"))
			require.NoError(t, err)
			scratch, err := filepath.Glob(filepath.Join(at.Dir, "bin", ".new-*"))
			require.NoError(t, err)
			require.Empty(t, append(left, scratch...), "what is no program there is not kept")
		})
	}
}

// TestFullDisk has no room for the program.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	at := sshd(t)
	at.Dir = testenv.SmallDisk(t, 1<<20)
	d, err := ssh.New(at.config())
	require.NoError(t, err)
	defer d.Close()
	err = d.Check(within(t))
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.Contains(t, err.Error(), "No space left")
	left, err := os.ReadDir(filepath.Join(at.Dir, "bin"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestBareMachine is a machine with a shell, the few tools of the scripts and
// nothing else: no libraries but those of the tools, no variables. It runs azml as
// it is built for others.
func TestBareMachine(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		testenv.Skip(t, testenv.AbilitySSHD, "only root may make a machine of a folder")
	}
	azml := filepath.Join(t.TempDir(), "azml")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", azml, "github.com/azml-go/azml/cmd/azml")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	root := bareRoot(t)
	at := sshd(t, `ForceCommand exec env -i HOME=/home PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot `+root+` /bin/sh -c "$SSH_ORIGINAL_COMMAND"`)
	config := at.config()
	config.Program = func(context.Context, backend.Platform) (string, error) { return azml, nil }
	d := open(t, config)
	job := backend.Job{ID: "a", Command: []string{"/bin/sh", "-c", "cat; echo $0; (cat & cat) </dev/zero >/dev/null & exit 3"}, Dir: "/", Env: map[string]string{"PATH": "/bin"},
		Input: []byte("token\n")}
	require.NoError(t, d.Start(within(t), job))
	s, err := d.Wait(within(t), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobExited, s.State, s.Reason)
	require.Equal(t, 3, s.ExitCode)
	r, err := d.Output(within(t), "a", &backend.OutputOptions{})
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "token\n/bin/sh\n", string(text))
	require.DirExists(t, filepath.Join(root, "home", ".azml", "jobs", "a"))
}

// bareRoot makes the root folder of a machine.
func bareRoot(t *testing.T) string {
	root := t.TempDir()
	for _, tool := range []string{"sh", "cat", "mkdir", "mv", "rm", "chmod", "wc", "uname"} {
		path, err := exec.LookPath(tool)
		require.NoError(t, err)
		libraries, err := exec.CommandContext(t.Context(), "ldd", path).Output()
		require.NoError(t, err)
		for word := range strings.FieldsSeq(path + " " + string(libraries)) {
			if !filepath.IsAbs(word) {
				continue
			}
			to := filepath.Join(root, word)
			if word == path {
				to = filepath.Join(root, "bin", tool)
			}
			data, err := os.ReadFile(word)
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
			require.NoError(t, os.WriteFile(to, data, 0o755))
		}
	}
	for _, dir := range []string{"home", "tmp", "dev", "proc"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "proc", "proc", filepath.Join(root, "proc")).CombinedOutput(); err != nil {
		testenv.Skip(t, testenv.AbilityMount, string(out))
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", "-l", filepath.Join(root, "proc")).Run()) })
	for _, device := range []string{"null", "zero"} {
		out, err := exec.CommandContext(t.Context(), "cp", "-a", "/dev/"+device, filepath.Join(root, "dev")).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return root
}
