package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/stretchr/testify/require"
)

func TestValidPath(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"a", "a/b", ".hidden", "a b", "ü", "...", "a..b/..c", "-", "con", "new\nline"} {
		require.NoError(t, ValidPath(p), p)
	}
	for _, p := range []string{"", ".", "..", "/", "/a", "a/", "a//b", "a/./b", "../a", "a/../b", "a/..", `a\b`, `..\a`, "a\x00", "\xff", strings.Repeat("x", maxPath+1)} {
		requireClass(t, ValidPath(p), azml.ErrInvalid)
	}
}

func TestValidLink(t *testing.T) {
	t.Parallel()
	for _, l := range [][2]string{{"l", "a"}, {"l", "./a"}, {"l", "a/"}, {"d/l", "../a"}, {"d/l", ".."}, {"d/l", "./../a/b"}, {"l", "."}} {
		require.NoError(t, ValidLink(l[0], l[1]), l)
	}
	for _, l := range [][2]string{{"l", ""}, {"l", "/"}, {"l", "/etc/passwd"}, {"l", ".."}, {"l", "../a"}, {"d/l", "../../a"}, {"d/l", "a/../../.."},
		{"d/l", "s/../x"}, {"l", `..\a`}, {"l", "a\x00"}, {"l", ".//etc"}, {"d/l", "..//etc"}, {"l", "./.."}, {"l", "//x"}} {
		requireClass(t, ValidLink(l[0], l[1]), azml.ErrInvalid)
	}
}

func TestHostileManifests(t *testing.T) {
	t.Parallel()
	e := emptyDigest.String()
	file := `{"path":"a","type":"file","digest":"` + e + `"}`
	for name, files := range map[string]string{
		"absolute":        strings.Replace(file, `"a"`, `"/a"`, 1),
		"up":              strings.Replace(file, `"a"`, `"../a"`, 1),
		"double":          file + ",\n" + file,
		"unsorted":        strings.Replace(file, `"a"`, `"b"`, 1) + ",\n" + file,
		"file and folder": file + ",\n" + strings.Replace(file, `"a"`, `"a/b"`, 1),
		"link and folder": `{"path":"a","type":"link","link":"b"},` + "\n" + strings.Replace(file, `"a"`, `"a/b"`, 1),
		"full folder":     `{"path":"a","type":"dir"},` + "\n" + strings.Replace(file, `"a"`, `"a/b"`, 1),
		"link out":        `{"path":"a","type":"link","link":"../b"}`,
		"unknown type":    strings.Replace(file, `"file"`, `"pipe"`, 1),
		"unknown field":   strings.Replace(file, `}`, `,"x":1}`, 1),
		"bad digest":      `{"path":"a","type":"file","digest":"xyz"}`,
		"upper digest":    `{"path":"a","type":"file","digest":"` + strings.ToUpper(e) + `"}`,
		"negative size":   `{"path":"a","type":"file","size":-1,"digest":"` + e + `"}`,
		"huge chunk":      `{"path":"a","type":"file","size":99999999999,"digest":"` + e + `"}`,
		"wrong sum":       `{"path":"a","type":"file","size":3,"digest":"` + e + `","chunks":[{"digest":"` + e + `","size":1},{"digest":"` + e + `","size":1}]}`,
		"overflow":        `{"path":"a","type":"file","size":0,"digest":"` + e + `","chunks":[{"digest":"` + e + `","size":9223372036854775807},{"digest":"` + e + `","size":9223372036854775807}]}`,
		"folder size":     `{"path":"a","type":"dir","size":3}`,
		"file with link":  `{"path":"a","type":"file","digest":"` + e + `","link":"b"}`,
		"spaces":          " " + file,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := memory.NewObjects()
			data := []byte(`{"version":1,"files":[` + "\n" + files + "\n]}\n")
			id := digestOf(data).String()
			_, err := objects.Put(t.Context(), manifestKey(id), content(data), &backend.PutOptions{})
			require.NoError(t, err)
			_, err = New(objects, nil).Manifest(t.Context(), id)
			requireClass(t, err, azml.ErrInvalid)
		})
	}
	_, err := decode([]byte(`{"version":2,"files":[]}`))
	requireClass(t, err, azml.ErrUnsupported)
	_, err = New(memory.NewObjects(), nil).Manifest(t.Context(), "../../x")
	requireClass(t, err, azml.ErrInvalid)
}

func TestRestoreStaysInside(t *testing.T) {
	t.Parallel()
	s := New(memory.NewObjects(), nil)
	m, _, _ := save(t, s, map[string][]byte{"d/f": []byte("new"), "g": []byte("new")})
	for name, tc := range map[string]struct {
		prepare   func(t *testing.T, dir, outside string)
		overwrite bool
		class     error
	}{
		"file is there":           {func(t *testing.T, dir, _ string) { write(t, dir, "g") }, false, azml.ErrExists},
		"file is replaced":        {func(t *testing.T, dir, _ string) { write(t, dir, "g") }, true, nil},
		"folder in place of file": {func(t *testing.T, dir, _ string) { write(t, dir, "g/x") }, true, azml.ErrExists},
		"file in place of folder": {func(t *testing.T, dir, _ string) { write(t, dir, "d") }, true, azml.ErrExists},
		"folder is a link out": {func(t *testing.T, dir, outside string) {
			require.NoError(t, os.Symlink(outside, filepath.Join(dir, "d")))
		}, true, azml.ErrExists},
		"folder is a link inside": {func(t *testing.T, dir, _ string) {
			require.NoError(t, os.Symlink(".", filepath.Join(dir, "d")))
		}, true, azml.ErrExists},
		"file is a link out": {func(t *testing.T, dir, outside string) {
			require.NoError(t, os.Symlink(filepath.Join(outside, "f"), filepath.Join(dir, "g")))
		}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, outside := t.TempDir(), t.TempDir()
			write(t, outside, "f")
			tc.prepare(t, dir, outside)
			before := tree(t, dir)
			err := s.Restore(t.Context(), m, dir, &RestoreOptions{Overwrite: tc.overwrite})
			data, readErr := os.ReadFile(filepath.Join(outside, "f"))
			require.NoError(t, readErr)
			require.Equal(t, "old", string(data))
			require.Len(t, tree(t, outside), 1)
			if tc.class != nil {
				requireClass(t, err, tc.class)
				require.Equal(t, before, tree(t, dir))
				return
			}
			require.NoError(t, err)
			data, readErr = os.ReadFile(filepath.Join(dir, "g"))
			require.NoError(t, readErr)
			require.Equal(t, "new", string(data))
		})
	}
}

func write(t *testing.T, dir, path string) {
	t.Helper()
	p := filepath.Join(dir, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
	require.NoError(t, os.WriteFile(p, []byte("old"), 0o644))
}

func FuzzManifest(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil {
			require.NotNil(t, azml.ClassOf(err))
			return
		}
		require.NoError(t, m.Validate())
		require.Equal(t, digestOf(data).String(), m.ID())
		for _, f := range m.Files {
			require.True(t, filepath.IsLocal(f.Path))
			if f.Mode == ModeLink {
				require.True(t, filepath.IsLocal(filepath.Join(filepath.Dir(f.Path), f.Link)))
			}
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if packs, err := decodeIndex(data); err == nil {
			require.Equal(t, data, encodeIndex(packs))
		}
		if len(data) >= trailerSize {
			if size, err := directorySize(data[len(data)-trailerSize:]); err == nil && size <= int64(len(data)) {
				_, _ = parseDirectory(packID{}, data[int64(len(data))-size:])
			}
		}
	})
}
