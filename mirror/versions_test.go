package mirror_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

// versioned is how versions of a kind are made: of "v", with files that have a text.
type versioned struct {
	add    func(t testing.TB, ws *workspace.Workspace, text string)
	edit   func(t testing.TB, ws *workspace.Workspace, description string) // version 1
	remove func(t testing.TB, ws *workspace.Workspace)                     // version 1
	tally  func(r *mirror.Report) mirror.Tally
}

var versionedKinds = map[string]versioned{
	"model": {
		add: func(t testing.TB, ws *workspace.Workspace, text string) {
			t.Helper()
			file := filepath.Join(t.TempDir(), "model")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			_, err := ws.Models().Register(t.Context(), "v", file, nil)
			require.NoError(t, err)
		},
		edit: func(t testing.TB, ws *workspace.Workspace, description string) {
			t.Helper()
			m, err := ws.Models().Get(t.Context(), "v", 1, nil)
			require.NoError(t, err)
			_, err = m.Update(t.Context(), model.Update{Description: &description})
			require.NoError(t, err)
		},
		remove: func(t testing.TB, ws *workspace.Workspace) {
			t.Helper()
			require.NoError(t, ws.Models().Delete(t.Context(), "v", 1, nil))
		},
		tally: func(r *mirror.Report) mirror.Tally { return r.Versions },
	},
	"dataset": {
		add: func(t testing.TB, ws *workspace.Workspace, text string) {
			t.Helper()
			put(t, ws, "raw/"+text, text)
			register(t, ws, "v", "raw/"+text)
		},
		edit: func(t testing.TB, ws *workspace.Workspace, description string) {
			t.Helper()
			d, err := ws.Datasets().Get(t.Context(), "v", 1, nil)
			require.NoError(t, err)
			_, err = d.Update(t.Context(), dataset.Update{Description: &description})
			require.NoError(t, err)
		},
		remove: func(t testing.TB, ws *workspace.Workspace) {
			t.Helper()
			require.NoError(t, ws.Datasets().Unregister(t.Context(), "v", 1, nil))
		},
		tally: func(r *mirror.Report) mirror.Tally { return r.Datasets },
	},
}

// eachVersioned tests something with models and datasets, between two workspaces
// of which the first one's objects are given.
func eachVersioned(t *testing.T, test func(t *testing.T, kind versioned, objects backend.Objects, cloud, laptop *workspace.Workspace)) {
	t.Helper()
	t.Parallel()
	for name, kind := range versionedKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := memory.NewObjects()
			test(t, kind, objects, created(t, "cloud", objects), created(t, "laptop", memory.NewObjects()))
		})
	}
}

// onward syncs into one workspace more, which must get all.
func onward(t testing.TB, src *workspace.Workspace) {
	t.Helper()
	sound(t, src)
	third := created(t, "third", memory.NewObjects())
	clean(t, third, src)
}

// TestSourceComesWithItsFiles: a version that takes the place of another one, by a
// decision or because that was decided elsewhere, has its files.
func TestSourceComesWithItsFiles(t *testing.T) {
	eachVersioned(t, func(t *testing.T, kind versioned, _ backend.Objects, cloud, laptop *workspace.Workspace) {
		kind.add(t, cloud, "cloud")
		other := created(t, "other", memory.NewObjects())
		clean(t, other, cloud)
		kind.add(t, laptop, "laptop")
		report := synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferSource})
		require.Equal(t, mirror.Tally{Updated: 1}, kind.tally(report))
		require.Empty(t, report.Open())
		require.Positive(t, report.ChunkBytes)
		onward(t, cloud)
		require.Zero(t, clean(t, cloud, laptop).Changes())
		synced(t, other, cloud, &mirror.Options{Resolve: mirror.PreferSource})
		sound(t, other)
	})
}

// TestSourceBringsDeletedFilesBack: a version comes again whose files were
// collected meanwhile.
func TestSourceBringsDeletedFilesBack(t *testing.T) {
	eachVersioned(t, func(t *testing.T, kind versioned, _ backend.Objects, cloud, laptop *workspace.Workspace) {
		kind.add(t, laptop, "laptop")
		clean(t, cloud, laptop)
		kind.remove(t, cloud)
		for range 2 {
			_, err := cloud.GC(t.Context(), &workspace.GCOptions{Exclusive: true})
			require.NoError(t, err)
		}
		kind.edit(t, laptop, "of use after all")
		require.Len(t, synced(t, cloud, laptop, nil).Open(), 1)
		synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferSource})
		onward(t, cloud)
	})
}

// TestVerifyBringsMissingFiles: a version whose files are gone in the destination
// gets them.
func TestVerifyBringsMissingFiles(t *testing.T) {
	eachVersioned(t, func(t *testing.T, kind versioned, objects backend.Objects, cloud, laptop *workspace.Workspace) {
		kind.add(t, laptop, "laptop")
		clean(t, cloud, laptop)
		gone := 0
		for info, err := range objects.List(t.Context(), &backend.ListOptions{Prefix: "files/manifests/"}) {
			require.NoError(t, err)
			require.NoError(t, objects.Delete(t.Context(), info.Key, &backend.DeleteOptions{}))
			gone++
		}
		require.Equal(t, 1, gone)
		require.Equal(t, mirror.Tally{Updated: 1}, kind.tally(synced(t, cloud, laptop, &mirror.Options{Verify: true, DryRun: true})))
		require.Equal(t, mirror.Tally{Updated: 1}, kind.tally(synced(t, cloud, laptop, &mirror.Options{Verify: true})))
		onward(t, cloud)
		require.Equal(t, mirror.Tally{Unchanged: 1}, kind.tally(synced(t, cloud, laptop, &mirror.Options{Verify: true})))
	})
}

// TestSourceNeverLosesItsOwn: the number that a version of the source would take
// is that of another one of the source, so the decision changes nothing.
func TestSourceNeverLosesItsOwn(t *testing.T) {
	eachVersioned(t, func(t *testing.T, kind versioned, _ backend.Objects, cloud, laptop *workspace.Workspace) {
		both := func(mirror.Conflict) mirror.Choice { return mirror.Both }
		kind.add(t, cloud, "cloud")
		kind.add(t, laptop, "first")
		synced(t, cloud, laptop, &mirror.Options{Resolve: both}) // the first is 2 there
		kind.add(t, laptop, "second")
		report := synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferSource})
		require.Len(t, report.Open(), 1)
		require.Contains(t, report.Open()[0].Reason, "the number is that of version 1 of laptop")
		require.Equal(t, mirror.Tally{Created: 1, Unchanged: 2}, kind.tally(synced(t, cloud, laptop, &mirror.Options{Resolve: both})))
		onward(t, cloud)
	})
}
