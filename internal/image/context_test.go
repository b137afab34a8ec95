package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/testenv"
)

// folder makes a folder of files by their paths: "x!" may be executed, "x@" is a link.
func folder(t *testing.T, content map[string]string) string {
	dir := t.TempDir()
	for name, text := range content {
		file := filepath.Join(dir, strings.TrimRight(name, "!@"))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		switch {
		case strings.HasSuffix(name, "@"):
			require.NoError(t, os.Symlink(text, file))
		case strings.HasSuffix(name, "!"):
			require.NoError(t, os.WriteFile(file, []byte(text), 0o755))
		default:
			require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		}
	}
	return dir
}

// sent gives the paths of what would be sent of the folder.
func sent(t *testing.T, dir, dockerfile string) []string {
	f, err := ScanFolder(dir, dockerfile)
	require.NoError(t, err)
	var paths []string
	for _, one := range f.found {
		paths = append(paths, one.Path)
	}
	return paths
}

func TestScanFolder(t *testing.T) {
	t.Parallel()
	content := map[string]string{"Dockerfile": "FROM x", "a.txt": "a", "data/big.bin": "b", "data/keep.txt": "k", "docker/Other": "FROM y",
		"src/run.sh!": "r", "src/link@": "run.sh", "deep/er/x.log": "l"}
	for name, c := range map[string]struct {
		ignored, dockerfile, want string
	}{
		"all":                       {"", "Dockerfile", ".dockerignore Dockerfile a.txt data/big.bin data/keep.txt deep/er/x.log docker/Other empty src/link src/run.sh"},
		"a folder, and one of it":   {"data\n!data/keep.txt\nempty", "Dockerfile", ".dockerignore Dockerfile a.txt data/keep.txt deep/er/x.log docker/Other src/link src/run.sh"},
		"at any depth":              {"**/*.log\ndata\nempty\n# comment", "Dockerfile", ".dockerignore Dockerfile a.txt deep/er docker/Other src/link src/run.sh"},
		"all but one":               {"*\n!src/run.sh", "Dockerfile", ".dockerignore Dockerfile src/run.sh"},
		"the Dockerfile's folder":   {"*", "docker/Other", ".dockerignore docker/Other"},
		"the Dockerfile, deep":      {"deep", "deep/er/x.log", ".dockerignore Dockerfile a.txt data/big.bin data/keep.txt deep/er/x.log docker/Other empty src/link src/run.sh"},
		"what the engine must have": {"Dockerfile\n.dockerignore\ndata\nsrc\nempty\ndeep", "Dockerfile", ".dockerignore Dockerfile a.txt docker/Other"},
	} {
		dir := folder(t, content)
		require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ignoreFile), []byte(c.ignored), 0o644))
		l, err := net.Listen("unix", filepath.Join(dir, "socket"))
		if err == nil { // paths of sockets are short
			t.Cleanup(func() { _ = l.Close() })
		}
		require.Equal(t, c.want, strings.Join(sent(t, dir, c.dockerfile), " "), name)
	}
}

// TestFolderHash: all that is sent counts, and nothing else.
func TestFolderHash(t *testing.T) {
	t.Parallel()
	base := map[string]string{"Dockerfile": "FROM x", "a": "1", "l@": "a", ".dockerignore": "*.log"}
	hash := func(change map[string]string) string {
		content := map[string]string{}
		for name, text := range base {
			content[name] = text
		}
		for name, text := range change {
			if delete(content, strings.TrimRight(name, "!@")); text != "" {
				content[name] = text
			}
		}
		f, err := ScanFolder(folder(t, content), "Dockerfile")
		require.NoError(t, err)
		return f.Hash()
	}
	same := hash(nil)
	require.Equal(t, same, hash(map[string]string{"x.log": "ignored"}))
	seen := map[string]bool{same: true}
	for _, change := range []map[string]string{{"a": "2"}, {"a!": "1"}, {"b": "1"}, {"a": ""}, {"l@": "b"}, {"Dockerfile": "FROM y"}} {
		h := hash(change)
		require.False(t, seen[h], "%v", change)
		seen[h] = true
	}
}

func TestScanFolderRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content    map[string]string
		dockerfile string
		class      error
	}{
		"no Dockerfile":  {map[string]string{"a": "1"}, "Dockerfile", azml.ErrNotFound},
		"a folder":       {map[string]string{"d/a": "1"}, "d", azml.ErrNotFound},
		"out of it":      {map[string]string{"Dockerfile": "FROM x"}, "../Dockerfile", azml.ErrNotFound},
		"link out of it": {map[string]string{"Dockerfile": "FROM x", "l@": "../../etc/passwd"}, "Dockerfile", azml.ErrInvalid},
		"absolute link":  {map[string]string{"Dockerfile": "FROM x", "l@": "/etc/passwd"}, "Dockerfile", azml.ErrInvalid},
		"bad patterns":   {map[string]string{"Dockerfile": "FROM x", ".dockerignore": "a[", "a": "1"}, "Dockerfile", azml.ErrInvalid},
	} {
		_, err := ScanFolder(folder(t, c.content), c.dockerfile)
		require.ErrorIs(t, err, c.class, name)
	}
	_, err := ScanFolder(filepath.Join(t.TempDir(), "missing"), "Dockerfile")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestStoreFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"Dockerfile": "FROM x", "s/run!": "r", "s/l@": "run", "big": strings.Repeat("0123456789", 200_000)})
	store := files.New(memory.NewObjects(), nil)
	f, err := ScanFolder(dir, "Dockerfile")
	require.NoError(t, err)
	id, err := f.Store(t.Context(), store)
	require.NoError(t, err)
	m, err := store.Manifest(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, f.Hash(), ContextHash(m))

	var first, second bytes.Buffer
	require.NoError(t, writeTar(t.Context(), &first, store, m))
	require.NoError(t, writeTar(t.Context(), &second, store, m))
	require.Equal(t, first.Bytes(), second.Bytes())
	said := ""
	for r := tar.NewReader(&first); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		said += fmt.Sprintf("%s %o %d %s\n", h.Name, h.Mode, h.Size, h.Linkname)
	}
	require.Equal(t, "Dockerfile 644 6 \nbig 644 2000000 \ns/l 777 0 run\ns/run 755 1 \n", said)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "s", "run"), []byte("s"), 0o755))
	_, err = f.Store(t.Context(), store)
	require.ErrorIs(t, err, azml.ErrConflict)
}

// TestBuildFolder has the engine make an image of a folder.
func TestBuildFolder(t *testing.T) {
	t.Parallel()
	d := open(t)
	store := files.New(memory.NewObjects(), nil)
	dir := folder(t, map[string]string{"docker/Dockerfile": "FROM " + testenv.DockerImage + "\nCOPY . /context\nRUN /context/tool > /said\n",
		"tool!": "#!/bin/sh\necho tool says", "words.txt": "words", "secret.key": "k", "sub/l@": "../words.txt", ignoreFile: "*.key\ndocker\n" + ignoreFile})
	environmentOf := func() record.Environment {
		f, err := ScanFolder(dir, "docker/Dockerfile")
		require.NoError(t, err)
		id, err := f.Store(t.Context(), store)
		require.NoError(t, err)
		return record.Environment{Python: record.Python(pyenv.Spec{}), Hash: f.Hash(), Docker: record.Docker{
			BuildContext: &record.BuildContext{Files: id, Hash: f.Hash(), Dockerfile: "docker/Dockerfile"}}}
	}
	env := environmentOf()
	var log bytes.Buffer
	made, err := Build(t.Context(), d, env, store, &log)
	require.NoError(t, err, log.String())
	t.Cleanup(func() { require.NoError(t, d.RemoveImage(context.Background(), made.Hash)) })
	require.False(t, made.Reused)
	require.Equal(t, "tool says\n ['sub/l', 'tool', 'words.txt'] words\n", says(t, d, made, `
import glob, os
os.chdir("/context")
found = sorted(p for p in glob.glob("**", recursive=True) if not os.path.isdir(p))
print(open("/said").read(), found, open("sub/l").read())`))

	again, err := Build(t.Context(), d, environmentOf(), store, io.Discard)
	require.NoError(t, err)
	require.True(t, again.Reused, "the same content is the same image")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret.key"), []byte("another"), 0o600))
	require.Equal(t, env.Hash, environmentOf().Hash)

	env.Docker.BuildContext.Files, env.Hash = strings.Repeat("0", 64), "other"
	_, err = Build(t.Context(), d, env, store, io.Discard)
	require.ErrorIs(t, err, azml.ErrNotFound, "what is not in the store can't be sent")
}
