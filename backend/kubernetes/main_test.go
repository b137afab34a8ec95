package kubernetes_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/kubernetes"
)

func TestMain(m *testing.M) {
	backendtest.Starter(placed.driver)
	// Of a connection that is closed; it ends with its next tick, within five seconds.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/client-go/tools/remotecommand.(*heartbeat).start"))
}

// placed is a target as processes of the tests hand it on.
type placed struct {
	Target     kubernetes.Target
	Kubeconfig []byte
	Name       string
	CacheDir   string
	Program    string
	Unpacker   string // none when empty
	Patience   time.Duration
}

func (p placed) driver() (*kubernetes.Driver, error) {
	p.Target.Kubeconfig = p.Kubeconfig
	return kubernetes.New(p.Target, &kubernetes.Options{Name: p.Name, CacheDir: p.CacheDir, Patience: cmp.Or(p.Patience, 30*time.Second),
		Program: func(context.Context, backend.Platform) (string, error) { return p.Program, nil },
		Unpacker: func(context.Context, backend.Platform) (string, error) {
			if p.Unpacker == "" {
				return "", azml.ErrNotFound
			}
			return p.Unpacker, nil
		}})
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
