package mount_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/mount"
	"github.com/azml-go/azml/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noted notes what it is told.
type noted struct {
	mu   sync.Mutex
	told []string
}

func (n *noted) tell(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, name)
}

func (n *noted) fail(name string, err error) { n.tell(name + ": " + err.Error()) }

func (n *noted) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.told...)
}

// need skips a test where nothing can be mounted.
func need(t *testing.T, m *mount.Mounted, err error) *mount.Mounted {
	t.Helper()
	if errors.Is(err, azml.ErrUnsupported) {
		testenv.Skip(t, testenv.AbilityMount, err.Error())
	}
	require.NoError(t, err)
	return m
}

// broken is a tree with a file that can't be read.
type broken struct{ fstest.MapFS }

func (b broken) Open(name string) (fs.File, error) {
	if name == "broken" {
		return nil, errors.New("the store is out")
	}
	return b.MapFS.Open(name)
}

func TestRead(t *testing.T) {
	t.Parallel()
	modified := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	big := strings.Repeat("0123456789abcdef", 1<<16)
	tree := broken{fstest.MapFS{
		"a.txt":         {Data: []byte("one"), ModTime: modified, Mode: 0o444},
		"empty":         {Mode: 0o444},
		"broken":        {Data: []byte("x"), Mode: 0o444},
		"b/c/d e.bin":   {Data: []byte(big), Mode: 0o444},
		"b/ünïcode.txt": {Data: []byte("ü"), Mode: 0o444},
	}}
	dir, said := filepath.Join(t.TempDir(), "with space"), &noted{}
	m, err := mount.Read(dir, tree, said.fail)
	m = need(t, m, err)
	defer func() { require.NoError(t, m.Close()) }()

	var found []string
	require.NoError(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			found = append(found, rel)
		}
		return err
	}))
	require.Equal(t, []string{"a.txt", "b/c/d e.bin", "b/ünïcode.txt", "broken", "empty"}, found)
	for name, want := range map[string]string{"a.txt": "one", "empty": "", "b/c/d e.bin": big} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err, name)
		require.True(t, want == string(data), name)
	}
	file, err := os.Open(filepath.Join(dir, "b/c/d e.bin"))
	require.NoError(t, err)
	part := make([]byte, 20)
	_, err = file.ReadAt(part, 1<<19+3)
	require.NoError(t, err)
	require.Equal(t, big[1<<19+3:1<<19+23], string(part))
	require.NoError(t, file.Close())
	info, err := os.Stat(filepath.Join(dir, "a.txt"))
	require.NoError(t, err)
	require.True(t, modified.Equal(info.ModTime()))
	require.Equal(t, int64(3), info.Size())

	_, err = os.ReadFile(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Error(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o600))
	require.Error(t, os.WriteFile(filepath.Join(dir, "a.txt"), []byte("two"), 0o600))
	require.Error(t, os.RemoveAll(dir), "what is mounted can't be removed")
	require.Empty(t, said.all())
	_, err = os.ReadFile(filepath.Join(dir, "broken"))
	require.Error(t, err)
	require.Equal(t, []string{"broken: the store is out"}, said.all())
}

func TestWrite(t *testing.T) {
	t.Parallel()
	from, dir, said := t.TempDir(), filepath.Join(t.TempDir(), "out"), &noted{}
	m, err := mount.Write(dir, from, said.tell)
	m = need(t, m, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/b/one"), []byte("1"), 0o600))
	require.Eventually(t, func() bool { return len(said.all()) == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, []string{"a/b/one"}, said.all())
	require.NoError(t, os.Rename(filepath.Join(dir, "a/b/one"), filepath.Join(dir, "two")))
	require.NoError(t, m.Close())
	data, err := os.ReadFile(filepath.Join(from, "two"))
	require.NoError(t, err)
	require.Equal(t, "1", string(data))
	require.NoFileExists(t, filepath.Join(dir, "two"), "nothing is mounted any more")
}

func TestDetach(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	m, err := mount.Read(filepath.Join(base, "in"), fstest.MapFS{"a": {Data: []byte("1")}}, func(string, error) {})
	m = need(t, m, err)
	// A process that serves a mount can't itself start another in it: between fork
	// and exec nothing else of it may run.
	user := exec.Command("sh", "-c", `cd "$1" && echo there && exec sleep 60`, "sh", filepath.Join(base, "in"))
	out, err := user.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, user.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, m.Close(), "also while a process is in it")
	require.NoFileExists(t, filepath.Join(base, "in", "a"))
	require.NoError(t, user.Process.Kill())
	_ = user.Wait() // it was killed
	require.NoError(t, mount.Detach(base), "of nothing")
	require.NoError(t, os.RemoveAll(base))
}
