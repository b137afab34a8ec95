package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
)

// TestDocker attaches a real engine and makes an environment an image there.
func TestDocker(t *testing.T) {
	t.Parallel()
	engine := testenv.Docker(t)
	s := setup(t)
	require.Contains(t, s.fails(t, exitError, "compute", "attach", "docker", "nowhere", "--host", "unix:///no/such/engine"), "no Docker engine answers")
	s.fails(t, exitError, "compute", "show", "nowhere")
	for _, flags := range [][]string{{"--memory", "much"}, {"--gpus", "some"}, {"--mount", "/data"}, {"--shm-size", "-1g"}} {
		s.fails(t, exitUsage, append([]string{"compute", "attach", "docker", "box"}, flags...)...)
	}
	require.Equal(t, "box", s.ok(t, "compute", "attach", "docker", "box", "--host", engine.Host, "--image", testenv.DockerImage, "--network", "none",
		"--build-network", "host", "--memory", "512m", "--cpus", "0.5", "--tag", "team=risk"))
	var d compute.Details
	s.json(t, &d, "compute", "show", "box")
	require.Equal(t, compute.Type("Docker"), d.Type)

	requirements := filepath.Join(t.TempDir(), "requirements.txt")
	require.NoError(t, os.WriteFile(requirements, fmt.Appendf(nil, "iniconfig==2.0.0,!=0.%d\n", time.Now().UnixNano()), 0o600)) // as in no image that was made before
	require.Equal(t, "e:1", s.ok(t, "environment", "register", "--name", "e", "-r", requirements, "--image", testenv.DockerImage))
	require.Contains(t, s.ok(t, "environment", "show", "e"), testenv.DockerImage)
	require.Contains(t, s.fails(t, exitError, "environment", "build", "e"), "name a compute target that does")
	require.Contains(t, s.ok(t, "environment", "explain", "e", "--compute", "box"), "it has to be made")
	var b environment.Built
	s.json(t, &b, "environment", "build", "e", "--compute", "box")
	require.Equal(t, environment.FormImage, b.Form)
	require.False(t, b.Reused)
	require.Contains(t, s.ok(t, "environment", "build", "e:1", "--compute", "box"), "was there already")
	require.Contains(t, s.ok(t, "environment", "explain", "e", "--compute", "box"), "it is reused")
	s.prunes(t, b, "box")
	require.Contains(t, s.ok(t, "environment", "explain", "e", "--compute", "box"), "it has to be made")
	s.fails(t, exitUsage, "environment", "build")
	s.fails(t, exitUsage, "environment", "prune", "--unused", "0")
}

// TestBuildContext registers an environment with a folder and makes it an image.
func TestBuildContext(t *testing.T) {
	t.Parallel()
	engine := testenv.Docker(t)
	s := setup(t)
	s.ok(t, "compute", "attach", "docker", "box", "--host", engine.Host, "--network", "none", "--build-network", "host")
	folder, mark := t.TempDir(), rand.Text() // as in no image that was made before
	for name, text := range map[string]string{"build/Dockerfile": "FROM " + testenv.DockerImage + "\nCOPY mark /mark\nRUN echo it has $(cat /mark)\n", "mark": mark, ".dockerignore": "*.key\n", "secret.key": "k"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	register := []string{"environment", "register", "--name", "own", "--build-context", folder}
	require.Contains(t, s.fails(t, exitError, register...), `has no file "Dockerfile"`)
	require.Contains(t, s.fails(t, exitUsage, append(register, "--image", testenv.DockerImage)...), "none of the others can be")
	register = append(register, "--dockerfile", "build/Dockerfile")
	require.Equal(t, "own:1", s.ok(t, register...))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "secret.key"), []byte("another"), 0o600))
	require.Equal(t, "own:1", s.ok(t, register...), "what is ignored makes no new version")
	require.Regexp(t, `Build context: +[0-9a-f]{64}\nDockerfile: +build/Dockerfile`, s.ok(t, "environment", "show", "own"))
	require.NoError(t, os.RemoveAll(folder), "the workspace has what is needed")

	require.Contains(t, s.fails(t, exitError, "environment", "build", "own"), "name a compute target that does")
	got := s.call(t, "environment", "build", "own", "--compute", "box", "-o", "json")
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stderr, "it has "+mark, "what the builder says is shown")
	var b environment.Built
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &b))
	require.Equal(t, environment.FormImage, b.Form)
	require.Contains(t, s.ok(t, "environment", "build", "own:1", "--compute", "box"), "was there already")
	s.prunes(t, b, "box")
}

// pruning is held by a test while its image is the one that prune is to remove.
var pruning sync.Mutex

// prunes lets twenty years pass since the image was used, and has those removed that were
// not for ten: the engine has images of other tests, which are about to be used.
func (s *shell) prunes(t *testing.T, made environment.Built, target string) {
	t.Helper()
	pruning.Lock()
	defer pruning.Unlock()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	used := time.Now().AddDate(-20, 0, 0)
	require.NoError(t, os.Chtimes(filepath.Join(cache, "azml", "docker", "images", made.Hash), used, used))
	var removed []environment.Built
	s.json(t, &removed, "environment", "prune", "--unused", "3650d", "--compute", target)
	require.Len(t, removed, 1)
	require.Equal(t, made.Place, removed[0].Place)
}
