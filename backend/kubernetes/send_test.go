package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// sends gives a driver, with an unpacker unless that is empty, and a program of some size.
func sends(t *testing.T, unpacker string) (*Driver, program) {
	t.Helper()
	content := make([]byte, 1<<20)
	sum := sha256.Sum256(content)
	p := program{file: filepath.Join(t.TempDir(), "azml"), digest: hex.EncodeToString(sum[:]), on: backend.Platform{OS: "linux", Arch: "arm64"}}
	require.NoError(t, os.WriteFile(p.file, content, 0o600))
	d := &Driver{opts: Options{CacheDir: t.TempDir()}}
	if unpacker != "" {
		file := filepath.Join(t.TempDir(), "unpack")
		require.NoError(t, os.WriteFile(file, []byte(unpacker), 0o600))
		d.opts.Unpacker = func(_ context.Context, on backend.Platform) (string, error) {
			require.Equal(t, p.on, on)
			return file, nil
		}
	}
	return d, p
}

// TestSends a program in the ways that there are.
func TestSends(t *testing.T) {
	t.Parallel()
	none := func(context.Context, backend.Platform) (string, error) { return "", azml.ErrNotFound }
	sent := func(d *Driver, p program, gzipless bool) (ways []string) {
		err := d.send(t.Context(), p, func(s *sending) error {
			all, err := io.ReadAll(s)
			require.NoError(t, err)
			require.NoError(t, s.Close())
			require.Len(t, all, int(s.unpacker+s.program))
			require.Equal(t, s.unpack == "cat", s.program == 1<<20)
			ways = append(ways, string(all[:s.unpacker])+s.unpack)
			if gzipless && s.unpack != "cat" {
				return fmt.Errorf("%w: exit code %s: ", azml.ErrFailed, noGzipCode)
			}
			return nil
		})
		require.NoError(t, err)
		return ways
	}
	d, p := sends(t, "unpacker")
	require.Equal(t, []string{"unpacker"}, sent(d, p, false))
	require.FileExists(t, filepath.Join(d.opts.CacheDir, "packed", p.digest+".zst"))

	d, p = sends(t, "")
	require.Equal(t, []string{"gzip -dc"}, sent(d, p, false))
	require.FileExists(t, filepath.Join(d.opts.CacheDir, "packed", p.digest+".gz"))
	d.opts.Unpacker = none
	require.Equal(t, []string{"gzip -dc", "cat"}, sent(d, p, true))

	d.opts.Unpacker = func(context.Context, backend.Platform) (string, error) {
		return filepath.Join(t.TempDir(), "none"), nil
	}
	require.ErrorIs(t, d.send(t.Context(), p, nil), azml.ErrUnavailable)
	d.opts.Unpacker = func(context.Context, backend.Platform) (string, error) { return "", azml.ErrDenied }
	require.ErrorIs(t, d.send(t.Context(), p, nil), azml.ErrDenied)
}

// TestProgramsThatAreWrittenTo while they are sent, or packed for that: the pod knows only
// that something is missing.
func TestProgramsThatAreWrittenTo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		unpacker, file string
		gzipless       bool
	}{
		"behind an unpacker": {"unpacker", ".zst", false},
		"by gzip":            {"", ".gz", false},
		"as it is":           {"", "azml", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := sends(t, c.unpacker)
			// send is what becomes of the file when the pod's command ends by a code.
			send := func(shrinks bool) error {
				return d.send(t.Context(), p, func(s *sending) error {
					defer s.Close()
					if c.gzipless && s.unpack != "cat" {
						return fmt.Errorf("%w: exit code %s: ", azml.ErrFailed, noGzipCode)
					}
					if shrinks {
						require.NoError(t, os.Truncate(s.file.Name(), s.program/2))
					}
					_, err := io.Copy(io.Discard, s)
					return errors.Join(fmt.Errorf("%w: exit code 1: ", azml.ErrFailed), err)
				})
			}
			err := send(false)
			require.ErrorIs(t, err, azml.ErrFailed)
			require.NotErrorIs(t, err, azml.ErrConflict)
			err = send(true)
			require.ErrorIs(t, err, azml.ErrConflict)
			require.ErrorContains(t, err, c.file)
		})
	}
	t.Run("before it is packed", func(t *testing.T) {
		t.Parallel()
		d, p := sends(t, "")
		require.NoError(t, os.Truncate(p.file, 1<<10))
		for range 2 {
			_, err := d.packed(p, ".zst", zstdWriter)
			require.ErrorIs(t, err, azml.ErrConflict, "it would be taken for what has that digest")
			require.ErrorContains(t, err, p.file)
		}
	})
}
