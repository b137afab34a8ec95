package kubernetes

import (
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
)

// TestProgramsThatAreWrittenTo while they are sent, or packed for that: the pod knows only
// that something is missing.
func TestProgramsThatAreWrittenTo(t *testing.T) {
	t.Parallel()
	content := make([]byte, 1<<20)
	sum := sha256.Sum256(content)
	for name, near := range map[string]bool{"azml": true, ".gz": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &Driver{cluster: &cluster{near: near}, opts: Options{CacheDir: t.TempDir()}}
			p := program{file: filepath.Join(t.TempDir(), "azml"), digest: hex.EncodeToString(sum[:])}
			require.NoError(t, os.WriteFile(p.file, content, 0o600))
			// send is what becomes of the file when the pod's command ends by a code.
			send := func(shrinks bool) error {
				return d.open(p, func(f io.ReadCloser, size int64, _ string) error {
					if shrinks {
						require.NoError(t, os.Truncate(f.(*sending).file.Name(), size/2))
					}
					_, err := io.Copy(io.Discard, f)
					return errors.Join(fmt.Errorf("%w: exit code 1: ", azml.ErrFailed), err, f.Close())
				})
			}
			require.ErrorIs(t, send(false), azml.ErrFailed)
			err := send(true)
			require.ErrorIs(t, err, azml.ErrConflict)
			require.ErrorContains(t, err, name)
		})
	}
	t.Run("before it is packed", func(t *testing.T) {
		t.Parallel()
		d := &Driver{cluster: &cluster{}, opts: Options{CacheDir: t.TempDir()}}
		p := program{file: filepath.Join(t.TempDir(), "azml"), digest: hex.EncodeToString(sum[:])}
		require.NoError(t, os.WriteFile(p.file, content[1:], 0o600))
		for range 2 {
			_, err := d.packed(p)
			require.ErrorIs(t, err, azml.ErrConflict, "it would be taken for what has that digest")
			require.ErrorContains(t, err, p.file)
		}
	})
}
