//go:build linux

package ssh_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

// thisProgram is the driver with this test's program to be put on machines.
type thisProgram struct{ ssh.ComputeDriver }

func (d thisProgram) Open(ctx context.Context, source backend.ComputeSource) (backend.OpenedCompute, error) {
	source.Agent = func(context.Context, backend.Platform) (string, error) { return os.Executable() }
	return d.ComputeDriver.Open(ctx, source)
}

// TestAttached attaches a machine to a workspace and opens it from its record.
func TestAttached(t *testing.T) {
	t.Parallel()
	s := testenv.SSHD(t)
	dir := t.TempDir()
	opts := workspacetest.Options(dir)
	opts.Computes = []backend.ComputeDriver{thisProgram{}}
	ws, err := workspace.Open(t.Context(), dir+"/ws", opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, ws.Close(context.Background())) }()
	key, err := ssh.KeyOf(t.Context(), "127.0.0.1", s.Port)
	require.NoError(t, err)
	config := ssh.Target{Address: "127.0.0.1", Port: s.Port, Username: s.User, HostKey: key, Dir: t.TempDir(), CacheDir: "/cache",
		Credential: ssh.Credential{PrivateKey: encrypted(t, s.Key, "pass phrase"), Passphrase: "wrong"}}
	_, err = ws.Compute().Create(t.Context(), "box", config, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = ws.Compute().Get(t.Context(), "box", nil)
	require.ErrorIs(t, err, azml.ErrNotFound, "what can't be reached is not stored")
	config.Credential.Passphrase = "pass phrase"
	made, err := ws.Compute().Create(t.Context(), "box", config, nil)
	require.NoError(t, err)
	d := made.Details()
	require.Equal(t, compute.Type(ssh.TypeTarget), d.Type)
	require.Equal(t, map[string]string{"address": "127.0.0.1", "port": fmt.Sprint(s.Port), "username": s.User, "hostKey": s.HostKey, "dir": config.Dir, "cacheDir": "/cache"}, d.Connection)
	got, err := ws.Compute().Get(t.Context(), "box", nil)
	require.NoError(t, err)
	require.NoError(t, got.Check(t.Context(), nil))
	s.Kill()
	require.ErrorIs(t, got.Check(t.Context(), nil), azml.ErrUnavailable)
	require.NoError(t, ws.Compute().Delete(t.Context(), "box", nil))
}

func TestTargetsThatAreRefused(t *testing.T) {
	t.Parallel()
	good := ssh.Target{Address: "box", Credential: ssh.Credential{Agent: true}}
	for name, spoil := range map[string]func(*ssh.Target){
		"no address": func(c *ssh.Target) { c.Address = "" },
		"port":       func(c *ssh.Target) { c.Port = -1 },
		"folder":     func(c *ssh.Target) { c.Dir = "a\nb" },
		"cache":      func(c *ssh.Target) { c.CacheDir = "cache" },
		"host key":   func(c *ssh.Target) { c.HostKey = "something" },
	} {
		c := good
		spoil(&c)
		_, err := c.Source()
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
	source, err := good.Source()
	require.NoError(t, err)
	require.Equal(t, "true", source.Connection["agent"])
	require.Empty(t, source.Credentials)
	source.Connection["port"] = "ssh"
	_, err = ssh.ComputeDriver{}.Open(t.Context(), source)
	require.ErrorIs(t, err, azml.ErrInvalid)
}
