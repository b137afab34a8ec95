package program_test

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/program"
)

// TestNotThere has no program anywhere, and no Go.
func TestNotThere(t *testing.T) { // not parallel: it changes PATH
	t.Setenv("PATH", t.TempDir())
	f := &program.Finder{CacheDir: t.TempDir()}
	_, err := f.Find(t.Context(), backend.Platform{OS: "linux", Arch: "arm64"})
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build "+program.Package)
	_, err = f.FindUnpacker(t.Context(), backend.Platform{OS: "linux", Arch: "arm64"})
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// TestBuilds has Go build the agent and what unpacks it.
func TestBuilds(t *testing.T) { // not parallel: it changes PATH
	tool, err := exec.LookPath("go")
	require.NoError(t, err)
	t.Setenv("PATH", filepath.Dir(tool))
	on := backend.Platform{OS: "linux", Arch: runtime.GOARCH}
	f := &program.Finder{CacheDir: t.TempDir()}
	agent, err := f.FindAgent(t.Context(), on)
	require.NoError(t, err)
	unpacker, err := f.FindUnpacker(t.Context(), on)
	require.NoError(t, err)
	for file, path := range map[string]string{agent: program.AgentPackage, unpacker: program.UnpackPackage} {
		info, err := buildinfo.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, path, info.Path)
		require.Contains(t, info.Settings, debug.BuildSetting{Key: "GOARCH", Value: on.Arch})
	}
	size, err := os.Stat(unpacker)
	require.NoError(t, err)
	require.Less(t, size.Size(), int64(3<<20), "it goes to every pod as it is")
}

// TestAnotherProgram has files that are not azml: one that was named is an error,
// others are passed over.
func TestAnotherProgram(t *testing.T) { // not parallel: it changes PATH
	self, err := os.Executable() // a Go program, but not azml
	require.NoError(t, err)
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700))
	for _, chosen := range []string{self, text, filepath.Join(t.TempDir(), "none")} {
		f := &program.Finder{Chosen: chosen, CacheDir: t.TempDir()}
		_, err := f.Find(t.Context(), backend.Platform{OS: "linux", Arch: "amd64"})
		require.ErrorIs(t, err, azml.ErrInvalid, chosen)
		require.ErrorContains(t, err, chosen)
	}
	dir := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "azml")))
	t.Setenv("PATH", dir)
	f := &program.Finder{CacheDir: t.TempDir()}
	_, err = f.Find(t.Context(), backend.Platform{OS: "linux", Arch: "amd64"})
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "it is another program")
}
