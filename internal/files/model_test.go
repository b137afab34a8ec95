package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/stretchr/testify/require"
)

// tree describes a folder: for each path its mode and content or link target.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch d.Type() {
		case fs.ModeSymlink:
			target, err := os.Readlink(p)
			all[rel] = "link " + target
			return err
		case fs.ModeDir:
			all[rel] = "dir"
			return nil
		}
		data, err := os.ReadFile(p)
		sum := sha256.Sum256(data)
		all[rel] = fmt.Sprintf("%v %s", regularMode(info.Mode()), hex.EncodeToString(sum[:]))
		return err
	}))
	return all
}

// mutate changes a folder at random.
func mutate(t *testing.T, rng *rand.Rand, dir string, seed uint64) {
	t.Helper()
	names := []string{"a", "b c", "ünï", "näme\nline", "#x", "-r", "deep/er/x", "deep/y", "'q\"", ".hidden", "a.b/c", "%41", "trail "}
	sizes := []int{0, 1, 100, 4096, 4097, minChunk - 1, minChunk, minChunk + 1, avgChunk, maxChunk + 5, 3 << 20}
	for range 4 {
		name := names[rng.IntN(len(names))]
		p := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.RemoveAll(p))
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		switch rng.IntN(7) {
		case 0: // stays removed
		case 1:
			require.NoError(t, os.Symlink("no/where", p))
		case 2:
			require.NoError(t, os.Mkdir(p, 0o755))
		default:
			mode := []fs.FileMode{0o600, 0o755, 0o644, 0o700}[rng.IntN(4)]
			data := noise(seed+uint64(rng.IntN(3)), sizes[rng.IntN(len(sizes))])
			require.NoError(t, os.WriteFile(p, data, mode))
		}
	}
}

func TestRandomTrees(t *testing.T) {
	t.Parallel()
	local, err := localfs.New(t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, local.Close()) })
	for name, objects := range map[string]backend.Objects{"memory": memory.NewObjects(), "localfs": local} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 1))
			src, cache := t.TempDir(), t.TempDir()
			var ids []string
			trees := map[string]map[string]string{}
			for range 12 {
				mutate(t, rng, src, seed%1000)
				s := New(objects, &Options{CacheDir: cache, Parallel: 1 + rng.IntN(5)}) // reopened each time
				m, _ := saveDir(t, s, src)
				id, err := s.PutManifest(t.Context(), m)
				require.NoError(t, err)
				plain, _ := saveDir(t, New(objects, nil), src)
				require.Equal(t, plain.ID(), id, "the stat cache and the order change nothing")
				ids = append(ids, id)
				trees[id] = tree(t, src)
				if rng.IntN(3) == 0 { // forget some, then clean up
					ids = slices.Delete(ids, 0, rng.IntN(len(ids)))
					_, err := s.Collect(t.Context(), roots(ids...), &CollectOptions{Exclusive: true})
					require.NoError(t, err)
				}
				id = ids[rng.IntN(len(ids))]
				m, err = s.Manifest(t.Context(), id)
				require.NoError(t, err)
				out := t.TempDir()
				require.NoError(t, s.Restore(t.Context(), m, out, nil))
				require.Equal(t, trees[id], tree(t, out))
			}
			report, err := New(objects, nil).Verify(t.Context(), roots(ids...), &VerifyOptions{Deep: true})
			require.NoError(t, err)
			require.Empty(t, report.Damages)
		})
	}
}

func TestReaderAgainstBytes(t *testing.T) {
	t.Parallel()
	s := New(memory.NewObjects(), nil)
	data := append(noise(7, 21<<20), noise(7, 5<<20)...) // more than a pack, with chunks that repeat
	m, _, _ := save(t, s, map[string][]byte{"f": data, "other": noise(8, 100)})
	f, _ := m.Find("f")
	require.Equal(t, digestOf(data).String(), f.Digest)
	r, err := s.Open(t.Context(), f)
	require.NoError(t, err)
	require.EqualValues(t, len(data), r.Size())
	rng := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		off, n := rng.IntN(len(data)+10), rng.IntN(3<<20)
		want := bytes.NewReader(data)
		a, b := make([]byte, n), make([]byte, n)
		wn, werr := want.ReadAt(a, int64(off))
		gn, gerr := r.ReadAt(b, int64(off))
		if n > 0 {
			require.Equal(t, werr, gerr)
		}
		require.Equal(t, wn, gn)
		require.True(t, bytes.Equal(a[:wn], b[:gn]))
	}
	_, err = r.Seek(-100, io.SeekEnd)
	require.NoError(t, err)
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data[len(data)-100:], rest))
	_, err = r.Seek(-1, io.SeekStart)
	require.Error(t, err)
	require.NoError(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestReadingInOrderTakesFewRequests(t *testing.T) {
	t.Parallel()
	objects := newSpy()
	s := New(objects, nil)
	data := noise(9, 32<<20)
	m, _, _ := save(t, s, map[string][]byte{"f": data})
	objects.gets.Store(0)
	r, err := s.Open(t.Context(), m.Files[0])
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.LessOrEqual(t, objects.gets.Load(), int64(7), "one request for 8 MiB, one more at each border of a pack")
}
