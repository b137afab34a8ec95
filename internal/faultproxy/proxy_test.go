package faultproxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is a server that counts whole requests by their path.
type counter struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.seen[r.URL.Path]++
	c.mu.Unlock()
	fmt.Fprint(w, strings.Repeat("answer to "+string(body), 100))
}

func (c *counter) times(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[path]
}

func TestFaults(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("answer to question", 100)
	for name, test := range map[string]struct {
		plan   faultproxy.Plan
		counts map[int]bool // how often the server may see a request
		fails  bool
	}{
		"none":      {faultproxy.Plan{}, map[int]bool{1: true}, false},
		"delay":     {faultproxy.Plan{Delay: 1, MaxDelay: 5 * time.Millisecond}, map[int]bool{1: true}, false},
		"duplicate": {faultproxy.Plan{Duplicate: 1}, map[int]bool{2: true}, false},
		"reset":     {faultproxy.Plan{Reset: 1}, map[int]bool{0: true, 1: true}, true},
		"truncate":  {faultproxy.Plan{Truncate: 1}, map[int]bool{0: true, 1: true}, true},
		"drop":      {faultproxy.Plan{Drop: 1}, map[int]bool{0: true, 1: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &counter{seen: map[string]int{}}
			server := httptest.NewServer(c)
			defer server.Close()
			p, err := faultproxy.Start(server.URL+"/base", test.plan)
			require.NoError(t, err)
			defer p.Close()
			client := &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
			seen := map[int]bool{}
			for i := range 12 {
				path := fmt.Sprintf("/base/%d", i)
				got, err := post(client, p.URL()+strings.TrimPrefix(path, "/base"))
				if test.fails {
					require.Error(t, err)
				} else {
					require.NoError(t, err)
					require.Equal(t, want, got)
				}
				seen[c.times(path)] = true
			}
			require.Equal(t, test.counts, seen, "how often the server acted")
			require.Equal(t, 12, p.Counts().Requests)
			require.Equal(t, test.fails, p.Counts().Lost > 0)
		})
	}
}

func post(client *http.Client, url string) (string, error) {
	answer, err := client.Post(url, "text/plain", strings.NewReader("question"))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}
