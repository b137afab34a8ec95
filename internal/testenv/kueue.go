package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Kueue's module has its manifests, too.
const (
	kueueModule  = "sigs.k8s.io/kueue"
	kueueVersion = "v0.17.0"
)

// kueueImage finds the image that those manifests name.
var kueueImage = regexp.MustCompile(`image: \S+/kueue:\S+`)

// Kueue gives a cluster that no other process uses, in which Kueue runs as its own
// manifests have it, with webhooks and rights, but for its image and that image's user.
// There is no queue yet.
func Kueue(t testing.TB) *KubernetesCluster {
	t.Helper()
	dir := need(t, AbilityKueue, func() (string, error) { return kueue(t.Context(), false) })
	c := kubernetesNamed(t, alone+strconv.Itoa(os.Getpid())+"-kueue")
	if err := c.installKueue(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return c
}

// kueue gives a folder with Kueue's manifests and the files of its image, which are one
// static program, built from its source.
func kueue(ctx context.Context, again bool) (string, error) {
	if _, err := kubernetes(ctx, again); err != nil { // then nothing is to be built
		return "", fmt.Errorf("there is no Kubernetes for it: %w", err)
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", err
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	return c.installed(ctx, "kueue-"+kueueVersion, again, func(dir string) error {
		manifests, err := moduleFolder(ctx, goTool, kueueModule+"@"+kueueVersion, dir)
		if err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(dir, "config"), os.DirFS(filepath.Join(manifests, "config"))); err != nil {
			return err
		}
		_, err = output(ctx, "env", "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0", goTool, "install", "-ldflags=-s -w", kueueModule+"/cmd/kueue@"+kueueVersion)
		if err != nil {
			return err
		}
		_, err = output(ctx, "sh", "-c", `cd "$1" && mv kueue manager && tar --owner=0 --group=0 -cf image.tar manager && rm manager`, "sh", dir)
		return err
	})
}

// moduleFolder gives the folder with the source of a module. It is asked for in a folder
// that is in no module.
func moduleFolder(ctx context.Context, goTool, module, in string) (string, error) {
	said, err := output(ctx, goTool, "-C", in, "mod", "download", "-json", module)
	if err != nil {
		return "", err
	}
	var found struct{ Dir string }
	return found.Dir, json.Unmarshal([]byte(said), &found)
}

// installKueue installs Kueue, and waits until it is there.
func (c *KubernetesCluster) installKueue(ctx context.Context, dir string) error {
	image := c.Registry + "/azml-test/kueue:1"
	err := c.push(ctx, image, filepath.Join(dir, "image.tar"))
	if err != nil {
		return err
	}
	manifests, err := c.Run(ctx, "", "kustomize", filepath.Join(dir, "config", "default"))
	if err != nil {
		return err
	}
	if !kueueImage.MatchString(manifests) {
		return errors.New("the manifests of Kueue name no image of it")
	}
	own := kueueImage.ReplaceAllLiteralString(manifests, "image: "+image)
	own = strings.ReplaceAll(own, "runAsNonRoot: true", "runAsUser: 65532") // whom its own image names
	if _, err := c.Run(ctx, own, "apply", "--namespace=", "--server-side", "-f", "-"); err != nil {
		return err
	}
	_, err = c.Run(ctx, "", "wait", "-n", "kueue-system", "--for=condition=Available", "deployment/kueue-controller-manager", "--timeout=300s")
	if err != nil {
		return err
	}
	return c.awaitWebhooks(ctx)
}

// awaitWebhooks waits until the API server reaches what Kueue checks objects with: the
// service may be known to the proxy some seconds after its pod is ready.
func (c *KubernetesCluster) awaitWebhooks(ctx context.Context) error {
	const flavor = `{"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "probe"}}`
	for end := time.Now().Add(time.Minute); ; {
		_, err := c.Run(ctx, flavor, "create", "--dry-run=server", "-f", "-")
		if err == nil || time.Now().After(end) || ctx.Err() != nil {
			return err
		}
		time.Sleep(time.Second)
	}
}
