package docker_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/internal/testenv"
)

// TestRegistry pulls an image of a registry that wants a login, as what jobs and
// other images begin with.
func TestRegistry(t *testing.T) {
	t.Parallel()
	engine, registry := testenv.Docker(t), testenv.Registry(t)
	mine := docker.Registry{Address: registry.Address, Username: registry.User, Password: registry.Password}
	image := registry.Address + "/team/base:1"
	push(t, engine, mine, image)
	with := func(logins ...docker.Registry) docker.Options {
		opts := options(t, engine)
		opts.Registries = logins
		return opts
	}
	wrong := mine
	wrong.Password = "another"
	job := shell("a", "echo in")
	job.Image = image
	elsewhere := docker.Registry{Address: "registry.example.com", Username: mine.Username, Password: mine.Password}
	for name, opts := range map[string]docker.Options{"no login": with(), "wrong login": with(wrong), "another registry's": with(elsewhere)} {
		err := open(t, opts).Start(t.Context(), job)
		require.ErrorIs(t, err, azml.ErrDenied, name)
		require.NotContains(t, err.Error(), mine.Password, name)
	}
	opts := with(elsewhere, mine)
	opts.BuildNetwork = "none"
	d := open(t, opts)
	var log bytes.Buffer
	made, err := d.BuildImage(t.Context(), backend.ImageRecipe{Hash: "registrytest", Dockerfile: "FROM " + image + "\nRUN true\n"}, &log)
	require.NoError(t, err, log.String())
	t.Cleanup(func() { require.NoError(t, d.RemoveImage(context.Background(), made.Hash)) })
	gone, err := exec.Command("docker", "-H", engine.Host, "rmi", "-f", image).CombinedOutput()
	require.NoError(t, err, "%s", gone)
	_, out := finish(t, d, job)
	require.Equal(t, "in\n", out)
	t.Cleanup(func() { _ = exec.Command("docker", "-H", engine.Host, "rmi", "-f", image).Run() })
}

// push puts the image of tests into the registry under that name, and off the engine.
func push(t *testing.T, engine *testenv.DockerEngine, to docker.Registry, image string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.Mkdir(config, 0o700))
	run := func(input string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "docker", append([]string{"-H", engine.Host, "--config", config}, args...)...)
		cmd.Stdin = bytes.NewReader([]byte(input))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	// A small one of its own: the layers of that of tests are on the engine anyway.
	run("FROM "+testenv.DockerImage+"\nLABEL pushed=1\n", "build", "-t", image, "-")
	run(to.Password, "login", "-u", to.Username, "--password-stdin", to.Address)
	run("", "push", image)
	run("", "rmi", image)
}

func TestRegistriesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, list := range map[string][]docker.Registry{
		"address":  {{Address: "https://registry.example.com", Username: "u", Password: "p"}},
		"image":    {{Address: "python", Username: "u", Password: "p"}},
		"nobody":   {{Address: "registry.example.com", Password: "p"}},
		"password": {{Address: "registry.example.com", Username: "u"}},
		"twice":    {{Address: "registry.example.com", Username: "u", Password: "p"}, {Address: "registry.example.com", Username: "v", Password: "p"}},
	} {
		_, err := docker.Config{Registries: list}.Source()
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
	source, err := docker.Config{Registries: []docker.Registry{{Address: "docker.io", Username: "u", Password: "s3cret-value"}}}.Source()
	require.NoError(t, err)
	require.NotContains(t, source.Connection, "registries")
	source.CacheDir = t.TempDir()
	opened, err := docker.Kind{}.Open(t.Context(), source)
	require.NoError(t, err)
	require.NoError(t, opened.Close())
	source.Credentials = backend.Credentials{"registries": "{"}
	_, err = docker.Kind{}.Open(t.Context(), source)
	require.ErrorIs(t, err, azml.ErrInvalid)
}
