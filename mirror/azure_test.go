package mirror_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/faultproxy"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// TestAzure brings a laptop's runs into a container and on into a folder, and
// follows one that goes on; between here and the container, somebody sends every
// request twice. It is not parallel, for the environment is the process's.
func TestAzure(t *testing.T) {
	for _, name := range []string{"AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"} {
		t.Setenv(name, "")
	}
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	proxy, err := faultproxy.Start(server.URL, faultproxy.Plan{Duplicate: 1})
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	server.URL = proxy.URL()
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", server.ConnectionString())
	ctx := t.Context()
	cloud, err := azure.Create(ctx, server.URL+"/models/team", &azure.Options{CacheDir: t.TempDir(), Secrets: memory.NewSecrets()})
	require.NoError(t, err)
	defer func() { require.NoError(t, cloud.Close(context.WithoutCancel(ctx))) }()
	laptop, backup := openFolder(t, t.TempDir(), "laptop"), openFolder(t, t.TempDir(), "backup")
	trained(t, laptop, "churn", "r1")
	clean(t, cloud, laptop)
	same(t, laptop, cloud)
	e, err := laptop.Experiments().Get(ctx, "churn", nil)
	require.NoError(t, err)
	r, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "live"})
	require.NoError(t, err)
	for i := range 3 {
		require.NoError(t, r.Log("loss", float64(i), nil))
		require.NoError(t, r.Flush(ctx))
		clean(t, cloud, laptop)
	}
	copied, err := cloud.Runs().Get(ctx, "live", nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusRunning, copied.Status())
	require.NoError(t, r.Complete(ctx))
	clean(t, cloud, laptop)
	same(t, laptop, cloud)
	clean(t, backup, cloud)
	same(t, cloud, backup)
	clean(t, laptop, backup)
	require.Zero(t, clean(t, cloud, laptop).Changes())
}

// TestFollowToAzure follows a laptop's run into a container while it goes on, and
// writes the files of its datastore there under their own names.
func TestFollowToAzure(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	account, err := azureblob.ParseConnectionString(server.ConnectionString())
	require.NoError(t, err)
	objects, err := azureblob.Open(account.URL+"/models", account.Credential, &azureblob.Options{Prefix: "team"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, objects.Close()) })
	require.NoError(t, objects.Prepare(ctx))
	cloud, laptop := created(t, "cloud", objects), openFolder(t, t.TempDir(), "laptop")
	own, err := laptop.Datastores().Default(ctx, nil)
	require.NoError(t, err)
	names := []string{"raw/über uns.csv", "raw/（1）.csv", "raw/😀.csv", "raw/😀/（2）.csv"}
	for _, name := range names {
		_, err = own.Write(ctx, name, strings.NewReader("1,2\n"), nil)
		require.NoError(t, err)
	}
	stop := following(t, cloud, laptop, &mirror.FollowOptions{Every: 10 * time.Millisecond})
	e, err := laptop.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	r, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "live"})
	require.NoError(t, err)
	stored, err := history.Get(ctx, workspace.Handle(laptop), "live")
	require.NoError(t, err)
	log, err := history.NewLogWriter(ctx, workspace.Handle(laptop), history.LogKey(stored.Value, "user_logs/std_log.txt"))
	require.NoError(t, err)
	said := func(text string) func() bool {
		return func() bool {
			data, _, err := workspace.Handle(cloud).Read(ctx, history.LogKey(stored.Value, "user_logs/std_log.txt"))
			return err == nil && string(data) == text
		}
	}
	for i := range int64(3) {
		require.NoError(t, r.Log("loss", float64(i), nil))
		require.NoError(t, r.Flush(ctx))
		_, err = io.WriteString(log, "a line\n")
		require.NoError(t, err)
		require.NoError(t, log.Flush(ctx))
		require.Eventually(t, hasLoss(t, cloud, "live", i+1, run.StatusRunning), time.Minute, 10*time.Millisecond)
		require.Eventually(t, said(strings.Repeat("a line\n", int(i)+1)), time.Minute, 10*time.Millisecond)
	}
	require.NoError(t, log.Close(ctx))
	require.NoError(t, r.Complete(ctx))
	require.Eventually(t, hasLoss(t, cloud, "live", 3, run.StatusCompleted), time.Minute, 10*time.Millisecond)
	stop()
	clean(t, cloud, laptop)
	same(t, laptop, cloud)
	for _, name := range names {
		_, err = objects.Stat(ctx, "data/"+name)
		require.NoError(t, err)
	}
	require.Zero(t, clean(t, cloud, laptop).Changes())
}
