package e2e

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/program"
)

// TestAgentBeside: azml-agent goes to targets where it lies beside azml, under its name or
// with the platform behind it, and is of the same version, else azml does.
func TestAgentBeside(t *testing.T) {
	t.Parallel()
	azml, err := programs()
	require.NoError(t, err)
	agent := filepath.Join(filepath.Dir(azml), "azml-agent")
	here := backend.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	finds := func(chosen string) string {
		f := &program.Finder{Chosen: chosen}
		found, err := f.FindAgent(t.Context(), here)
		require.NoError(t, err)
		return found
	}
	require.Equal(t, agent, finds(azml))

	info, err := buildinfo.ReadFile(agent)
	require.NoError(t, err)
	content, err := os.ReadFile(agent)
	require.NoError(t, err)
	version := []byte("\t" + info.Main.Path + "\t" + info.Main.Version)
	another := bytes.ReplaceAll(content, version, append(version[:len(version)-1:len(version)-1], '~'))
	require.NotEqual(t, content, another)
	named := filepath.Join(t.TempDir(), "azml-agent-"+here.OS+"-"+here.Arch)
	require.NoError(t, os.Symlink(agent, named))
	require.NoError(t, os.Symlink(azml, filepath.Join(filepath.Dir(named), "azml")))
	require.Equal(t, named, finds(filepath.Join(filepath.Dir(named), "azml")))
	for _, beside := range [][]byte{nil, []byte("#!/bin/sh\n"), another} {
		chosen := filepath.Join(t.TempDir(), "azml")
		require.NoError(t, os.Symlink(azml, chosen))
		if beside != nil {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(chosen), "azml-agent"), beside, 0o700))
		}
		require.Equal(t, chosen, finds(chosen))
	}
}
