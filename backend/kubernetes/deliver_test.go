package kubernetes

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// Unpacker builds azml-unpack for this machine, once for all tests, those outside of the package, too.
var Unpacker = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "azml-kubernetes-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "azml-unpack")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", file, "github.com/azml-go/azml/cmd/azml-unpack")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return file, nil
})

// image gives a PATH that has but these commands.
func image(t *testing.T, commands ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range commands {
		file, err := exec.LookPath(name)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(file, filepath.Join(dir, name)))
	}
	return dir
}

// least is what images need for receive.
var least = []string{"cat", "chmod", "head", "mkdir", "mv", "rm", "wc"}

// receives runs receive by this machine's shell, with what is in the PATH, and gives what it
// leaves of its standard input to what follows.
func receives(t *testing.T, dir, path string, p program, s *sending, in io.Reader) (rest string, err error) {
	t.Helper()
	command := call(receive+"cat", p, s)
	command[slices.Index(command, binFolder)] = dir
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env, cmd.Stdin = []string{"PATH=" + path}, in
	var said, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &wrong
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("%w: %s", err, wrong.String())
	}
	return said.String(), err
}

// TestReceive has a program come in all ways, to images with more and with fewer commands. What
// follows it is left for somebody else.
func TestReceive(t *testing.T) {
	t.Parallel()
	unpacker, err := Unpacker()
	require.NoError(t, err)
	own, err := os.ReadFile(unpacker)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		unpacker string
		path     string
		there    bool
		gzipless bool
	}{
		"behind an unpacker":             {unpacker: string(own), path: image(t, append(least, "dd")...)},
		"behind an unpacker, without dd": {unpacker: string(own), path: image(t, least...)},
		"behind an unpacker, is there":   {unpacker: string(own), path: image(t, append(least, "dd")...), there: true},
		"by gzip":                        {path: image(t, append(least, "dd", "gzip")...)},
		"by gzip, is there":              {path: image(t, append(least, "gzip")...), there: true},
		"as it is":                       {path: image(t, least...), gzipless: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := sends(t, c.unpacker)
			p.name = "azml"
			dir := filepath.Join(t.TempDir(), "bin")
			want, err := os.ReadFile(p.file)
			require.NoError(t, err)
			if c.there {
				want = []byte("as it was")
				require.NoError(t, os.Mkdir(dir, 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(dir, p.name), want, 0o600))
			}
			require.NoError(t, d.send(t.Context(), p, func(s *sending) error {
				defer s.Close()
				rest, err := receives(t, dir, c.path, p, s, io.MultiReader(s, strings.NewReader("the rest")))
				if c.gzipless && s.unpack != "cat" {
					require.ErrorContains(t, err, "exit status "+noGzipCode)
					return fmt.Errorf("%w: exit code %s: ", azml.ErrFailed, noGzipCode)
				}
				require.Equal(t, "the rest", rest)
				return err
			}))
			got, err := os.ReadFile(filepath.Join(dir, p.name))
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
	}
}

// TestReceivesNothingElse: what is cut off, or does not unpack, is no program.
func TestReceivesNothingElse(t *testing.T) {
	t.Parallel()
	unpacker, err := Unpacker()
	require.NoError(t, err)
	own, err := os.ReadFile(unpacker)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		unpacker string
		cut      int64 // bytes that don't come
	}{
		"a part of the program":     {string(own), 1},
		"a part of the unpacker":    {string(own), int64(len(own))},
		"an unpacker that fails":    {"#!/bin/sh\nexit 3\n", 0},
		"a part of what gzip packs": {"", 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := sends(t, c.unpacker)
			p.name = "azml"
			dir := t.TempDir()
			require.NoError(t, d.send(t.Context(), p, func(s *sending) error {
				defer s.Close()
				_, err := receives(t, dir, image(t, append(least, "gzip")...), p, s, io.LimitReader(s, s.size()-c.cut))
				require.ErrorContains(t, err, "exit status 1")
				return nil
			}))
			require.NoFileExists(t, filepath.Join(dir, p.name))
		})
	}
}
