package mirror_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

// put writes a file of the workspace's own datastore.
func put(t testing.TB, ws *workspace.Workspace, path, text string) {
	t.Helper()
	own, err := ws.Datastores().Get(t.Context(), datastore.OwnName, nil)
	require.NoError(t, err)
	_, err = own.Write(t.Context(), path, strings.NewReader(text), &datastore.WriteOptions{Overwrite: true})
	require.NoError(t, err)
}

// got reads a file of the workspace's own datastore.
func got(t testing.TB, ws *workspace.Workspace, path string) string {
	t.Helper()
	own, err := ws.Datastores().Get(t.Context(), datastore.OwnName, nil)
	require.NoError(t, err)
	r, err := own.Open(t.Context(), path, nil)
	require.NoError(t, err)
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(data)
}

// register registers a dataset of a file of the own datastore.
func register(t testing.TB, ws *workspace.Workspace, name, path string) *dataset.Dataset {
	t.Helper()
	d, err := ws.Datasets().FromFiles(t.Context(), []dataset.Path{{Datastore: datastore.OwnName, Path: path}}, nil)
	require.NoError(t, err)
	d, err = d.Register(t.Context(), name, &dataset.RegisterOptions{CreateNewVersion: true, Digests: true})
	require.NoError(t, err)
	return d
}

// lake is a datastore with credentials.
func lake(container string) datastore.Blob {
	return datastore.Blob{Account: "contoso", Container: container, AccountKey: "c2VjcmV0c2VjcmV0"}
}

// withLakes opens a workspace that can have such datastores.
func withLakes(t testing.TB, name string) (*workspace.Workspace, backend.Objects) {
	t.Helper()
	objects := memory.NewObjects()
	ws, err := workspace.Create(t.Context(), workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), Name: name, CacheDir: t.TempDir(),
		Datastores: []backend.DatastoreDriver{azureblob.Driver{}}})
	require.NoError(t, err)
	closed(t, ws)
	return ws, objects
}

// TestDatastores brings datastores without their credentials. Those that the
// destination has are not sent to another place than they are for.
func TestDatastores(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	laptop, _ := withLakes(t, "laptop")
	cloud, objects := withLakes(t, "cloud")
	opts := &datastore.RegisterOptions{SkipValidation: true, Overwrite: true, Tags: map[string]string{"team": "risk"}}
	_, err := laptop.Datastores().Register(ctx, "lake", lake("raw"), opts)
	require.NoError(t, err)
	has := func() bool {
		d, err := cloud.Datastores().Get(ctx, "lake", nil)
		require.NoError(t, err)
		return d.Details().HasCredentials
	}

	report := clean(t, cloud, laptop)
	require.Equal(t, mirror.Tally{Created: 1}, report.Datastores)
	require.Equal(t, []string{"lake"}, report.MissingCredentials)
	require.Empty(t, report.MissingSecrets)
	require.False(t, has())
	for info, err := range objects.List(ctx, &backend.ListOptions{}) {
		require.NoError(t, err)
		object, err := objects.Get(ctx, info.Key, &backend.GetOptions{})
		require.NoError(t, err)
		data, err := io.ReadAll(object.Body)
		require.NoError(t, err)
		require.NotContains(t, string(data), string(lake("raw").AccountKey), info.Key)
	}

	_, err = cloud.Datastores().Register(ctx, "lake", lake("raw"), opts)
	require.NoError(t, err)
	require.Empty(t, clean(t, cloud, laptop).MissingCredentials)
	require.True(t, has(), "what was registered here is the later state")
	clean(t, laptop, cloud) // the two know each other's states
	opts.Tags = nil
	_, err = laptop.Datastores().Register(ctx, "lake", lake("raw"), opts)
	require.NoError(t, err)
	clean(t, cloud, laptop)
	require.True(t, has(), "the same place")
	_, err = laptop.Datastores().Register(ctx, "lake", lake("elsewhere"), opts)
	require.NoError(t, err)
	require.Equal(t, []string{"lake"}, clean(t, cloud, laptop).MissingCredentials)
	require.False(t, has(), "another place")

	require.NoError(t, laptop.Datastores().Unregister(ctx, "lake", nil))
	report = synced(t, cloud, laptop, &mirror.Options{Delete: true})
	require.Equal(t, mirror.Tally{Deleted: 1}, report.Datastores)
	_, err = cloud.Datastores().Get(ctx, "lake", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = laptop.Datastores().Register(ctx, "pond", lake("pond"), opts)
	require.NoError(t, err)
	clean(t, cloud, laptop)
	require.NoError(t, cloud.Datastores().Unregister(ctx, "pond", nil))
	require.Equal(t, []mirror.Kept{{Kind: "datastore", Name: "pond", DeletedIn: "cloud"}}, synced(t, cloud, laptop, &mirror.Options{Verify: true}).Kept)
}

// TestData brings datasets with what they pointed to, and the files of the own
// datastore.
func TestData(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"memory", "folder"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			cloud, laptop := pair(t)
			if place == "folder" {
				cloud, laptop = openFolder(t, t.TempDir(), "cloud"), openFolder(t, t.TempDir(), "laptop")
			}
			put(t, laptop, "raw/a.csv", "a,b\n1,2\n")
			put(t, laptop, "raw/empty", "")
			first := register(t, laptop, "people", "raw/a.csv")
			register(t, laptop, "people", "raw/*")

			dry := synced(t, cloud, laptop, &mirror.Options{DryRun: true})
			report := clean(t, cloud, laptop)
			require.Equal(t, mirror.Tally{Created: 2}, report.Datasets)
			require.Equal(t, mirror.Tally{Created: 2}, report.DataFiles)
			require.EqualValues(t, 8, report.DataBytes)
			require.Equal(t, []any{dry.Datasets, dry.DataFiles, dry.DataBytes}, []any{report.Datasets, report.DataFiles, report.DataBytes})
			require.Equal(t, "a,b\n1,2\n", got(t, cloud, "raw/a.csv"))
			require.Empty(t, got(t, cloud, "raw/empty"))
			copied, err := cloud.Datasets().Get(ctx, "people", 1, nil)
			require.NoError(t, err)
			require.Equal(t, first.FingerprintDigest(), copied.FingerprintDigest())
			d, err := cloud.Datasets().FromFiles(ctx, []dataset.Path{{Datastore: datastore.OwnName, Path: "raw/a.csv"}}, nil)
			require.NoError(t, err)
			_, err = d.Register(ctx, "others", &dataset.RegisterOptions{Digests: true})
			require.ErrorIs(t, err, azml.ErrExists, "the same definition of the same data, which came, too")
			require.ErrorContains(t, err, "people:1")

			again := clean(t, cloud, laptop)
			require.Zero(t, again.Changes())
			require.Zero(t, again.Bytes())
			verified := synced(t, cloud, laptop, &mirror.Options{Verify: true})
			require.Zero(t, verified.Changes())
			require.Equal(t, mirror.Tally{Unchanged: 2}, verified.DataFiles)
			require.Equal(t, mirror.Tally{Unchanged: 2}, verified.Datasets)

			put(t, laptop, "raw/a.csv", "a,b\n1,3\n") // of the same size
			report = synced(t, cloud, laptop, nil)
			require.Len(t, report.Conflicts, 1)
			require.Equal(t, "data file", report.Conflicts[0].Kind)
			require.Equal(t, "a,b\n1,2\n", got(t, cloud, "raw/a.csv"), "nothing is replaced silently")
			report = synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferNewer})
			require.Equal(t, mirror.Tally{Updated: 1}, report.DataFiles)
			require.Equal(t, "a,b\n1,3\n", got(t, cloud, "raw/a.csv"))
		})
	}
}

// TestDatasetNumbers has two workspaces give one number to two datasets.
func TestDatasetNumbers(t *testing.T) {
	t.Parallel()
	cloud, laptop := pair(t)
	put(t, cloud, "a", "1")
	put(t, laptop, "b", "2")
	register(t, cloud, "people", "a")
	ours := register(t, laptop, "people", "b")
	report := synced(t, cloud, laptop, nil)
	require.Len(t, report.Conflicts, 1)
	require.Equal(t, "dataset", report.Conflicts[0].Kind)
	report = synced(t, cloud, laptop, &mirror.Options{Resolve: func(mirror.Conflict) mirror.Choice { return mirror.Both }})
	require.Equal(t, []mirror.Renumbering{{Kind: "dataset", Name: "people", From: "1", To: "2"}}, report.Renumbered)
	copied, err := cloud.Datasets().Get(t.Context(), "people", 2, nil)
	require.NoError(t, err)
	require.Equal(t, ours.FingerprintDigest(), copied.FingerprintDigest())
	sound(t, cloud)
	require.Zero(t, clean(t, cloud, laptop).Changes())

	file := filepath.Join(t.TempDir(), "model")
	require.NoError(t, os.WriteFile(file, []byte("model"), 0o600))
	_, err = laptop.Models().Register(t.Context(), "churn", file, &model.RegisterOptions{SampleInputDataset: "people:1",
		Datasets: []model.DatasetReference{{Relation: "training", Dataset: "people:1"}}})
	require.NoError(t, err)
	clean(t, cloud, laptop)
	m, err := cloud.Models().Get(t.Context(), "churn", 1, nil)
	require.NoError(t, err)
	require.Equal(t, "people:2", m.Details().SampleInputDataset)
	require.Equal(t, "people:2", m.Details().Datasets[0].Dataset)
	require.Zero(t, synced(t, cloud, laptop, &mirror.Options{Verify: true}).Changes())
}

// TestDataFileDeletedThere comes again: that it was seen there before decides nothing.
func TestDataFileDeletedThere(t *testing.T) {
	t.Parallel()
	cloud, laptop := pair(t)
	put(t, laptop, "raw/a.csv", "laptop")
	clean(t, cloud, laptop)
	own, err := cloud.Datastores().Get(t.Context(), datastore.OwnName, nil)
	require.NoError(t, err)
	require.NoError(t, own.Delete(t.Context(), "raw/a.csv", nil))
	require.Equal(t, mirror.Tally{Created: 1}, clean(t, cloud, laptop).DataFiles)
	require.Equal(t, "laptop", got(t, cloud, "raw/a.csv"))
}

// TestDataFileChangedMeanwhile: a decision is about what was compared, and not about
// what somebody has written since.
func TestDataFileChangedMeanwhile(t *testing.T) {
	t.Parallel()
	cloud, laptop := pair(t)
	put(t, cloud, "raw/a.csv", "cloud")
	put(t, laptop, "raw/a.csv", "laptop")
	report := synced(t, cloud, laptop, &mirror.Options{Resolve: func(mirror.Conflict) mirror.Choice {
		put(t, cloud, "raw/a.csv", "later")
		return mirror.Source
	}})
	require.Equal(t, "later", got(t, cloud, "raw/a.csv"))
	require.Len(t, report.Open(), 1)
	require.Zero(t, report.Changes())
	synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferSource})
	require.Equal(t, "laptop", got(t, cloud, "raw/a.csv"))
}
