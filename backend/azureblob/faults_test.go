package azureblob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/internal/faultproxy"
	"github.com/azml-go/azml/internal/testenv"
)

// patient sends requests again so often that none fails in the end.
var patient = policy.RetryOptions{MaxRetries: 30, RetryDelay: time.Millisecond, MaxRetryDelay: 5 * time.Millisecond}

// soon is how long nothing may move on a connection of these tests. A server that
// many of them use at once, on a busy machine, takes some time to answer; and what is
// given up and sent again makes it take longer.
const soon = 5 * time.Second

// through puts a proxy that goes wrong before the server, and gives what opens
// containers through it.
func through(t *testing.T, server *testenv.AzuriteServer, plan faultproxy.Plan) (opener, *faultproxy.Proxy) {
	t.Helper()
	plan.Seed, plan.MaxDelay = rand.Uint64(), 5*time.Millisecond
	t.Logf("seed %d", plan.Seed)
	proxy, err := faultproxy.Start(server.URL, plan)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	behind := *server
	behind.URL = proxy.URL()
	open := byKey(behind.ConnectionString())
	return func(t *testing.T, name string, opts azureblob.Options) *azureblob.Store {
		opts.Retry, opts.Stall = patient, soon
		return open(t, name, opts)
	}, proxy
}

// TestObjectsUnderFaults runs the suite through a proxy that goes wrong. What it
// leaves out is in the tests below: a body that breaks while its object is
// replaced ends in a conflict, and so does an Append that somebody between us and
// the service has sent twice.
func TestObjectsUnderFaults(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	open, proxy := through(t, server, faultproxy.Plan{Drop: 0.001, Delay: 0.04, Reset: 0.06})
	t.Run("suite", func(t *testing.T) {
		backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
			h := suite(server.ConnectionString(), nil, open)(t)
			h.Features.Retried = true
			return h
		})
	})
	counts := proxy.Counts()
	t.Logf("%+v", counts)
	require.Greater(t, counts.Lost, 20, "lost answers")
}

// random gives n bytes.
func random(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	return data
}

// read gives the whole object.
func read(ctx context.Context, s backend.Objects, key string) ([]byte, error) {
	object, err := s.Get(ctx, key, &backend.GetOptions{})
	if err != nil {
		return nil, err
	}
	defer object.Body.Close()
	return io.ReadAll(object.Body)
}

// TestTornTransfers cuts requests and answers off in their middle.
func TestTornTransfers(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	open, proxy := through(t, server, faultproxy.Plan{Truncate: 0.3})
	s := open(t, newContainer(t, server.ConnectionString(), nil), azureblob.Options{})
	log := []byte{}
	for i := range 30 {
		key, data := fmt.Sprint("object/", i), random(1+rand.IntN(300_000))
		info, err := s.Put(t.Context(), key, bytes.NewReader(data), &backend.PutOptions{IfNoneMatch: true})
		require.NoError(t, err)
		got, err := read(t.Context(), s, key)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), "other bytes")
		_, err = s.Put(t.Context(), key, bytes.NewReader(data[1:]), &backend.PutOptions{IfMatch: info.ETag})
		require.NoError(t, err)
		_, err = s.Append(t.Context(), "log", int64(len(log)), data)
		require.NoError(t, err)
		log = append(log, data...)
	}
	got, err := read(t.Context(), s, "log")
	require.NoError(t, err)
	require.True(t, bytes.Equal(log, got), "the log has other bytes")
	keys := 0
	for _, err := range s.List(t.Context(), &backend.ListOptions{Prefix: "object/"}) {
		require.NoError(t, err)
		keys++
	}
	require.Equal(t, 30, keys)
	require.Greater(t, proxy.Counts().Truncated, 30)
}

// TestTornReadOfReplacedObject breaks bodies of objects that are replaced.
func TestTornReadOfReplacedObject(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	name := newContainer(t, server.ConnectionString(), nil)
	plain := byKey(server.ConnectionString())(t, name, azureblob.Options{})
	open, _ := through(t, server, faultproxy.Plan{Truncate: 0.7})
	torn := open(t, name, azureblob.Options{})
	conflicts := 0
	for range 10 {
		_, err := plain.Put(t.Context(), "a", strings.NewReader(strings.Repeat("old", 100_000)), &backend.PutOptions{})
		require.NoError(t, err)
		object, err := torn.Get(t.Context(), "a", &backend.GetOptions{})
		require.NoError(t, err)
		_, err = plain.Put(t.Context(), "a", strings.NewReader(strings.Repeat("new", 100_000)), &backend.PutOptions{})
		require.NoError(t, err)
		got, err := io.ReadAll(object.Body)
		require.NoError(t, object.Body.Close())
		require.NotContains(t, string(got), "new")
		if errors.Is(err, azml.ErrConflict) {
			conflicts++
			continue
		}
		require.NoError(t, err)
		require.Len(t, got, 300_000)
	}
	require.NotZero(t, conflicts)
}

// TestRequestsSentTwice has somebody on the way who sends every request twice.
func TestRequestsSentTwice(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	open, _ := through(t, server, faultproxy.Plan{Duplicate: 1})
	s := open(t, newContainer(t, server.ConnectionString(), nil), azureblob.Options{})
	first, err := s.Put(t.Context(), "a", strings.NewReader("1"), &backend.PutOptions{IfNoneMatch: true})
	require.NoError(t, err, "create")
	second, err := s.Put(t.Context(), "a", strings.NewReader("1"), &backend.PutOptions{IfMatch: first.ETag})
	require.NoError(t, err, "replace")
	_, err = s.Put(t.Context(), "a", strings.NewReader("1"), &backend.PutOptions{IfNoneMatch: true})
	require.ErrorIs(t, err, azml.ErrExists, "the same bytes are no own write")
	_, err = s.Put(t.Context(), "a", strings.NewReader("1"), &backend.PutOptions{IfMatch: first.ETag})
	require.ErrorIs(t, err, azml.ErrConflict)
	info, err := s.Stat(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, second, info)
	_, err = s.Append(t.Context(), "log", 0, []byte("line"))
	require.ErrorIs(t, err, azml.ErrConflict)
	got, err := read(t.Context(), s, "log")
	require.NoError(t, err)
	require.Equal(t, "line", string(got), "it was added once")
}

// TestLostAnswers loses half of the answers: a delete that was done is done, also
// one that is sent again with a condition that no blob fits any more, and so is an
// append of nothing.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	open, proxy := through(t, server, faultproxy.Plan{Reset: 0.5})
	s := open(t, newContainer(t, server.ConnectionString(), nil), azureblob.Options{})
	for range 40 {
		old, err := s.Put(t.Context(), "a", strings.NewReader("1"), &backend.PutOptions{IfNoneMatch: true})
		require.NoError(t, err)
		now, err := s.Put(t.Context(), "a", strings.NewReader("2"), &backend.PutOptions{IfMatch: old.ETag})
		require.NoError(t, err)
		require.ErrorIs(t, s.Delete(t.Context(), "a", &backend.DeleteOptions{IfMatch: old.ETag}), azml.ErrConflict)
		require.NoError(t, s.Delete(t.Context(), "a", &backend.DeleteOptions{IfMatch: now.ETag}))
		_, err = s.Stat(t.Context(), "a")
		require.ErrorIs(t, err, azml.ErrNotFound)
		_, err = s.Append(t.Context(), "log", 0, nil)
		require.NoError(t, err)
	}
	require.Greater(t, proxy.Counts().Lost, 20)
}

// TestLargeObjects sends blocks through faults, and by many writers at once who
// take each other's blocks away.
func TestLargeObjects(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	open, _ := through(t, server, faultproxy.Plan{Truncate: 0.1, Reset: 0.1})
	s := open(t, newContainer(t, server.ConnectionString(), nil), azureblob.Options{})
	azureblob.CutUp(s, 100_000, 30_000)
	data := random(1<<20 + 5)
	info, err := s.Put(t.Context(), "large", bytes.NewReader(data), &backend.PutOptions{IfNoneMatch: true})
	require.NoError(t, err)
	require.EqualValues(t, len(data), info.Size)
	got, err := read(t.Context(), s, "large")
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got), "other bytes")
	_, err = s.Put(t.Context(), "large", bytes.NewReader(data), &backend.PutOptions{IfNoneMatch: true})
	require.ErrorIs(t, err, azml.ErrExists)

	var wins, conflicts int
	var mu sync.Mutex
	var writers sync.WaitGroup
	for i := range 3 {
		writers.Go(func() {
			own := bytes.Repeat([]byte{byte(i)}, 1<<20)
			_, err := s.Put(t.Context(), "large", bytes.NewReader(own), &backend.PutOptions{IfMatch: info.ETag})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				wins++
			} else if errors.Is(err, azml.ErrConflict) {
				conflicts++
			} else {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	require.Equal(t, []int{1, 2}, []int{wins, conflicts})
	got, err = read(t.Context(), s, "large")
	require.NoError(t, err)
	require.Equal(t, len(got), bytes.Count(got, got[:1]), "a mixture")
}
