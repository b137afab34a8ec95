package pyenv

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// fake writes a shell script that stands for a program.
func fake(t *testing.T, dir, name, body string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("stands programs in by shell scripts")
	}
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	return path
}

func answer(path, version string) string {
	return `echo '{"path": "` + path + `", "version": "` + version + `"}'`
}

func TestFindPython(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"PATH": dir}
	_, err := findPython(t.Context(), "", "", env)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "there is none on the PATH")
	fake(t, dir, "python3", answer("/base/python3", "3.9.1"))
	fake(t, dir, "python", "exit 127")
	fake(t, dir, "python3.11", answer("/base/python3.11", "3.11.7"))
	fake(t, dir, "python3.13", answer("/base/python3.13", "3.13.0"))
	for version, want := range map[string]string{"": "3.9.1", "3.9": "3.9.1", "3.11": "3.11.7", ">=3.10,<3.13": "3.11.7", ">=3.10": "3.13.0", "3": "3.9.1"} {
		python, err := findPython(t.Context(), "", version, env)
		require.NoError(t, err, version)
		require.Equal(t, want, python.Version, version)
	}
	_, err = findPython(t.Context(), "", "3.12", env)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "python3 (3.9.1)")
	require.ErrorContains(t, err, "does not run")
	_, err = findPython(t.Context(), filepath.Join(dir, "python3.11"), "3.12", env)
	require.ErrorContains(t, err, "3.11.7")
	_, err = Build(t.Context(), Spec{PythonVersion: "three"}, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestBaseInterpreterNeedsNoBuild(t *testing.T) {
	t.Parallel()
	dir, cache := t.TempDir(), t.TempDir()
	// It is not even started when any version will do.
	path := fake(t, dir, "python3", "exit 1")
	opts := &BuildOptions{CacheDir: cache, Env: map[string]string{"PATH": dir}}
	env, err := Build(t.Context(), Spec{}, opts)
	require.NoError(t, err)
	require.Equal(t, path, env.Python)
	require.True(t, env.Reused)

	env, err = Build(t.Context(), Spec{UserManaged: true, InterpreterPath: path}, opts)
	require.NoError(t, err)
	require.Equal(t, path, env.Python)
	_, err = Build(t.Context(), Spec{UserManaged: true, InterpreterPath: "/no/python"}, opts)
	require.ErrorIs(t, err, azml.ErrNotFound)
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	base := map[string]string{"PATH": "/usr/bin", "PYTHONHOME": "/x", "VIRTUAL_ENV": "/old", "A": "b"}
	env := &Env{Dir: "/envs/e", Python: "/envs/e/bin/python"}
	require.Equal(t, map[string]string{"PATH": "/envs/e/bin" + string(filepath.ListSeparator) + "/usr/bin",
		"VIRTUAL_ENV": "/envs/e", "PYTHONUNBUFFERED": "1", "A": "b"}, env.Environ(base))
	require.Equal(t, "/x", base["PYTHONHOME"], "the caller's map was changed")
	plain := (&Env{Python: "/usr/bin/python3"}).Environ(map[string]string{"PYTHONUNBUFFERED": ""})
	require.Equal(t, map[string]string{"PATH": "/usr/bin", "PYTHONUNBUFFERED": ""}, plain)
}

func TestToolsSeeOnlyTheirVariables(t *testing.T) {
	t.Setenv("AZML_TEST_SECRET", "x") // not parallel: it changes the process's environment
	t.Setenv("PIP_INDEX_URL", "https://index.example.org")
	t.Setenv("MY_INDEX_PASSWORD", "y")
	t.Setenv("MY_CHANNEL_PASSWORD", "z")
	spec := Spec{PipOptions: []string{"--index-url https://u:${MY_INDEX_PASSWORD}@h/"},
		Channels: []string{"https://u:${MY_CHANNEL_PASSWORD}@h/", "https://u:${MY_INDEX_PASSWORD}@h/", "${PIP_INDEX_URL}/conda"}}
	known := toolEnviron(nil, spec)
	require.Equal(t, "z", known["MY_CHANNEL_PASSWORD"])
	env := withoutChannels(known, spec)
	require.NotContains(t, env, "MY_CHANNEL_PASSWORD", "packages run code of their own")
	require.NotContains(t, env, "AZML_TEST_SECRET")
	require.Equal(t, "https://index.example.org", env["PIP_INDEX_URL"])
	require.Equal(t, "y", env["MY_INDEX_PASSWORD"])
	require.NotEmpty(t, env["PATH"])
}
