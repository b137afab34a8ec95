package mirror_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/workspace"
)

// expiring denies everything after some calls, as when a credential expires.
type expiring struct {
	backend.Objects
	left *atomic.Int64
}

func (e expiring) spend() error {
	if e.left.Add(-1) < 0 {
		return fmt.Errorf("%w: the credential has expired", azml.ErrDenied)
	}
	return nil
}

func (e expiring) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if err := e.spend(); err != nil {
		return nil, err
	}
	return e.Objects.Get(ctx, key, opts)
}

func (e expiring) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if err := e.spend(); err != nil {
		return backend.Info{}, err
	}
	return e.Objects.Put(ctx, key, content, opts)
}

func (e expiring) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	if err := e.spend(); err != nil {
		return backend.Info{}, err
	}
	return e.Objects.Append(ctx, key, offset, data)
}

func (e expiring) Stat(ctx context.Context, key string) (backend.Info, error) {
	if err := e.spend(); err != nil {
		return backend.Info{}, err
	}
	return e.Objects.Stat(ctx, key)
}

func (e expiring) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		if err := e.spend(); err != nil {
			yield(backend.Info{}, err)
			return
		}
		e.Objects.List(ctx, opts)(yield)
	}
}

// TestSideOfErrors has the credential of one of the two expire after each of the requests
// of a sync in turn: the error says whose it was.
func TestSideOfErrors(t *testing.T) {
	t.Parallel()
	here := memory.NewObjects()
	laptop := created(t, "laptop", here)
	trained(t, laptop, "churn", "r1")
	empty := memory.NewObjects()
	created(t, "cloud", empty)
	for _, side := range []string{"source, workspace laptop", "destination, workspace cloud"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			for calls := int64(0); ; calls++ {
				src, dst, left := backend.Objects(here), backend.Objects(cloned(t, empty)), &atomic.Int64{}
				left.Store(1000)
				if side == "source, workspace laptop" {
					src = expiring{src, left}
				} else {
					dst = expiring{dst, left}
				}
				from, to := opened(t, src, t.TempDir()), opened(t, dst, t.TempDir())
				left.Store(calls)
				_, err := workspace.Sync(t.Context(), to, from, nil)
				if err == nil {
					require.Greater(t, calls, int64(20))
					return
				}
				require.ErrorIs(t, err, azml.ErrDenied)
				require.ErrorContains(t, err, `sync workspace "laptop": the `+side+": ", "%d calls", calls)
			}
		})
	}
}

// signing gives the requests to a container a shared access signature that is good for some.
type signing struct {
	good, expired string
	left          atomic.Int64
}

func (s *signing) Do(r *http.Request) (*http.Response, error) {
	signature := s.good
	if s.left.Add(-1) < 0 {
		signature = s.expired
	}
	r.URL.RawQuery = strings.Replace(r.URL.RawQuery, s.good, signature, 1)
	return http.DefaultTransport.RoundTrip(r)
}

// TestExpiredSignatures has the signature of one of two containers expire in the middle of
// a sync. It is not parallel, for the environment is the process's.
func TestExpiredSignatures(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "")
	t.Setenv("AZURE_STORAGE_KEY", "")
	const plenty = 1 << 20
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	places, signatures := map[string]*workspace.Workspace{}, map[string]*signing{}
	for _, name := range []string{"laptop", "cloud"} {
		client, err := container.NewClientFromConnectionString(server.ConnectionString(), name, nil)
		require.NoError(t, err)
		_, err = client.Create(t.Context(), nil)
		require.NoError(t, err)
		s := &signing{good: signedUntil(t, client, time.Now().Add(time.Hour)), expired: signedUntil(t, client, time.Now().Add(-time.Hour))}
		s.left.Store(plenty)
		t.Setenv("AZURE_STORAGE_SAS_TOKEN", s.good)
		ws, err := azure.Create(t.Context(), server.URL+"/"+name+"/team", &azure.Options{CacheDir: t.TempDir(), Secrets: memory.NewSecrets(), Transport: s})
		require.NoError(t, err)
		closed(t, ws)
		places[name], signatures[name] = ws, s
	}
	trained(t, places["laptop"], "churn", "r1")
	for name, side := range map[string]string{"laptop": "source", "cloud": "destination"} {
		s := signatures[name]
		s.left.Store(20)
		_, err := workspace.Sync(t.Context(), places["cloud"], places["laptop"], nil)
		require.ErrorIs(t, err, azml.ErrDenied)
		require.ErrorContains(t, err, "the "+side+", "+server.URL+"/"+name+"/team: ")
		require.ErrorContains(t, err, "has expired")
		require.NotContains(t, err.Error(), "sig=")
		s.left.Store(plenty)
	}
	clean(t, places["cloud"], places["laptop"])
}

// signedUntil makes a shared access signature on the container.
func signedUntil(t *testing.T, client *container.Client, expiry time.Time) string {
	t.Helper()
	signed, err := client.GetSASURL(sas.ContainerPermissions{Read: true, Add: true, Create: true, Write: true, Delete: true, List: true}, expiry, &container.GetSASURLOptions{StartTime: new(expiry.Add(-2 * time.Hour))})
	require.NoError(t, err)
	u, err := url.Parse(signed)
	require.NoError(t, err)
	return u.RawQuery
}
