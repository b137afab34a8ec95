package program

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDigest: a file that was replaced is read again.
func TestDigest(t *testing.T) {
	t.Parallel()
	var f Finder
	path := filepath.Join(t.TempDir(), "azml")
	for _, content := range []string{"first", "first", "another one"} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		file, err := os.Open(path)
		require.NoError(t, err)
		got, err := f.Digest(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		want := sha256.Sum256([]byte(content))
		require.Equal(t, hex.EncodeToString(want[:]), got)
	}
}
