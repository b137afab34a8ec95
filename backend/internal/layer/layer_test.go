//go:build linux

package layer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// entries reads a layer.
func entries(t *testing.T, layer []byte) map[string]string {
	packed, err := gzip.NewReader(bytes.NewReader(layer))
	require.NoError(t, err)
	found := map[string]string{}
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		found[h.Name] = string(h.Typeflag) + ":" + h.Linkname + ":" + string(data)
	}
}

// TestChanges adds, changes and removes files of all kinds, and leaves others.
func TestChanges(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	for _, name := range []string{"same", "changed", "restored", "owned", "gone", "dir/gone", "tree/a/b/c", "replaced/old", "skipped/x"} {
		write(name, "old")
	}
	skipped := filepath.Join(root, "skipped")
	before, err := Take(root, skipped)
	require.NoError(t, err)
	then := time.Now().Add(-time.Hour)
	write("changed", "new")
	write("restored", "new") // its time is the old one's again
	require.NoError(t, os.Chtimes(filepath.Join(root, "restored"), then, then))
	require.NoError(t, os.Chmod(filepath.Join(root, "owned"), 0o640))
	for _, name := range []string{"gone", "dir/gone", "tree", "replaced"} {
		require.NoError(t, os.RemoveAll(filepath.Join(root, name)))
	}
	write("replaced/new", "new")
	write("skipped/x", "new")
	write("tool", "#!")
	require.NoError(t, os.Link(filepath.Join(root, "tool"), filepath.Join(root, "tool-again")))
	require.NoError(t, os.Symlink("tool", filepath.Join(root, "link")))
	l, err := net.Listen("unix", filepath.Join(root, "socket"))
	require.NoError(t, err)
	defer l.Close()
	after, err := Take(root, skipped)
	require.NoError(t, err)
	var layer bytes.Buffer
	require.NoError(t, WriteChanges(&layer, before, after))
	require.Equal(t, map[string]string{
		"changed": "0::new", "restored": "0::new", "owned": "0::old", "tool": "0::#!", "tool-again": "1:tool:", "link": "2:tool:",
		"dir/": "5::", "replaced/": "5::", "replaced/new": "0::new",
		".wh.gone": "0::", "dir/.wh.gone": "0::", ".wh.tree": "0::", "replaced/.wh.old": "0::",
	}, entries(t, layer.Bytes()))
	layer.Reset()
	require.NoError(t, WriteChanges(&layer, after, after))
	require.Empty(t, entries(t, layer.Bytes()))
}

// TestRun has scripts that fail, and one whose layer nobody takes.
func TestRun(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "socket")
	var out bytes.Buffer
	code, err := Run(t.Context(), "cat; echo err >&2; exit 3", socket, []string{"/proc", "/home", "/root", "/tmp", "/usr", "/var"}, bytes.NewReader([]byte("in\n")), &out)
	require.NoError(t, err)
	require.Equal(t, 3, code)
	require.Equal(t, "in\nerr\n", out.String())
	_, err = Run(t.Context(), "true", socket, []string{"/proc", "/home", "/root", "/tmp", "/usr", "/var"}, bytes.NewReader(nil), io.Discard)
	require.Error(t, err, "nobody listens")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Run(ctx, "true", socket, []string{"/proc", "/home", "/root", "/tmp", "/usr", "/var"}, bytes.NewReader(nil), io.Discard)
	require.Error(t, err)
}
