package program_test

import (
	"os"
	"path/filepath"
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
