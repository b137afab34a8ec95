package endpoint_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/workspace"
)

// hostVariable makes the test binary serve an endpoint from a workspace in the folder
// it names, so that what it holds is its own.
const hostVariable = "AZML_TEST_ENDPOINT_HOST"

// held is what a process has taken.
type held struct {
	// Goroutines counts them.
	Goroutines int
	// Files counts open descriptors.
	Files int
	// Bytes are those of the heap that something refers to.
	Bytes uint64
}

// serveUntilEOF serves an endpoint that answers a number with as many letters, tells
// its address, and at each line what it holds.
func serveUntilEOF(dir string) error {
	ctx := context.Background()
	ws, err := workspace.Open(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer ws.Close(ctx)
	ep, err := ws.Endpoints().Deploy(ctx, "svc", endpoint.Config{Handler: func(_ context.Context, input json.RawMessage) (any, error) {
		var n int
		err := json.Unmarshal(input, &n)
		return strings.Repeat("x", n), err
	}}, &endpoint.DeployOptions{PrimaryKey: "test-key", Settings: &endpoint.Settings{MaxBody: 16 << 20}})
	if err != nil {
		return err
	}
	fmt.Println(strings.TrimPrefix(ep.URL(), "http://"))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(held{runtime.NumGoroutine(), len(files), memory.HeapAlloc}); err != nil {
			return err
		}
	}
	return ep.Stop(ctx)
}
