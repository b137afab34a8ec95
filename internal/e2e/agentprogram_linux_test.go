package e2e

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/program"
)

// TestAgentBeside: azml-agent goes to targets where it lies beside azml, and so does
// azml-unpack, under its name or with the platform behind it, when it is of the same version.
func TestAgentBeside(t *testing.T) {
	t.Parallel()
	whole, err := programs()
	require.NoError(t, err)
	here := backend.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	for part, c := range map[string]struct {
		find    func(*program.Finder, context.Context, backend.Platform) (string, error)
		without func(chosen string) string // what is found then
	}{
		"azml-agent":  {(*program.Finder).FindAgent, func(chosen string) string { return chosen }},
		"azml-unpack": {(*program.Finder).FindUnpacker, func(string) string { return "" }},
	} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			finds := func(chosen string) string {
				found, err := c.find(&program.Finder{Chosen: chosen}, t.Context(), here)
				if found == "" {
					require.ErrorIs(t, err, azml.ErrNotFound)
					return ""
				}
				require.NoError(t, err)
				return found
			}
			of := filepath.Join(filepath.Dir(whole), part)
			require.Equal(t, of, finds(whole))

			named := filepath.Join(t.TempDir(), part+"-"+here.OS+"-"+here.Arch)
			require.NoError(t, os.Symlink(of, named))
			require.NoError(t, os.Symlink(whole, filepath.Join(filepath.Dir(named), "azml")))
			require.Equal(t, named, finds(filepath.Join(filepath.Dir(named), "azml")))
			for _, beside := range [][]byte{nil, []byte("#!/bin/sh\n"), anotherVersion(t, of)} {
				chosen := filepath.Join(t.TempDir(), "azml")
				require.NoError(t, os.Symlink(whole, chosen))
				if beside != nil {
					require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(chosen), part), beside, 0o700))
				}
				require.Equal(t, c.without(chosen), finds(chosen))
			}
		})
	}
}

// anotherVersion gives the content of a program, as it says of another version.
func anotherVersion(t *testing.T, file string) []byte {
	t.Helper()
	info, err := buildinfo.ReadFile(file)
	require.NoError(t, err)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	version := []byte("\t" + info.Main.Path + "\t" + info.Main.Version)
	another := bytes.ReplaceAll(content, version, append(version[:len(version)-1:len(version)-1], '~'))
	require.NotEqual(t, content, another)
	return another
}
