package trybody_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/internal/trybody"
)

// TestTriesAtOnce has a server refuse requests before it has read their bodies:
// each try sends the whole body nevertheless, and none reads beside another,
// which the race detector looks after.
func TestTriesAtOnce(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	var asked, whole atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%4 != 0 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		got, err := io.ReadAll(r.Body)
		if err == nil && bytes.Equal(got, content) {
			whole.Add(1)
		}
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	pipeline := runtime.NewPipeline("test", "v1", runtime.PipelineOptions{}, &policy.ClientOptions{
		Transport: client, PerRetryPolicies: []policy.Policy{trybody.Policy{}},
		Retry: policy.RetryOptions{MaxRetries: 20, RetryDelay: time.Microsecond, MaxRetryDelay: time.Millisecond},
	})
	const requests = 30
	for range requests {
		req, err := runtime.NewRequest(t.Context(), http.MethodPut, server.URL)
		require.NoError(t, err)
		require.NoError(t, req.SetBody(streaming.NopCloser(bytes.NewReader(content)), "text/plain"))
		answer, err := pipeline.Do(req)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusOK, answer.StatusCode)
	}
	require.EqualValues(t, requests, whole.Load())
}
