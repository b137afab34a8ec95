package docker_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/internal/testenv"
)

// builder gives a driver whose images of that hash are removed with the test.
func builder(t *testing.T, hash string) (*docker.Driver, docker.Options) {
	opts := options(t, testenv.Docker(t))
	opts.BuildNetwork = "none"
	d := open(t, opts)
	t.Cleanup(func() {
		if err := d.RemoveImage(context.Background(), hash); err != nil {
			require.ErrorIs(t, err, azml.ErrNotFound)
		}
	})
	return d, opts
}

// text is a log that many may write to.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

func TestBuildImage(t *testing.T) {
	t.Parallel()
	const hash = "1111aaaa"
	d, opts := builder(t, hash)
	recipe := backend.ImageRecipe{Hash: hash, Base: testenv.DockerImage, Path: []string{"/opt/tools"}, Env: map[string]string{"INDEX": "s3cret-index"},
		Input: []byte("t0ken"), Setup: `id -u; mkdir /opt/tools; read x; echo "${#x} ${#INDEX}"; printf '#!/bin/sh\necho tool' > /opt/tools/tool; chmod +x /opt/tools/tool`}
	var log text
	made, err := d.BuildImage(t.Context(), recipe, &log)
	require.NoError(t, err)
	require.False(t, made.Reused)
	require.Equal(t, "0\n5 12\n", log.String())
	require.True(t, strings.HasPrefix(made.Env["PATH"], "/opt/tools:/"), made.Env)

	again, err := open(t, opts).BuildImage(t.Context(), backend.ImageRecipe{Hash: hash, Base: "another"}, io.Discard)
	require.NoError(t, err)
	require.True(t, again.Reused)
	again.Reused, again.LastUsed = made.Reused, made.LastUsed
	require.Equal(t, made, again)

	job := backend.Job{ID: "a", Command: []string{"tool"}, Dir: "/", Image: made.Name, Env: made.Env}
	_, out := finish(t, d, job)
	require.Equal(t, "tool\n", out)
	shown, err := exec.Command("docker", "-H", opts.Host, "inspect", made.Name).Output()
	require.NoError(t, err)
	history, err := exec.Command("docker", "-H", opts.Host, "history", "--no-trunc", made.Name).Output()
	require.NoError(t, err)
	for _, secret := range []string{"s3cret", "t0ken"} {
		require.NotContains(t, string(shown)+string(history), secret)
	}
	plain, err := exec.Command("docker", "-H", opts.Host, "run", "--rm", made.Name, "tool").Output()
	require.NoError(t, err)
	require.Equal(t, "tool\n", string(plain), "the image is one that others can run")
	requireNoBuilds(t, opts, hash)
	require.ErrorIs(t, d.RemoveImage(t.Context(), hash), azml.ErrConflict, "job a has it")
	require.NoError(t, d.Remove(t.Context(), "a"))
	require.NoError(t, d.RemoveImage(t.Context(), hash))
	require.ErrorIs(t, d.RemoveImage(t.Context(), hash), azml.ErrNotFound)
	for image, err := range d.Images(t.Context()) {
		require.NoError(t, err)
		require.NotEqual(t, hash, image.Hash)
	}
}

// requireNoBuilds says that no container of a build is left, running or not.
func requireNoBuilds(t *testing.T, opts docker.Options, hash string) {
	left, err := exec.Command("docker", "-H", opts.Host, "ps", "-aq", "--filter", "label=azml.job="+hash).Output()
	require.NoError(t, err)
	require.Empty(t, string(left))
}

func TestBuildImageOnce(t *testing.T) {
	t.Parallel()
	const hash = "2222bbbb"
	d, opts := builder(t, hash)
	drivers := []*docker.Driver{d, open(t, opts)}
	var log text
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			_, err := drivers[i%2].BuildImage(t.Context(), backend.ImageRecipe{Hash: hash, Base: testenv.DockerImage, Setup: "echo building; sleep 1"}, &log)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, strings.Count(log.String(), "building\n"), log.String())
}

// Builders with folders of their own know nothing of each other, and do each
// other no harm.
func TestBuildImageApart(t *testing.T) {
	t.Parallel()
	const hash = "6666ffff"
	d, opts := builder(t, hash)
	opts.Dir = t.TempDir()
	var wg sync.WaitGroup
	for _, d := range []*docker.Driver{d, open(t, opts)} {
		wg.Go(func() {
			made, err := d.BuildImage(t.Context(), backend.ImageRecipe{Hash: hash, Base: testenv.DockerImage, Setup: "sleep 1; echo made > /made"}, io.Discard)
			require.NoError(t, err)
			require.NotEmpty(t, made.Name)
		})
	}
	wg.Wait()
	requireNoBuilds(t, opts, hash)
}

func TestBuildImageFails(t *testing.T) {
	t.Parallel()
	const hash = "3333cccc"
	d, opts := builder(t, hash)
	for name, c := range map[string]struct {
		recipe backend.ImageRecipe
		class  error
		said   string
	}{
		"setup":        {backend.ImageRecipe{Base: testenv.DockerImage, Setup: "echo last words; exit 3"}, azml.ErrFailed, "last words\n"},
		"no such base": {backend.ImageRecipe{Base: "azml.invalid/no-such-image:0", Setup: "true"}, azml.ErrUnavailable, ""},
		"no base":      {backend.ImageRecipe{Setup: "true"}, azml.ErrInvalid, ""},
		"two bases":    {backend.ImageRecipe{Base: "a", Dockerfile: "FROM b"}, azml.ErrInvalid, ""},
		"Dockerfile":   {backend.ImageRecipe{Dockerfile: "FROM " + testenv.DockerImage + "\nRUN echo last words; exit 3\n"}, azml.ErrFailed, "last words\n"},
		"syntax":       {backend.ImageRecipe{Dockerfile: "NONSENSE"}, azml.ErrInvalid, ""},
	} {
		c.recipe.Hash = hash
		var log text
		_, err := d.BuildImage(t.Context(), c.recipe, &log)
		require.ErrorIs(t, err, c.class, name)
		require.Contains(t, log.String(), c.said, name)
		requireNoBuilds(t, opts, hash)
	}
	_, err := d.BuildImage(t.Context(), backend.ImageRecipe{Hash: "../x", Base: "a"}, io.Discard)
	require.ErrorIs(t, err, azml.ErrInvalid)
}

// TestBuildImageCutOff ends a build, and then one whose process is dead.
func TestBuildImageCutOff(t *testing.T) {
	t.Parallel()
	const hash = "4444dddd"
	d, opts := builder(t, hash)
	ctx, cancel := context.WithCancel(t.Context())
	var log text
	ended := make(chan error)
	recipe := backend.ImageRecipe{Hash: hash, Base: testenv.DockerImage, Setup: "echo begun; sleep 1000"}
	go func() {
		_, err := d.BuildImage(ctx, recipe, &log)
		ended <- err
	}()
	require.Eventually(t, func() bool { return log.String() == "begun\n" }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	requireNoBuilds(t, opts, hash)

	build := shell(hash, "sleep 1000")
	build.Env["PATH"] = "/usr/bin:/bin"
	dead := opts
	sum := sha256.Sum256([]byte(opts.Dir))
	dead.Name = "azml.build-" + hex.EncodeToString(sum[:6])
	require.NoError(t, backendtest.StartAndDie(t, starter{Options: &dead}, build))
	recipe.Setup = "true"
	_, err := d.BuildImage(t.Context(), recipe, io.Discard)
	require.NoError(t, err)
	requireNoBuilds(t, opts, hash)
}

func TestBuildDockerfile(t *testing.T) {
	t.Parallel()
	const hash = "5555eeee"
	d, _ := builder(t, hash)
	recipe := backend.ImageRecipe{Hash: hash, Dockerfile: "FROM " + testenv.DockerImage + "\nENV COLOUR=blue\nRUN useradd --uid 1500 app\nUSER app\n", Setup: "id -u > /who"}
	var log text
	made, err := d.BuildImage(t.Context(), recipe, &log)
	require.NoError(t, err)
	require.Contains(t, log.String(), "useradd")
	require.Equal(t, "blue", made.Env["COLOUR"])
	_, out := finish(t, d, backend.Job{ID: "a", Command: []string{"sh", "-c", "id -u; cat /who"}, Dir: "/", Image: made.Name, Env: made.Env})
	require.Equal(t, "1500\n0\n", out, "the image's own user, and root for the setup")
	require.NoError(t, d.Remove(t.Context(), "a"))
}
