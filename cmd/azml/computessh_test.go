//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
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

// TestAttachSSHWithDocker attaches the engine of a machine that is reached by SSH, and
// makes an image there.
func TestAttachSSHWithDocker(t *testing.T) {
	t.Parallel()
	server, engine := testenv.SSHD(t), testenv.Docker(t)
	s, key := setup(t), filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, server.Key, 0o600))
	attach := []string{"compute", "attach", "ssh", "far", "--address", "127.0.0.1", "--port", fmt.Sprint(server.Port), "--user", server.User,
		"--key-file", key, "--host-key", server.HostKey, "--dir", t.TempDir(), "--image", testenv.DockerImage, "--network", "none", "--build-network", "host"}
	require.Contains(t, s.fails(t, exitUsage, attach...), "goes with --docker")
	attach = append(attach, "--docker", "--docker-host")
	require.Contains(t, s.fails(t, exitError, append(attach, "unix:///no/such/engine")...), "no Docker engine answers")
	s.fails(t, exitError, "compute", "show", "far")
	require.Equal(t, "far", s.ok(t, append(attach, engine.Host, "--memory", "512m")...))
	var d compute.Details
	s.json(t, &d, "compute", "show", "far")
	require.Equal(t, compute.Type("SSH"), d.Type)
	require.Contains(t, s.ok(t, "compute", "show", "far", "-o", "yaml"), testenv.DockerImage)
	s.ok(t, "compute", "doctor", "far")

	requirements := filepath.Join(t.TempDir(), "requirements.txt")
	require.NoError(t, os.WriteFile(requirements, []byte("iniconfig==2.0.0\n"), 0o600))
	var b environment.Built
	s.json(t, &b, "environment", "build", "-r", requirements, "--compute", "far")
	require.Equal(t, environment.FormImage, b.Form)
	require.Contains(t, s.ok(t, "environment", "explain", "-r", requirements, "--compute", "far"), "it is reused")
	require.Contains(t, s.ok(t, "compute", "list"), "far")
	s.ok(t, "compute", "detach", "far")
	s.fails(t, exitError, "compute", "show", "far")
}
