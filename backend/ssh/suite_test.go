//go:build linux

package ssh_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/internal/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	at := sshd(t)
	bin := t.TempDir()
	backendtest.Compute(t, func(t *testing.T) backendtest.ComputeHarness {
		at := at
		at.Dir = t.TempDir()
		require.NoError(t, os.Symlink(bin, filepath.Join(at.Dir, "bin"))) // one copy is enough for all
		return backendtest.ComputeHarness{
			Compute: open(t, at.config()),
			Dir:     t.TempDir(),
			Reopen:  func() (backend.Compute, error) { return open(t, at.config()), nil },
			StartAndDie: func(t backendtest.TB, job backend.Job) error {
				return backendtest.StartAndDie(t, at, job)
			},
		}
	})
}

// sshd starts a server.
func sshd(t *testing.T, lines ...string) server {
	s := testenv.SSHD(t, lines...)
	return server{Port: s.Port, User: s.User, Key: s.Key, HostKey: s.HostKey}
}

// open gives a driver whose jobs end with the test.
func open(t *testing.T, config ssh.Config) *ssh.Driver {
	d, err := ssh.New(config)
	require.NoError(t, err)
	t.Cleanup(func() {
		for s, err := range d.List(context.Background()) {
			require.NoError(t, err)
			require.NoError(t, d.Cancel(context.Background(), s.ID, 0))
		}
		require.NoError(t, d.Close())
	})
	return d
}
