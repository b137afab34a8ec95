package s3_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/s3"
	"github.com/azml-go/azml/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source says where a bucket of the server is.
func source(server testenv.S3Server, bucket, prefix string) backend.DatastoreSource {
	return backend.DatastoreSource{Type: s3.Type,
		Connection:  map[string]string{"endpoint": server.Endpoint, "bucket": bucket, "region": server.Region, "prefix": prefix, "accessKeyId": server.AccessKey},
		Credentials: backend.Credentials{"secretAccessKey": server.SecretKey}}
}

func open(t *testing.T, source backend.DatastoreSource) *s3.Store {
	t.Helper()
	opened, err := s3.Driver{}.Open(t.Context(), source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened.(*s3.Store)
}

func TestSuite(t *testing.T) {
	t.Parallel()
	server := testenv.S3(t)
	var buckets atomic.Int32
	for _, prefix := range []string{"", "in/a folder/"} {
		t.Run(fmt.Sprintf("prefix %q", prefix), func(t *testing.T) {
			t.Parallel()
			backendtest.DataFiles(t, func(t *testing.T) backendtest.DataFilesHarness {
				store := open(t, source(server, fmt.Sprintf("bucket-%d", buckets.Add(1)), prefix))
				require.NoError(t, store.Create(t.Context()))
				require.NoError(t, store.Create(t.Context()))
				require.NoError(t, store.Check(t.Context()))
				return backendtest.DataFilesHarness{Files: store, Tree: true, Links: true} // this server keeps them as files
			})
		})
	}
}

// TestCreateThatIsCutOff has a server that closes the connection of each file that it is sent,
// as one may do that refuses a file before it has read it.
func TestCreateThatIsCutOff(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		found int
		want  error
	}{
		"of another": {http.StatusOK, azml.ErrExists},
		"of nobody":  {http.StatusNotFound, azml.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("ETag", `"1"`)
				w.Header().Set("Last-Modified", "Fri, 27 Nov 2026 12:00:00 GMT")
				w.WriteHeader(tt.found)
			}))
			t.Cleanup(server.Close)
			store := open(t, source(testenv.S3Server{Endpoint: server.URL, AccessKey: "a", SecretKey: "s", Region: "us-east-1"}, "bucket", ""))
			_, err := store.Put(t.Context(), "f", strings.NewReader("content"), &backend.PutOptions{IfNoneMatch: true})
			require.ErrorIs(t, err, tt.want)
			_, err = store.Put(t.Context(), "f", strings.NewReader("content"), &backend.PutOptions{})
			require.ErrorIs(t, err, azml.ErrUnavailable)
		})
	}
}
