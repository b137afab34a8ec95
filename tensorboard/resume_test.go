package tensorboard_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/tensorboard"
)

// steps gives the steps of a scalar's values in a folder's event files.
func steps(t *testing.T, dir, tag string) []int64 {
	t.Helper()
	var out []int64
	for _, path := range eventFiles(t, dir) {
		file, err := os.Open(path)
		require.NoError(t, err)
		records := tfevents.NewReader(file)
		for {
			data, err := records.Next()
			if err != nil {
				break
			}
			e, err := tfevents.Parse(data)
			require.NoError(t, err)
			for _, v := range e.Values {
				if v.Tag == tag {
					out = append(out, e.Step)
				}
			}
		}
		require.NoError(t, file.Close())
	}
	return out
}

func eventFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	require.NoError(t, err)
	slices.Sort(files)
	return files
}

func numbers(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

// A file is cut anywhere, as by a machine that stopped, also between the values
// of one list, and the export goes on.
func TestExportGoesOnAfterAnyCut(t *testing.T) {
	t.Parallel()
	ws := open(t)
	r := start(t, ws, nil)
	for i := range 3 {
		require.NoError(t, r.Log("loss", 1.0, at(i)))
		require.NoError(t, r.LogList("list", []int{1, 2, 3}, at(i)))
	}
	require.NoError(t, r.Flush(t.Context()))
	file := eventFiles(t, export(t, t.TempDir(), r, nil).Dir)[0]
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	cuts := []int{}
	for records := tfevents.NewReader(bytes.NewReader(whole)); err == nil; _, err = records.Next() {
		at := int(records.Offset())
		cuts = append(cuts, at, at+3, at+11, at+12, at+20) // its header and data
	}
	require.Len(t, cuts, 5*(1+1+12))
	for _, cut := range cuts {
		if cut > len(whole) {
			continue
		}
		dir := t.TempDir()
		folder := filepath.Join(dir, filepath.Base(filepath.Dir(file)))
		write(t, filepath.Join(folder, filepath.Base(file)), whole[:cut])
		require.Equal(t, folder, export(t, dir, r, nil).Dir)
		require.Equal(t, numbers(3), steps(t, folder, "loss"), "cut at %d", cut)
		require.Equal(t, numbers(9), steps(t, folder, "list"), "cut at %d", cut)
	}
}

// Values of two processes, whose order isn't the same in each reading, are each
// written once.
func TestExportOfSeveralWriters(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	first, second := reopen(t, home), reopen(t, home)
	r := start(t, first, &experiment.RunOptions{RunID: "two"})
	other := get(t, second, "two")
	for round := range 4 {
		for i := range 10 {
			n := round*20 + 2*i
			require.NoError(t, r.Log("loss", 1.0, at(n)))
			require.NoError(t, other.Log("loss", 1.0, at(n+1)))
		}
		export(t, dir, r, nil)
	}
	require.NoError(t, other.Flush(t.Context()))
	require.NoError(t, r.Complete(t.Context()))
	done := export(t, dir, r, nil)
	require.Zero(t, done.Values)
	got := steps(t, done.Dir, "loss")
	slices.Sort(got)
	require.Equal(t, numbers(80), got)
}

func TestExportKeepsOneOfEvery(t *testing.T) {
	t.Parallel()
	ws := open(t)
	r := start(t, ws, nil)
	dir := t.TempDir()
	log := func(from, to int) {
		for i := from; i < to; i++ {
			require.NoError(t, r.Log("loss", 1.0, at(i)))
		}
	}
	log(0, 25)
	opts := &tensorboard.ExportOptions{Every: 10}
	require.EqualValues(t, 3, export(t, dir, r, opts).Values)
	log(25, 41)
	done := export(t, dir, r, opts)
	require.Equal(t, []int64{0, 10, 20, 30, 40}, steps(t, done.Dir, "loss"))
}

func TestExportFolders(t *testing.T) {
	t.Parallel()
	ws := open(t)
	dir := t.TempDir()
	long := strings.Repeat("x", 256)
	for name, tt := range map[string]struct{ id, display, want string }{
		"display name": {"id-1", "lr=0.1, adam", "lr=0.1, adam.id-1"},
		"no name":      {"id-2", "", ".id-2"},
		"path":         {"id-3", "../../etc/passwd", "_.._etc_passwd.id-3"},
		"letters":      {"id-4", "größe 学习", "größe 学习.id-4"},
		"no letters":   {"id-5", "..", "run.id-5"},
		"long name":    {"id-6", strings.Repeat("é", 200), strings.Repeat("é", 50) + ".id-6"},
		"long ID":      {long, "n", "n." + strings.Repeat("x", 83) + "-"},
	} {
		r := start(t, ws, &experiment.RunOptions{RunID: tt.id, DisplayName: tt.display})
		done := export(t, dir, r, nil)
		require.Contains(t, filepath.Base(done.Dir), tt.want, name)
		require.LessOrEqual(t, len(filepath.Base(done.Dir)), 255, name)
		renamed := "renamed"
		require.NoError(t, r.Update(t.Context(), run.Update{DisplayName: &renamed}))
		require.Equal(t, done.Dir, export(t, dir, r, nil).Dir, name)
	}
}

func TestExportRefusesWhatItDidNotWrite(t *testing.T) {
	t.Parallel()
	ws := open(t)
	r := start(t, ws, nil)
	require.NoError(t, r.Log("loss", 1.0, nil))
	dir := t.TempDir()
	done := export(t, dir, r, nil)
	path := eventFiles(t, done.Dir)[0]
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		"damaged": append([]byte("x"), whole[1:]...),
		"foreign": append(header(), scalarEvents(0, 2)...),
	} {
		write(t, path, content)
		_, err := tensorboard.Export(t.Context(), []*run.Run{r}, dir, nil)
		require.ErrorIs(t, err, azml.ErrDamaged, name)
		require.ErrorContains(t, err, path, name)
	}
	_, err = tensorboard.Export(t.Context(), []*run.Run{r}, dir, &tensorboard.ExportOptions{Every: -1})
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = tensorboard.Export(t.Context(), []*run.Run{r}, path, nil)
	require.Error(t, err)
}
