package azure_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// counter counts the requests to Blob Storage, and among them those by which a run
// that goes on shows that it does and looks whether it was canceled, whose number
// tells how long something takes, and the listings of all runs, whose number of
// pages tells how many runs there are.
type counter struct {
	transport *http.Transport
	requests  atomic.Int64
	keeping   atomic.Int64
	listings  atomic.Int64
}

func (c *counter) Do(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	if r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/run.json") || strings.Contains(r.URL.Path, "/heartbeat-") {
		c.keeping.Add(1)
	}
	if query := r.URL.Query(); query.Get("comp") == "list" && strings.HasSuffix(query.Get("prefix"), "/runs/") {
		c.listings.Add(1)
	}
	return c.transport.RoundTrip(r)
}

// promised reads the table of requests of docs/azure.md: an exact number, or the
// greatest one.
func promised(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/azure.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| operation | requests |")
	require.True(t, found, "docs/azure.md has a table of requests")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| ((?:up to )?[0-9,]+) \|`).FindAllStringSubmatch(table, -1) {
		rows[row[1]] = row[2]
	}
	return rows
}

// The operations of which the test does a part only, to be quick, and reckons up
// the rest.
const (
	// forAMinute takes a sixth of its time. All requests count.
	forAMinute = "log for a minute, ten points a second"
	// amongMany is in the names of those that list all runs: there is one page of
	// fewRuns, where 10,000 and what else is there have three.
	amongMany = "among 10,000 runs"
	fewRuns   = 500
)

// tally compares what operations cost with what is promised.
type tally struct {
	t       *testing.T
	counter *counter
	rows    map[string]string
	quiet   func() // returns when nothing goes on in the background
}

// cost does an operation and counts its requests, those of what it leaves to the
// background among them.
func (c *tally) cost(name string, do func()) {
	c.t.Helper()
	count := func() int64 {
		switch n := c.counter.requests.Load(); {
		case name == forAMinute:
			return 6 * n
		case strings.Contains(name, amongMany):
			return n - c.counter.keeping.Load() + 2*c.counter.listings.Load()
		default:
			return n - c.counter.keeping.Load()
		}
	}
	before := count()
	do()
	c.quiet()
	got := count() - before
	c.t.Logf("| %s | %d |", name, got)
	text, documented := c.rows[name]
	delete(c.rows, name)
	number, most := strings.CutPrefix(text, "up to ")
	want, _ := strconv.ParseInt(strings.ReplaceAll(number, ",", ""), 10, 64)
	if !documented || most && got > want || !most && got != want {
		c.t.Errorf("%s: %d requests, and docs/azure.md says %q", name, got, text)
	}
}

// TestRequests counts the requests that docs/azure.md lists. It is not parallel,
// for the environment is the process's, and what else the machine does would
// change what is done at once.
func TestRequests(t *testing.T) {
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", server.ConnectionString())
	ctx := t.Context()
	count := &counter{transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer count.transport.CloseIdleConnections()
	where, secrets := server.URL+"/requests/team", memory.NewSecrets()
	opts := func() *azure.Options {
		return &azure.Options{CacheDir: t.TempDir(), Secrets: secrets, Transport: count}
	}
	account, err := azureblob.ParseConnectionString(server.ConnectionString())
	require.NoError(t, err)
	aside, err := azureblob.Open(server.URL+"/requests", account.Credential, &azureblob.Options{Prefix: "team"})
	require.NoError(t, err)
	defer func() { require.NoError(t, aside.Close()) }()
	c := &tally{t: t, counter: count, rows: promised(t), quiet: func() { sealed(t, aside) }}

	var ws *workspace.Workspace
	c.quiet = func() {}
	c.cost("create a workspace", func() { ws, err = azure.Create(ctx, where, opts()); require.NoError(t, err) })
	c.quiet = func() { sealed(t, aside) }
	closed(t, ws, nil)
	here := opts()
	c.cost("open it", func() { ws, err = azure.Open(ctx, where, here); require.NoError(t, err) })
	defer func() { closed(t, ws, nil) }()

	var exp *experiment.Experiment
	c.cost("create an experiment", func() { exp, err = ws.Experiments().CreateOrUpdate(ctx, "churn", nil); require.NoError(t, err) })
	inRun := func(do func(context.Context, *run.Run) error) *run.Run {
		r, err := exp.Run(ctx, do, nil)
		require.NoError(t, err)
		return r
	}
	inRun(func(context.Context, *run.Run) error { return nil }) // the first one of a process looks for the last number
	c.cost("create a run and complete it", func() { inRun(func(context.Context, *run.Run) error { return nil }) })
	c.cost("the same with 1,000 points", func() {
		inRun(func(_ context.Context, r *run.Run) error {
			for i := range 1000 {
				require.NoError(t, r.Log("loss", 1/float64(i+1), nil))
			}
			return nil
		})
	})

	r, err := exp.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, r.Log("loss", 1.0, nil))
	require.NoError(t, r.Flush(ctx))
	live := c.quiet
	c.quiet = func() {}
	c.cost(forAMinute, func() {
		for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
			require.NoError(t, r.Log("loss", 1.0, nil))
		}
	})
	require.NoError(t, r.Complete(ctx))
	c.quiet = live
	c.quiet()

	r, err = exp.StartLogging(ctx, nil)
	require.NoError(t, err)
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 64<<20)
	_, _ = random.Read(data)
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder")
	require.NoError(t, os.Mkdir(folder, 0o700))
	for i := range 500 {
		require.NoError(t, os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), data[i<<12:(i+1)<<12], 0o600))
	}
	upload := func(name string, size int) func() {
		return func() {
			require.NoError(t, r.Upload(ctx, name, bytes.NewReader(data[len(data)-size:]), nil))
		}
	}
	upload("first", 1)() // looks what is about to be deleted
	c.cost("upload a file of 4 KiB", upload("outputs/small", 4<<10))
	c.cost("upload 500 files of 4 KiB", func() { require.NoError(t, r.UploadFolder(ctx, "outputs/many", folder, nil)) })
	c.cost("upload a file of 64 MiB", upload("outputs/model", len(data)))
	c.cost("register it as a model", func() { _, err = r.RegisterModel(ctx, "churn", "outputs/model", nil); require.NoError(t, err) })
	require.NoError(t, r.Complete(ctx))
	c.quiet()

	there, err := azure.Open(ctx, where, opts()) // another machine
	require.NoError(t, err)
	defer func() { closed(t, there, nil) }()
	r, err = there.Runs().Get(ctx, r.ID(), nil)
	require.NoError(t, err)
	c.cost("get a run", func() { _, err = there.Runs().Get(ctx, r.ID(), nil); require.NoError(t, err) })
	c.cost("download a file of 4 KiB, on a machine that has none yet", func() {
		require.NoError(t, r.DownloadFile(ctx, "outputs/small", filepath.Join(dir, "small")))
	})
	c.cost("download 500 files of 4 KiB", func() { require.NoError(t, r.Download(ctx, "outputs/many", filepath.Join(dir, "many"), nil)) })
	c.cost("download a file of 64 MiB", func() { require.NoError(t, r.DownloadFile(ctx, "outputs/model", filepath.Join(dir, "model"))) })
	c.cost("get the latest of a model's versions", func() { _, err = there.Models().Get(ctx, "churn", 0, nil); require.NoError(t, err) })

	search := func(ws *workspace.Workspace) {
		for _, err := range ws.Runs().Search(ctx, "metrics.loss < 0.5", nil) {
			require.NoError(t, err)
		}
	}
	pastRuns(t, workspace.Handle(ws), aside, fewRuns)
	search(ws)
	c.cost("search among 10,000 runs, nothing new", func() { search(ws) })
	inRun(func(_ context.Context, r *run.Run) error { return r.Log("loss", 0.25, nil) })
	c.quiet()
	c.cost("search among 10,000 runs, one of them new", func() { search(ws) })
	c.cost("the first search among 10,000 runs on a machine", func() { search(there) })
	require.Empty(t, c.rows, "docs/azure.md lists what nobody counts")
}

// sealed waits until the metrics of all ended runs are sealed.
func sealed(t *testing.T, aside *azureblob.Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		for info, err := range aside.List(t.Context(), &backend.ListOptions{Prefix: "runs/"}) {
			require.NoError(t, err)
			if strings.HasSuffix(info.Key, ".seg") || strings.Contains(info.Key, "/clock-") {
				return false
			}
		}
		return true
	}, time.Minute, 20*time.Millisecond)
}

// pastRuns stores the records of ended runs.
func pastRuns(t *testing.T, h core.Handle, aside *azureblob.Store, n int) {
	t.Helper()
	first, err := core.Get[record.Run](t.Context(), h, history.Ref(anyRun(t, aside)).Key)
	require.NoError(t, err)
	var working sync.WaitGroup
	turns := make(chan struct{}, 32)
	for i := range n {
		turns <- struct{}{}
		working.Go(func() {
			r := first.Value
			r.ID = fmt.Sprintf("past-%05d", i)
			if err := core.PutQuiet(t.Context(), h, history.Ref(r.ID).Key, r); err != nil {
				t.Error(err)
			}
			<-turns
		})
	}
	working.Wait()
}

// anyRun gives the ID of a run.
func anyRun(t *testing.T, aside *azureblob.Store) string {
	t.Helper()
	for info, err := range aside.List(t.Context(), &backend.ListOptions{Prefix: "runs/"}) {
		require.NoError(t, err)
		return strings.Split(info.Key, "/")[1]
	}
	require.Fail(t, "there is no run")
	return ""
}
