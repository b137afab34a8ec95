//go:build linux

package ssh_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/internal/testenv"
)

// boxes gives an engine of a machine, whose containers see the folder at /shared.
func boxes(t *testing.T, dir string) map[string]string {
	require.NoError(t, os.Chmod(dir, 0o777))
	source, err := docker.Config{Host: testenv.Docker(t).Host, Image: testenv.DockerImage, Network: "none", BuildNetwork: "none",
		Mounts: []docker.Mount{{Source: dir, Target: "/shared"}}}.Source()
	require.NoError(t, err)
	return source.Connection
}

// openBoxes gives a driver whose containers end with the test.
func openBoxes(t *testing.T, at server) *ssh.ContainerDriver {
	opened, err := at.driver()
	require.NoError(t, err)
	d := opened.(*ssh.ContainerDriver)
	t.Cleanup(func() {
		for s, err := range d.List(context.Background()) {
			require.NoError(t, err)
			require.NoError(t, d.Cancel(context.Background(), s.ID, 0))
			require.NoError(t, d.Remove(context.Background(), s.ID))
		}
		require.NoError(t, d.Close())
	})
	return d
}

// TestContainersConformance: an engine on the far side is a target like one here.
func TestContainersConformance(t *testing.T) {
	t.Parallel()
	at := sshd(t)
	testenv.Docker(t)
	bin := t.TempDir()
	backendtest.Compute(t, func(t *testing.T) backendtest.ComputeHarness {
		at := at
		at.Dir, at.Engine = t.TempDir(), boxes(t, t.TempDir())
		require.NoError(t, os.Symlink(bin, filepath.Join(at.Dir, "bin"))) // one copy is enough for all
		return backendtest.ComputeHarness{
			Compute: openBoxes(t, at),
			Dir:     "/shared",
			Image:   testenv.DockerImage,
			Limits:  true,
			Codes:   true,
			Alive:   func(t backendtest.TB, id string, pids []string) []string { return aliveIn(t, at.Engine, id, pids) },
			Reopen:  func() (backend.Compute, error) { return openBoxes(t, at), nil },
			StartAndDie: func(t backendtest.TB, job backend.Job) error {
				return backendtest.StartAndDie(t, at, job)
			},
		}
	})
}

// aliveIn gives those of the processes that are in the job's control group, by their
// numbers in the container.
func aliveIn(t backendtest.TB, engine map[string]string, id string, pids []string) []string {
	text, err := json.Marshal(engine)
	require.NoError(t, err)
	sum := sha256.Sum256(text)
	out, err := exec.Command("docker", "-H", engine["host"], "ps", "-aq", "--no-trunc",
		"--filter", "label=azml.driver=azml-"+hex.EncodeToString(sum[:6]), "--filter", "label=azml.job="+id).Output()
	require.NoError(t, err)
	container := strings.TrimSpace(string(out))
	require.NotEmpty(t, container)
	var left []string
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	require.NoError(t, err)
	for _, file := range groups {
		group, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(group), container) {
			continue // ended meanwhile, or another's
		}
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		_, numbers, _ := strings.Cut(string(status), "NSpid:")
		numbers, _, _ = strings.Cut(numbers, "\n")
		fields := strings.Fields(numbers)
		if len(fields) > 0 && slices.Contains(pids, fields[len(fields)-1]) {
			left = append(left, fields[len(fields)-1])
		}
	}
	return left
}

// TestContainersImages makes an image of a folder on the far side, and what can't be made.
func TestContainersImages(t *testing.T) {
	t.Parallel()
	at := sshd(t)
	at.Dir, at.Engine = t.TempDir(), boxes(t, t.TempDir())
	d := openBoxes(t, at)
	const hash = "5555ssh5555"
	t.Cleanup(func() {
		if err := d.RemoveImage(context.Background(), hash); err != nil {
			require.ErrorIs(t, err, azml.ErrNotFound)
		}
	})
	require.Equal(t, testenv.DockerImage, d.DefaultImage())
	from := backend.BuildContext{Dockerfile: "sub/Dockerfile", Write: func(_ context.Context, w io.Writer) error {
		a := tar.NewWriter(w)
		for name, text := range map[string]string{"sub/Dockerfile": "FROM " + testenv.DockerImage + "\nCOPY words /words\n", "words": strings.Repeat("word ", 500_000)} {
			if err := a.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}); err != nil {
				return err
			}
			if _, err := io.WriteString(a, text); err != nil {
				return err
			}
		}
		return a.Close()
	}}
	var log bytes.Buffer
	recipe := backend.ImageRecipe{Hash: hash, Context: &from, Setup: `read x; echo "given ${#x} ${#INDEX}"`, Input: []byte("t0ken"), Env: map[string]string{"INDEX": "s3cret"}}
	made, err := d.BuildImage(t.Context(), recipe, &log)
	require.NoError(t, err, log.String())
	require.False(t, made.Reused)
	require.Contains(t, log.String(), "given 5 6\n")
	again, err := d.BuildImage(t.Context(), recipe, io.Discard)
	require.NoError(t, err)
	require.True(t, again.Reused)
	var found []string
	for i, err := range d.Images(t.Context()) {
		require.NoError(t, err)
		found = append(found, i.Hash)
	}
	require.Contains(t, found, hash)
	require.True(t, slices.IsSorted(found))

	job := backend.Job{ID: "reads", Command: []string{"wc", "-c", "/words"}, Dir: "/", Image: made.Name, Env: made.Env}
	require.NoError(t, d.Start(t.Context(), job))
	s, err := d.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, backend.JobExited, s.State)
	out, err := d.Output(t.Context(), job.ID, &backend.OutputOptions{})
	require.NoError(t, err)
	said, err := io.ReadAll(out)
	require.NoError(t, errors.Join(err, out.Close()))
	require.Equal(t, "2500000 /words\n", string(said))
	require.ErrorIs(t, d.RemoveImage(t.Context(), hash), azml.ErrConflict)
	require.NoError(t, d.Remove(t.Context(), job.ID))
	require.NoError(t, d.RemoveImage(t.Context(), hash))

	log.Reset()
	recipe.Context, recipe.Base, recipe.Setup = nil, testenv.DockerImage, "echo last words; exit 3"
	_, err = d.BuildImage(t.Context(), recipe, &log)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.Equal(t, "last words\n", log.String())
	recipe.Base, recipe.Context = "", &backend.BuildContext{Dockerfile: "Dockerfile", Write: func(context.Context, io.Writer) error { return azml.ErrDamaged }}
	_, err = d.BuildImage(t.Context(), recipe, io.Discard)
	require.ErrorIs(t, err, azml.ErrDamaged)
	require.NoError(t, d.CheckLimits(t.Context(), backend.Limits{Memory: 1 << 20}))
	require.ErrorIs(t, d.CheckLimits(t.Context(), backend.Limits{CPUs: 100_000}), azml.ErrUnsupported)
}

func TestContainersRefused(t *testing.T) {
	t.Parallel()
	at := sshd(t)
	for name, c := range map[string]struct {
		engine backend.ComputeSource
		class  error
	}{
		"unknown kind":  {backend.ComputeSource{Type: "Nspawn"}, azml.ErrUnsupported},
		"nobody there":  {backend.ComputeSource{Type: docker.Type, Connection: map[string]string{"host": "unix:///run/azml-no-such.sock"}}, azml.ErrUnavailable},
		"wrong member":  {backend.ComputeSource{Type: docker.Type, Connection: map[string]string{"nonsense": "1"}}, azml.ErrInvalid},
		"not a machine": {backend.ComputeSource{Type: docker.Type, Connection: map[string]string{"host": "tcp://127.0.0.1:1"}}, azml.ErrUnsupported},
	} {
		config := at.config()
		config.Dir, config.Containers = t.TempDir(), &c.engine
		d, err := ssh.NewContainers(config, "")
		require.NoError(t, err, name)
		require.ErrorIs(t, d.Check(within(t)), c.class, name)
		require.NoError(t, d.Close())
	}
	_, err := ssh.NewContainers(at.config(), "")
	require.ErrorIs(t, err, azml.ErrInvalid)
}
