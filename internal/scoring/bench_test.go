package scoring

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loadTest sends b.N requests from some clients and reports requests a second
// and percentiles of the latency.
func loadTest(b *testing.B, web *httptest.Server, clients int) {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: clients, MaxConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	times := make([]time.Duration, b.N)
	next := make(chan int, b.N)
	for i := range b.N {
		next <- i
	}
	close(next)
	b.ResetTimer()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := range next {
				started := time.Now()
				resp, err := client.Post(web.URL+"/score", "application/json", strings.NewReader(`{"data": [[1, 2, 3, 4]]}`))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Errorf("status %d", resp.StatusCode)
				}
				times[i] = time.Since(started)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(times[b.N/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[b.N*99/100].Microseconds()), "p99-µs")
}

// BenchmarkBareHTTP is the floor: net/http alone, body read and answered.
func BenchmarkBareHTTP(b *testing.B) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":true}`)
	}))
	defer web.Close()
	loadTest(b, web, 8)
}

func BenchmarkGoHandler(b *testing.B) {
	s := serve(b, options{Requests: io.Discard}, Handler(func(context.Context, json.RawMessage) (any, error) {
		return map[string]bool{"ok": true}, nil
	}))
	loadTest(b, s.Server, 8)
}

func BenchmarkPython(b *testing.B) {
	p, _ := startScript(b, "def init(): pass\ndef run(data): return {'ok': True}\n", nil)
	s := serve(b, options{Requests: io.Discard, MaxQueueWait: time.Second}, p)
	loadTest(b, s.Server, 8)
}

// BenchmarkPythonWorker is one call without HTTP.
func BenchmarkPythonWorker(b *testing.B) {
	p, _ := startScript(b, "def init(): pass\ndef run(data): return {'ok': True}\n", nil)
	req := &Request{Method: "POST", Body: []byte(`{"data": [[1, 2, 3, 4]]}`)}
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		_, err := p.Score(ctx, req)
		require.NoError(b, err)
		cancel()
	}
}
