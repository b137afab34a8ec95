//go:build linux

package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/testenv"
)

// TestAttachSSH attaches an account of a real server, to which this program, built
// for it, is sent.
func TestAttachSSH(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	account := server.Account(t)
	s := setup(t)
	attach := func(stdin string, more ...string) outcome {
		args := []string{"-w", s.dir, "compute", "attach", "ssh", "box", "--address", "127.0.0.1", "--port", fmt.Sprint(server.Port), "--user", account.Name}
		return call(t, stdin, append(args, more...)...)
	}
	for name, c := range map[string]struct {
		code  int
		stdin string
		flags []string
		text  string
	}{
		"no way to log in": {2, "", nil, "key-file password-stdin agent"},
		"no password":      {2, "", []string{"--password-stdin", "--trust-host-key"}, "nothing was given"},
		"no key file":      {2, "x", []string{"--agent", "--passphrase-stdin"}, "--passphrase-stdin is for --key-file"},
		"unknown machine":  {1, account.Password, []string{"--password-stdin"}, "is not known"},
		"another machine":  {1, account.Password, []string{"--password-stdin", "--host-key", "SHA256:AAAA"}, "something in between"},
		"wrong password":   {1, "wrong", []string{"--password-stdin", "--trust-host-key"}, "check user, password or key"},
	} {
		got := attach(c.stdin, c.flags...)
		require.Equal(t, c.code, got.code, "%s: %s", name, got.stderr)
		require.Contains(t, got.stderr, c.text, name)
		require.NotContains(t, got.stderr, account.Password, name)
	}
	require.Contains(t, s.fails(t, 1, "compute", "doctor", "box"), "not found")
	got := attach(account.Password+"\n", "--password-stdin", "--trust-host-key", "--description", "under the desk")
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stderr, "SHA256:")
	var d compute.Details
	s.json(t, &d, "compute", "show", "box")
	require.Equal(t, server.HostKey, d.Connection["hostKey"])
	require.Equal(t, "under the desk", d.Description)
	require.NotContains(t, s.ok(t, "compute", "show", "box", "-o", "yaml"), account.Password)
	s.ok(t, "compute", "doctor", "box")
	server.Kill()
	require.Contains(t, s.fails(t, 1, "compute", "doctor", "box"), "unavailable")
	server.Restart()
}
