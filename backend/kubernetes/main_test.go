package kubernetes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/kubernetes"
)

// starterEnv makes the test program a starter: it starts the job that it reads
// from standard input on the target that the variable describes, and waits to be
// killed.
const starterEnv = "AZML_TEST_STARTER"

func TestMain(m *testing.M) {
	given := os.Getenv(starterEnv)
	if given == "" {
		// Of a connection that is closed; it ends with its next tick, within five seconds.
		goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/client-go/tools/remotecommand.(*heartbeat).start"))
		return
	}
	var p placed
	var job backend.Job
	err := json.Unmarshal([]byte(given), &p)
	if err == nil {
		err = json.NewDecoder(os.Stdin).Decode(&job)
	}
	if err == nil {
		var d *kubernetes.Driver
		if d, err = p.driver(); err == nil {
			err = d.Start(context.Background(), job)
		}
	}
	fmt.Println(err)
	select {}
}

// placed is a target as processes of the tests hand it on.
type placed struct {
	Target     kubernetes.Target
	Kubeconfig []byte
	Name       string
	CacheDir   string
	Program    string
}

func (p placed) driver() (*kubernetes.Driver, error) {
	p.Target.Kubeconfig = p.Kubeconfig
	return kubernetes.New(p.Target, &kubernetes.Options{Name: p.Name, CacheDir: p.CacheDir, Patience: 30 * time.Second,
		Program: func(context.Context, backend.Platform) (string, error) { return p.Program, nil }})
}

// runner builds the program that pods get.
var runner = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "azml-kubernetes-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "jobs")
	build := exec.Command("go", "build", "-trimpath", "-o", file, "github.com/azml-go/azml/backend/backendtest/jobs")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return file, nil
})
