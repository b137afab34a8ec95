//go:build linux

package ssh_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	xssh "golang.org/x/crypto/ssh"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/internal/testenv"
)

func credential(c ssh.Credential) func(context.Context) (ssh.Credential, error) {
	return func(context.Context) (ssh.Credential, error) { return c, nil }
}

// encrypted gives the key, encrypted by ssh-keygen.
func encrypted(t *testing.T, key []byte, passphrase string) []byte {
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, key, 0o600))
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-p", "-P", "", "-N", passphrase, "-f", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	sealed, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotEqual(t, key, sealed)
	return sealed
}

// TestLogIn has an account of its own, as password logins need one.
func TestLogIn(t *testing.T) {
	t.Parallel()
	s := testenv.SSHD(t)
	account := s.Account(t)
	_, otherKey, err := testenv.SSHKey()
	require.NoError(t, err)
	sealed := encrypted(t, s.Key, "pass phrase")
	for name, c := range map[string]struct {
		credential ssh.Credential
		class      error
		text       string
	}{
		"password":             {ssh.Credential{Password: account.Password}, nil, ""},
		"key":                  {ssh.Credential{PrivateKey: s.Key}, nil, ""},
		"key with passphrase":  {ssh.Credential{PrivateKey: sealed, Passphrase: "pass phrase"}, nil, ""},
		"password, wrong key":  {ssh.Credential{Password: account.Password, PrivateKey: otherKey}, nil, ""},
		"wrong password":       {ssh.Credential{Password: "wrong"}, azml.ErrDenied, "check user, password or key"},
		"wrong key":            {ssh.Credential{PrivateKey: otherKey}, azml.ErrDenied, "check user, password or key"},
		"wrong passphrase":     {ssh.Credential{PrivateKey: sealed, Passphrase: "s3cret"}, azml.ErrInvalid, "does not open with this passphrase"},
		"no passphrase":        {ssh.Credential{PrivateKey: sealed}, azml.ErrInvalid, "give its passphrase"},
		"no private key":       {ssh.Credential{PrivateKey: []byte("s3cret")}, azml.ErrInvalid, "no private key"},
		"nothing to log in by": {ssh.Credential{}, azml.ErrInvalid, "no password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := server{Port: s.Port, User: account.Name, HostKey: s.HostKey, Dir: ".azml-test"}.config()
			config.Credential = credential(c.credential)
			d, err := ssh.New(config)
			require.NoError(t, err)
			defer d.Close()
			begun := time.Now()
			err = d.Check(within(t))
			if c.class == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.class)
			require.Contains(t, err.Error(), c.text)
			require.NotContains(t, err.Error(), "s3cret")
			require.Less(t, time.Since(begun), soon/2, "what is refused is not tried again")
		})
	}
}

// TestOrdinaryAccount runs a job as an account that is not the tests' own, in its
// home folder.
func TestOrdinaryAccount(t *testing.T) {
	t.Parallel()
	s := testenv.SSHD(t)
	account := s.Account(t)
	config := server{Port: s.Port, User: account.Name, HostKey: s.HostKey, Dir: "~/.azml-test"}.config()
	config.Credential = credential(ssh.Credential{Password: account.Password})
	d := open(t, config)
	id := fmt.Sprint("job-", time.Now().UnixNano())
	require.NoError(t, d.Start(within(t), backend.Job{ID: id, Command: []string{"/bin/sh", "-c", "id -un; cat; pwd; ls -ld ~/.azml-test/jobs | cut -c 1-10"},
		Dir: account.Home, Env: map[string]string{"PATH": "/usr/bin:/bin", "HOME": account.Home}, Input: []byte("token\n")}))
	state, err := d.Wait(within(t), id)
	require.NoError(t, err)
	out, err := d.Output(within(t), id, &backend.OutputOptions{})
	require.NoError(t, err)
	defer out.Close()
	text, err := io.ReadAll(out)
	require.NoError(t, err)
	require.Equal(t, account.Name+"\ntoken\n"+account.Home+"\ndrwx------\n", string(text))
	require.Equal(t, backend.JobExited, state.State)
	require.NoError(t, d.Remove(within(t), id))
}

// TestAgent logs in by the keys of an ssh-agent. Not parallel: it changes the
// environment.
func TestAgent(t *testing.T) {
	at := sshd(t)
	at.Dir = t.TempDir()
	dir, err := os.MkdirTemp("", "azml-agent-") //nolint:usetesting // sockets have short paths
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "agent")
	agent := exec.CommandContext(t.Context(), "ssh-agent", "-D", "-a", socket)
	require.NoError(t, agent.Start())
	t.Cleanup(func() { _ = agent.Wait() }) // killed by the end of the context
	t.Cleanup(func() { _ = agent.Process.Kill() })
	require.Eventually(t, func() bool { _, err := os.Stat(socket); return err == nil }, soon, 10*time.Millisecond)
	t.Setenv("SSH_AUTH_SOCK", socket)
	config := at.config()
	config.Credential = credential(ssh.Credential{Agent: true})
	d := open(t, config)
	require.ErrorIs(t, d.Check(within(t)), azml.ErrDenied, "the agent has no key")
	key := filepath.Join(dir, "key")
	require.NoError(t, os.WriteFile(key, at.Key, 0o600))
	out, err := exec.CommandContext(t.Context(), "ssh-add", key).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, d.Check(within(t)))
	t.Setenv("SSH_AUTH_SOCK", "")
	other, err := ssh.New(config)
	require.NoError(t, err)
	defer other.Close()
	require.ErrorIs(t, other.Check(within(t)), azml.ErrInvalid)
}

// hostKeys are lines of files of known hosts, for a server at the port.
func knownHosts(t *testing.T, port int, keys ...string) string {
	file := filepath.Join(t.TempDir(), "known_hosts")
	var text strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&text, "[127.0.0.1]:%d %s\n", port, key)
	}
	require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o600))
	return file
}

func fingerprint(t *testing.T, line string) string {
	key, _, _, _, err := xssh.ParseAuthorizedKey([]byte(line))
	require.NoError(t, err)
	return xssh.FingerprintSHA256(key)
}

func TestHostKeys(t *testing.T) {
	t.Parallel()
	// A second key, of another kind, which clients would rather have.
	extra := filepath.Join(t.TempDir(), "ecdsa")
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", extra).CombinedOutput()
	require.NoError(t, err, "%s", out)
	rsa, err := os.ReadFile(extra + ".pub")
	require.NoError(t, err)
	s := testenv.SSHD(t, "HostKey "+extra)
	wrong, _, err := testenv.SSHKey()
	require.NoError(t, err)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		key   ssh.HostKey
		class error
		text  string
	}{
		"line":                   {ssh.HostKey{Known: s.HostKey}, nil, ""},
		"line of the other":      {ssh.HostKey{Known: string(rsa)}, nil, ""},
		"fingerprint":            {ssh.HostKey{Known: fingerprint(t, s.HostKey)}, nil, ""},
		"fingerprint of other":   {ssh.HostKey{Known: fingerprint(t, string(rsa))}, nil, ""},
		"file":                   {ssh.HostKey{Files: []string{knownHosts(t, s.Port, s.HostKey)}}, nil, ""},
		"file with the other":    {ssh.HostKey{Files: []string{knownHosts(t, s.Port, string(rsa))}}, nil, ""},
		"wrong line":             {ssh.HostKey{Known: wrong}, azml.ErrDenied, "something in between"},
		"wrong fingerprint":      {ssh.HostKey{Known: fingerprint(t, wrong)}, azml.ErrDenied, "something in between"},
		"changed since the file": {ssh.HostKey{Files: []string{knownHosts(t, s.Port, wrong)}}, azml.ErrDenied, "known_hosts, line 1"},
		"not in the file":        {ssh.HostKey{Files: []string{knownHosts(t, s.Port+1, s.HostKey)}}, azml.ErrDenied, "is not known"},
		"no file":                {ssh.HostKey{Files: []string{}}, azml.ErrDenied, fingerprint(t, s.HostKey)},
		"file that is missing":   {ssh.HostKey{Files: []string{filepath.Join(dir, "missing")}}, azml.ErrInvalid, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := server{Port: s.Port, User: s.User, Dir: dir}.config()
			config.Credential, config.HostKey = credential(ssh.Credential{PrivateKey: s.Key}), c.key
			d, err := ssh.New(config)
			require.NoError(t, err)
			defer d.Close()
			err = d.Check(within(t))
			if c.class == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.class)
			require.Contains(t, err.Error(), c.text)
		})
	}
}

// TestTrustAtFirstUse learns a machine's key, and refuses another afterwards.
func TestTrustAtFirstUse(t *testing.T) {
	t.Parallel()
	first, second := testenv.SSHD(t), testenv.SSHD(t)
	address := func(s *testenv.SSHServer) string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(s.Port)) }
	key, err := ssh.KeyOf(within(t), "127.0.0.1", first.Port)
	require.NoError(t, err)
	require.Equal(t, first.HostKey, key)
	at := server{Port: first.Port, User: first.User, Key: first.Key, HostKey: key}
	d, wire := wired(t, at, nil)
	require.NoError(t, d.Check(within(t)))
	wire.Redirect(address(second))
	wire.Cut()
	err = d.Check(within(t))
	require.ErrorIs(t, err, azml.ErrDenied)
	require.Contains(t, err.Error(), "something in between")
	wire.Redirect(address(first))
	require.NoError(t, d.Check(within(t)))
	seen, err := ssh.Fingerprint(key)
	require.NoError(t, err)
	require.Equal(t, fingerprint(t, key), seen)
	first.Kill()
	_, err = ssh.KeyOf(within(t), "127.0.0.1", first.Port)
	require.ErrorIs(t, err, azml.ErrUnavailable)
	first.Restart() // for the end of the test
}

func TestConfigsThatAreRefused(t *testing.T) {
	t.Parallel()
	good := server{Port: 22, User: "me", HostKey: "SHA256:x"}.config()
	for name, spoil := range map[string]func(*ssh.Config){
		"no address":    func(c *ssh.Config) { c.Address = "" },
		"address":       func(c *ssh.Config) { c.Address = "a b" },
		"port":          func(c *ssh.Config) { c.Port = 70000 },
		"no credential": func(c *ssh.Config) { c.Credential = nil },
		"no program":    func(c *ssh.Config) { c.Program = nil },
		"quote":         func(c *ssh.Config) { c.Dir = "it's" },
		"command":       func(c *ssh.Config) { c.Dir = "$(reboot)" },
		"line break":    func(c *ssh.Config) { c.Dir = "a\nb" },
		"option":        func(c *ssh.Config) { c.Dir = "-rf" },
		"other's home":  func(c *ssh.Config) { c.Dir = "~root/x" },
		"host key":      func(c *ssh.Config) { c.HostKey.Known = "something" },
	} {
		c := good
		spoil(&c)
		_, err := ssh.New(c)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
	d, err := ssh.New(good)
	require.NoError(t, err)
	require.NoError(t, d.Close())
}

func TestCredentialsAreNotShown(t *testing.T) {
	t.Parallel()
	c := ssh.Credential{Password: "s3cret", PrivateKey: []byte("s3cret"), Passphrase: "s3cret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(format, c), "s3cret", format)
		require.NotContains(t, fmt.Sprintf(format, &c), "s3cret", format)
		require.NotContains(t, fmt.Sprintf(format, struct{ C ssh.Credential }{c}), "s3cret", format)
	}
	text, err := json.Marshal(ssh.Target{Address: "box", Credential: c})
	require.NoError(t, err)
	require.NotContains(t, string(text), "s3cret")
	require.NotContains(t, string(text), "czNjcmV0", "in base64")
}
