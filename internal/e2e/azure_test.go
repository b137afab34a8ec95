package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/filesecrets"
	"github.com/azml-go/azml/internal/faultproxy"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/workspace"
)

// config gives the stores of a place in Azure. They are closed with the
// workspace.
func (p place) config() (workspace.Config, error) {
	account, err := azureblob.ParseConnectionString(p.Connection)
	if err != nil {
		return workspace.Config{}, err
	}
	// Many tries with hardly any pauses: no request fails in the end.
	objects, err := azureblob.Open(account.URL+"/"+p.Blobs, account.Credential, &azureblob.Options{Prefix: "team/ws", Stall: 5 * time.Second,
		Retry: policy.RetryOptions{MaxRetries: 30, RetryDelay: time.Millisecond, MaxRetryDelay: 20 * time.Millisecond}})
	if err != nil {
		return workspace.Config{}, err
	}
	secrets, err := filesecrets.New(filepath.Join(p.Dir, ".secrets"), &filesecrets.Options{KeyFile: p.Key})
	return workspace.Config{Name: "story", CacheDir: p.Cache, Objects: objects, Secrets: secrets, Close: objects.Close}, err
}

// objects opens the place's objects, to look at what is stored.
func (p place) objects(t *testing.T) backend.Objects {
	t.Helper()
	config, err := p.config()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, config.Close()) })
	return config.Objects
}

// newAzurePlace makes a workspace in a container of its own.
func newAzurePlace(t *testing.T, connection string) place {
	t.Helper()
	p := newPlace(t)
	p.Connection, p.Blobs = connection, "t-"+strconv.FormatUint(rand.Uint64(), 36)
	require.NoError(t, os.MkdirAll(p.Dir, 0o700))
	config, err := p.config()
	require.NoError(t, err)
	require.NoError(t, config.Objects.(*azureblob.Store).Prepare(t.Context()))
	ws, err := workspace.Create(t.Context(), config)
	require.NoError(t, err)
	closeAll(t, ws)
	return p
}

// TestAzure has workspaces in the storage account that the environment names, or
// else in Azure's emulator, and in this one also behind a proxy that goes wrong.
func TestAzure(t *testing.T) {
	t.Parallel()
	if connection := os.Getenv("AZML_TEST_AZURE_CONNECTION_STRING"); connection != "" {
		t.Run("azure", func(t *testing.T) { onAzure(t, connection, false) })
	}
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	t.Run("azurite", func(t *testing.T) { onAzure(t, server.ConnectionString(), false) })
	t.Run("azurite on disk", func(t *testing.T) {
		onAzure(t, testenv.Azurite(t, testenv.AzuriteOptions{Dir: t.TempDir()}).ConnectionString(), false)
	})
	t.Run("faults", func(t *testing.T) {
		plan := faultproxy.Plan{Seed: rand.Uint64(), Drop: 0.001, Delay: 0.03, Duplicate: 0.02, Truncate: 0.02, Reset: 0.03, MaxDelay: 10 * time.Millisecond}
		t.Logf("seed %d", plan.Seed)
		onAzure(t, behind(t, server, plan), true)
	})
	t.Run("everything twice", func(t *testing.T) {
		storyOnAzure(t, behind(t, server, faultproxy.Plan{Duplicate: 1}))
	})
}

// behind puts a proxy that goes wrong before the server, and gives the connection
// string of who is behind it.
func behind(t *testing.T, server *testenv.AzuriteServer, plan faultproxy.Plan) string {
	t.Helper()
	proxy, err := faultproxy.Start(server.URL, plan)
	require.NoError(t, err)
	t.Cleanup(func() { t.Logf("%+v", proxy.Counts()); proxy.Close() })
	through := *server
	through.URL = proxy.URL()
	return through.ConnectionString()
}

// storyOnAzure tells the story twice in a container, and looks whether what is
// stored has the account's key.
func storyOnAzure(t *testing.T, connection string) {
	p := newAzurePlace(t, connection)
	source := sourceFolder(t)
	ws := p.open(t)
	require.NoError(t, story(t.Context(), ws, source))
	config, err := p.config()
	require.NoError(t, err)
	retold(t, config, source)
	p.showsNoKey(t)
}

// onAzure is what must be in a workspace in Azure as it is in a folder.
func onAzure(t *testing.T, connection string, faults bool) {
	t.Run("story", func(t *testing.T) {
		t.Parallel()
		storyOnAzure(t, connection)
	})
	t.Run("registrations", func(t *testing.T) {
		t.Parallel()
		p := newAzurePlace(t, connection)
		ws := p.open(t)
		const processes = 8
		count := size(50, 3)
		if faults {
			count = size(8, 2)
		}
		lines := all(t, processes, errand{Name: "register", Place: p, Count: count, Dir: t.TempDir()})
		require.Len(t, lines, processes*count)
		checkVersions(t, ws, lines)
		if !faults {
			checkAudit(t, ws, "model", "create", "churn", len(lines))
		}
		clean(t, ws)
		p.showsNoKey(t)
	})
	t.Run("runs", func(t *testing.T) {
		t.Parallel()
		p := newAzurePlace(t, connection)
		ws := p.open(t)
		lines := all(t, 8, errand{Name: "runs", Place: p, Count: 1})
		checkRuns(t, ws, lines, !faults)
		clean(t, ws)
	})
	if !faults {
		t.Run("killed", func(t *testing.T) {
			t.Parallel()
			killMany(t, newAzurePlace(t, connection), rand.Uint64N(1_000_000)*1000, size(12, 3))
		})
		t.Run("panic", func(t *testing.T) {
			t.Parallel()
			p := newAzurePlace(t, connection)
			w := start(t, errand{Name: "panic", Place: p})
			for w.lines.Scan() {
				t.Error(w.lines.Text())
			}
			require.ErrorAs(t, w.cmd.Wait(), new(*exec.ExitError))
			require.Contains(t, w.stderr.String(), "panic: "+lastWords)
			require.NotContains(t, w.stderr.String(), p.accountKey())
		})
	}
}

const lastWords = "this is all there is:"

// panicWithAll looks for the account's key in the arguments of all processes, and
// then panics in the middle of requests, with all that a program has of a workspace.
func panicWithAll(ctx context.Context, ws *workspace.Workspace, p place) error {
	shown, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, path := range shown {
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(p.accountKey())) {
			return fmt.Errorf("%s has the account's key: %q", path, data)
		}
	}
	config, err := p.config()
	if err != nil {
		return err
	}
	began := make(chan struct{})
	go func() {
		close(began)
		for ctx.Err() == nil {
			_, _ = config.Objects.Stat(ctx, "nothing")
		}
	}()
	<-began
	_, failure := config.Objects.Stat(ctx, "nothing")
	panic(fmt.Sprintf("%s %v %+v %#v %v %+v %#v %+v %#v %v", lastWords, ws, ws, ws, config, config, config, config.Objects, config.Objects, failure))
}

// accountKey is the key in the place's connection string.
func (p place) accountKey() string {
	_, key, _ := strings.Cut(p.Connection, "AccountKey=")
	key, _, _ = strings.Cut(key, ";")
	return key
}

// showsNoKey looks for the account's key in everything that was written.
func (p place) showsNoKey(t *testing.T) {
	t.Helper()
	key := p.accountKey()
	require.Greater(t, len(key), 40)
	nowhere(t, key, p.Dir, p.Cache)
	objects := p.objects(t)
	seen := 0
	for info, err := range objects.List(t.Context(), &backend.ListOptions{}) {
		require.NoError(t, err)
		seen++
		data, err := whole(t.Context(), objects, info.Key)
		require.NoError(t, err)
		require.False(t, bytes.Contains(data, []byte(key)), "%s holds the account's key", info.Key)
	}
	require.Greater(t, seen, 10)
}

// whole reads an object.
func whole(ctx context.Context, objects backend.Objects, key string) ([]byte, error) {
	object, err := objects.Get(ctx, key, &backend.GetOptions{})
	if err != nil {
		return nil, err
	}
	defer object.Body.Close()
	return io.ReadAll(object.Body)
}
