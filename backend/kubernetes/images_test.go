package kubernetes_test

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/internal/testenv"
)

// finish runs a job to its end and gives what it wrote.
func finish(t *testing.T, d *kubernetes.Driver, job backend.Job) (backend.JobStatus, string) {
	require.NoError(t, d.Start(t.Context(), job))
	s, err := d.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	r, err := d.Output(t.Context(), job.ID, &backend.OutputOptions{})
	require.NoError(t, err)
	defer r.Close()
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	return s, string(out)
}

// TestImages makes an image that adds, changes and deletes files, and runs it.
func TestImages(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	p := place(t, cluster)
	p.Target.Registry = cluster.Registry + "/azml-test/images-" + cluster.Namespace
	d, other := open(t, p), open(t, p)
	recipe := backend.ImageRecipe{Hash: "abc1", Base: cluster.Image, Path: []string{"/opt/made/bin"}, Input: []byte("given"), Env: map[string]string{"WORD": "there"},
		Setup: `set -e; echo working; mkdir -p /opt/made/bin; printf '#!/bin/sh\necho made\n' > /opt/made/bin/tool; chmod 755 /opt/made/bin/tool
ln /opt/made/bin/tool /opt/made/bin/again; ln -s tool /opt/made/bin/link; cat > /opt/made/input; echo $WORD > /opt/made/word
rm /etc/issue; rm -r /usr/share/base-files; echo changed > /etc/motd; chown 1234 /opt/made/word; echo no > /run/azml/trace`}
	var log bytes.Buffer
	var made [2]backend.Image
	var at sync.WaitGroup
	for i, on := range []*kubernetes.Driver{d, other} {
		at.Go(func() {
			to := io.Discard
			if i == 0 {
				to = &log
			}
			var err error
			if made[i], err = on.BuildImage(t.Context(), recipe, to); err != nil {
				t.Error(err)
			}
		})
	}
	at.Wait()
	require.NotEqual(t, made[0].Reused, made[1].Reused, "one of them makes it: %s", log.String())
	require.Equal(t, made[0].Name, made[1].Name)
	require.Contains(t, made[0].Env["PATH"], "/opt/made/bin:")
	require.NotContains(t, made[0].Env, "WORD")
	_, out := finish(t, d, backend.Job{ID: "says", Image: made[0].Name, Dir: "/", Env: made[0].Env, Command: []string{"/bin/sh", "-c",
		`tool; again; link; cat /opt/made/input /opt/made/word /etc/motd; ls /etc/issue /usr/share/base-files /run/azml/trace 2>&1 | grep -c "No such file"; stat -c %u /opt/made/word`}})
	require.Equal(t, "made\nmade\nmade\ngiventhere\nchanged\n3\n1234\n", out)

	for image, err := range d.Images(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, made[0].Name, image.Name)
		require.Positive(t, image.Size)
	}
	require.NoError(t, d.Start(t.Context(), backend.Job{ID: "holds", Image: made[0].Name, Dir: "/", Command: []string{"/bin/sleep", "1000"}}))
	require.ErrorIs(t, d.RemoveImage(t.Context(), "abc1"), azml.ErrConflict)
	require.NoError(t, d.Cancel(t.Context(), "holds", 0))
	require.NoError(t, d.RemoveImage(t.Context(), "abc1"))
	require.ErrorIs(t, d.RemoveImage(t.Context(), "abc1"), azml.ErrNotFound)
	require.NoDirExists(t, filepath.Join(p.CacheDir, "packed"), "images have brought the program")
	repository, err := name.NewRepository(p.Target.Registry)
	require.NoError(t, err)
	once := &http.Transport{DisableKeepAlives: true}
	tags, err := remote.List(repository, remote.WithContext(t.Context()), remote.WithTransport(once))
	require.NoError(t, err)
	require.Len(t, tags, 1, "that of the base and the program")

	recipe.Hash, recipe.Setup = "abc2", "echo reason >&2; exit 3"
	log.Reset()
	_, err = d.BuildImage(t.Context(), recipe, &log)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.Equal(t, "reason\n", log.String())
	recipe.Base = cluster.Registry + "/no/such:1"
	_, err = d.BuildImage(t.Context(), recipe, &log)
	require.ErrorIs(t, err, azml.ErrNotFound)
	p.Name = "build " + p.Target.Registry
	for s, err := range open(t, p).List(t.Context()) {
		require.NoError(t, err)
		require.Fail(t, "builds leave nothing", s.ID)
	}
}

// TestImageWaitsForRoom has a namespace without room for the pod that makes an image: whoever
// asks is told so, and it is made when there is some.
func TestImageWaitsForRoom(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	p := place(t, cluster)
	p.Target.Namespace = withQuota(t, cluster, "images", "0")
	p.Target.Registry = cluster.Registry + "/azml-test/room-" + cluster.Namespace
	d, other := open(t, p), open(t, p)
	_, err := other.BuildStatus(t.Context(), "abc1")
	require.ErrorIs(t, err, azml.ErrNotFound)
	made := make(chan error, 1)
	go func() {
		_, err := d.BuildImage(t.Context(), backend.ImageRecipe{Hash: "abc1", Base: cluster.Image, Setup: "touch /made"}, io.Discard)
		made <- err
	}()
	require.Eventually(t, func() bool {
		s, err := other.BuildStatus(t.Context(), "abc1")
		return err == nil && s.WaitsForRoom && strings.Contains(s.Reason, "exceeded quota: images")
	}, 5*time.Minute, 100*time.Millisecond, "what it waits for is told")
	cluster.Kubectl(t, "", "patch", "quota", "images", "-n", p.Target.Namespace, "--type=merge", "-p", `{"spec": {"hard": {"pods": "1"}}}`)
	require.NoError(t, <-made)
	_, err = other.BuildStatus(t.Context(), "abc1")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// TestRecipes are those that a cluster can't follow, and one that needs nothing.
func TestRecipes(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	d := open(t, place(t, cluster))
	for name, c := range map[string]struct {
		recipe backend.ImageRecipe
		class  error
	}{
		"no base":     {backend.ImageRecipe{Hash: "a"}, azml.ErrInvalid},
		"no hash":     {backend.ImageRecipe{Hash: "A/b", Base: cluster.Image}, azml.ErrInvalid},
		"Dockerfile":  {backend.ImageRecipe{Hash: "a", Dockerfile: "FROM x"}, azml.ErrUnsupported},
		"no registry": {backend.ImageRecipe{Hash: "a", Base: cluster.Image, Setup: "true"}, azml.ErrInvalid},
		"no name":     {backend.ImageRecipe{Hash: "a", Base: "UPPER case"}, azml.ErrInvalid},
	} {
		_, err := d.BuildImage(t.Context(), c.recipe, io.Discard)
		require.ErrorIs(t, err, c.class, name)
	}
	i, err := d.BuildImage(t.Context(), backend.ImageRecipe{Hash: "a", Base: cluster.Image}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, cluster.Image, i.Name)
	require.Positive(t, i.Size)
	for image, err := range d.Images(t.Context()) {
		require.NoError(t, err, image)
		require.Fail(t, "a target without a registry has no images")
	}
}
