package azureblob_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/testenv"
)

// servers are the servers that tests share. They end with the program.
var servers struct {
	mu      sync.Mutex
	started map[testenv.AzuriteOptions]*testenv.AzuriteServer
	stops   []func() error
}

// azurite gives the server with the options, and starts it when it is first
// asked for.
func azurite(t *testing.T, opts testenv.AzuriteOptions) *testenv.AzuriteServer {
	t.Helper()
	servers.mu.Lock()
	defer servers.mu.Unlock()
	if s, ok := servers.started[opts]; ok {
		return s
	}
	s, stop := testenv.StartAzurite(t, opts)
	if servers.started == nil {
		servers.started = map[testenv.AzuriteOptions]*testenv.AzuriteServer{}
	}
	servers.started[opts] = s
	servers.stops = append(servers.stops, stop)
	return s
}

func TestMain(m *testing.M) {
	code := m.Run()
	var err error
	for _, stop := range servers.stops {
		err = errors.Join(err, stop())
	}
	if err = errors.Join(err, goleak.Find()); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// requireNoError is require.NoError for what cleans up.
func requireNoError(t *testing.T, f func() error) func() {
	return func() { require.NoError(t, f()) }
}
