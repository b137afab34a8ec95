package mlflow

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
)

// serveVariable makes the test program a server of the workspace in the folder
// that it names: one that can be killed.
const serveVariable = "AZML_TEST_MLFLOW_SERVE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveVariable); dir != "" {
		fmt.Fprintln(os.Stderr, serveFolder(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// serveFolder serves until the process is killed. It prints its address.
func serveFolder(dir string) error {
	objects, err := localfs.New(dir+"/ws", nil)
	if err != nil {
		return err
	}
	h := core.New(core.Config{Objects: objects, Secrets: memory.NewSecrets(), CacheDir: dir + "/cache", Workspace: testWorkspace})
	handler, err := New(h, nil)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens until it is killed
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	return http.Serve(listener, handler)
}
