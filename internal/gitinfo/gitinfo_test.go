package gitinfo

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// noEnv is an environment without any variable.
func noEnv(string) (string, bool) { return "", false }

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{
		"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always",
	}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
}

// setup makes a repository on branch main with one commit of a.txt and
// sub/b.txt, and gives its folder and that commit.
func setup(t *testing.T, args ...string) (dir, commit string) {
	t.Helper()
	testenv.Git(t)
	dir = t.TempDir()
	git(t, dir, append([]string{"init", "--quiet"}, args...)...)
	write(t, dir, "a.txt", "a")
	write(t, dir, "sub/b.txt", "b")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "--quiet", "-m", "first")
	return dir, git(t, dir, "rev-parse", "HEAD")
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	props, err := Read(t.Context(), dir, noEnv)
	require.NoError(t, err)
	return props
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	clean := func(commit string) map[string]string {
		return map[string]string{Branch: "main", MLflowBranch: "main", Commit: commit, MLflowCommit: commit, Dirty: "False"}
	}
	t.Run("without remote", func(t *testing.T) {
		t.Parallel()
		dir, commit := setup(t)
		require.Equal(t, clean(commit), read(t, dir))
	})
	t.Run("with remote", func(t *testing.T) {
		t.Parallel()
		dir, commit := setup(t)
		git(t, dir, "remote", "add", "origin", "https://me:hunter2@example.com/x.git?token=hunter2")
		want := clean(commit)
		want[RepositoryURI], want[MLflowRepoURL] = "https://example.com/x.git", "https://example.com/x.git"
		require.Equal(t, want, read(t, dir))
	})
	t.Run("remote that is not the default one", func(t *testing.T) {
		t.Parallel()
		dir, commit := setup(t)
		git(t, dir, "remote", "add", "one", "https://example.com/1.git")
		git(t, dir, "remote", "add", "two", "https://example.com/2.git")
		require.Equal(t, clean(commit), read(t, dir))
		git(t, dir, "config", "branch.main.remote", "two")
		require.Equal(t, "https://example.com/2.git", read(t, dir)[RepositoryURI])
	})
	t.Run("sha256", func(t *testing.T) {
		t.Parallel()
		dir, commit := setup(t, "--object-format=sha256")
		require.Len(t, commit, 64)
		require.Equal(t, clean(commit), read(t, dir))
	})
	t.Run("detached HEAD", func(t *testing.T) {
		t.Parallel()
		dir, commit := setup(t)
		git(t, dir, "checkout", "--quiet", "--detach")
		require.Equal(t, map[string]string{Commit: commit, MLflowCommit: commit, Dirty: "False"}, read(t, dir))
	})
	t.Run("branch with slash", func(t *testing.T) {
		t.Parallel()
		dir, _ := setup(t)
		git(t, dir, "checkout", "--quiet", "-b", "feature/x")
		require.Equal(t, "feature/x", read(t, dir)[Branch])
	})
	t.Run("no commit yet", func(t *testing.T) {
		t.Parallel()
		setup(t) // for its check
		dir := t.TempDir()
		git(t, dir, "init", "--quiet")
		require.Equal(t, map[string]string{Branch: "main", MLflowBranch: "main", Dirty: "False"}, read(t, dir))
	})
	t.Run("worktree", func(t *testing.T) {
		t.Parallel()
		dir, commit := setup(t)
		tree := filepath.Join(t.TempDir(), "tree")
		git(t, dir, "worktree", "add", "--quiet", "-b", "other", tree)
		got := read(t, tree)
		require.Equal(t, "other", got[Branch])
		require.Equal(t, commit, got[Commit])
	})
	t.Run("submodule", func(t *testing.T) {
		t.Parallel()
		inner, innerCommit := setup(t)
		dir, _ := setup(t)
		git(t, dir, "submodule", "--quiet", "add", inner, "inner")
		git(t, dir, "commit", "--quiet", "-m", "submodule")
		got := read(t, filepath.Join(dir, "inner"))
		require.Equal(t, innerCommit, got[Commit])
		require.Equal(t, filepath.ToSlash(inner), got[RepositoryURI])
		require.Equal(t, "False", read(t, dir)[Dirty])
		write(t, dir, "inner/a.txt", "changed")
		require.Equal(t, "True", read(t, dir)[Dirty])
	})
	t.Run("bare and git's own folder", func(t *testing.T) {
		t.Parallel()
		dir, _ := setup(t)
		require.Empty(t, read(t, filepath.Join(dir, ".git")))
	})
	t.Run("no repository", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, read(t, t.TempDir()))
		require.Empty(t, read(t, filepath.Join(t.TempDir(), "missing")))
	})
}

func TestDirtyIsLimitedToTheFolder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file     string
		top, sub, stay string
	}{
		{"changed in the folder", "sub/b.txt", "True", "True", "False"},
		{"changed outside", "a.txt", "True", "False", "False"},
		{"new in the folder", "sub/new.txt", "True", "True", "False"},
		{"ignored", "sub/x.log", "False", "False", "False"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, _ := setup(t)
			write(t, dir, ".gitignore", "*.log\n")
			write(t, dir, "other/c.txt", "c")
			git(t, dir, "add", ".")
			git(t, dir, "commit", "--quiet", "-m", "second")
			git(t, dir, "config", "status.showUntrackedFiles", "no")
			write(t, dir, c.file, "changed")
			require.Equal(t, c.top, read(t, dir)[Dirty])
			require.Equal(t, c.sub, read(t, filepath.Join(dir, "sub"))[Dirty])
			require.Equal(t, c.stay, read(t, filepath.Join(dir, "other"))[Dirty])
		})
	}
}

func TestEnvironmentWins(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"AZUREML_GIT_REPOSITORY_URI": "https://tok@example.com/r", "AZUREML_GIT_BRANCH": "b", "AZUREML_GIT_COMMIT": "c",
		"AZUREML_GIT_DIRTY": "True", "AZUREML_GIT_BUILD_ID": "7", "AZUREML_GIT_BUILD_URI": "https://u:p@example.com/b?buildId=7&access_token=x",
	}
	env := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	want := map[string]string{
		RepositoryURI: "https://example.com/r", MLflowRepoURL: "https://example.com/r", Branch: "b", MLflowBranch: "b",
		Commit: "c", MLflowCommit: "c", Dirty: "True", BuildID: "7", BuildURI: "https://example.com/b?buildId=7",
	}
	dir, _ := setup(t)
	for _, dir := range []string{dir, t.TempDir()} {
		got, err := Read(t.Context(), dir, env)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	values = map[string]string{"AZUREML_GIT_BRANCH": " "}
	got, err := Read(t.Context(), dir, env)
	require.NoError(t, err)
	require.Equal(t, "main", got[Branch])
}

func TestHostileConfigurationRunsNothing(t *testing.T) {
	t.Parallel()
	dir, _ := setup(t)
	proof := filepath.Join(t.TempDir(), "proof")
	script := filepath.Join(dir, "evil.sh")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"$0 $@\" >>"+proof+"\ncat\n"), 0o700))
	hooks := filepath.Join(dir, "hooks")
	require.NoError(t, os.Mkdir(hooks, 0o700))
	require.NoError(t, os.Symlink(script, filepath.Join(hooks, "post-index-change")))
	write(t, dir, ".gitattributes", "*.txt filter=evil\n")
	for _, c := range [][2]string{
		{"core.fsmonitor", script}, {"core.sshCommand", script}, {"core.hooksPath", hooks}, {"core.pager", script}, {"pager.status", script},
		{"filter.evil.clean", script}, {"filter.evil.process", script}, {"filter.evil.required", "true"},
		{"credential.helper", "!" + script}, {"core.askPass", script}, {"diff.external", script}, {"remote.origin.url", "ssh://git@127.0.0.1:1/x"},
	} {
		git(t, dir, "config", c[0], c[1])
	}
	write(t, dir, "a.txt", "b") // same size, so that git must compare contents
	got := read(t, dir)
	require.Equal(t, "True", got[Dirty])
	require.Equal(t, "ssh://git@127.0.0.1:1/x", got[RepositoryURI])
	require.NoFileExists(t, proof)
}

func TestNothingIsWritten(t *testing.T) {
	t.Parallel()
	dir, _ := setup(t)
	index := filepath.Join(dir, ".git", "index")
	before, err := os.Stat(index)
	require.NoError(t, err)
	write(t, dir, "a.txt", "a") // a new time: git would like to refresh the index
	read(t, dir)
	after, err := os.Stat(index)
	require.NoError(t, err)
	require.Equal(t, before.ModTime(), after.ModTime())
}

func TestContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Read(ctx, t.TempDir(), noEnv)
	require.ErrorIs(t, err, context.Canceled)
}

func TestVariablesOfHooksAreLeftOut(t *testing.T) {
	t.Parallel()
	got := environment([]string{"PATH=/bin", "GIT_DIR=/x", "GIT_INDEX_FILE=/y", "GIT_CONFIG_GLOBAL=/z", "GIT_CONFIG_COUNT=1"})
	require.Equal(t, []string{"PATH=/bin", "GIT_CONFIG_GLOBAL=/z", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"}, got)
}

func TestCleanRemote(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://github.com/a/b.git":             "https://github.com/a/b.git",
		"https://token@github.com/a/b.git":       "https://github.com/a/b.git",
		"https://u:p@github.com:8443/a/b.git":    "https://github.com:8443/a/b.git",
		"https://u:p@ss@github.com/a":            "https://github.com/a",
		"https://u:p/s?s#@github.com/a":          "https://github.com/a",
		"https://u:p%40ss@github.com/a":          "https://github.com/a",
		"https://github.com/a@v1/b":              "https://github.com/a@v1/b",
		"https://github.com:80/a@v1/b":           "https://github.com:80/a@v1/b",
		"https://github.com/a?private_token=p#p": "https://github.com/a",
		"https://[::1]:80/a":                     "https://[::1]:80/a",
		"HTTPS://u:p@h/a":                        "HTTPS://h/a",
		"ext::https://u:p@h/a":                   "ext::https://h/a",
		"ssh://git@github.com/a/b":               "ssh://git@github.com/a/b",
		"ssh://git:p@github.com/a/b":             "ssh://git@github.com/a/b",
		"git@github.com:a/b.git":                 "git@github.com:a/b.git",
		"git:p@github.com:a/b.git":               "git@github.com:a/b.git",
		"github.com:a/b.git":                     "github.com:a/b.git",
		"/srv/git/a@b.git":                       "/srv/git/a@b.git",
		"../a:b@c":                               "../a:b@c",
		"file:///srv/git/a":                      "file:///srv/git/a",
		"  https://github.com/a \n":              "https://github.com/a",
		"":                                       "",
	} {
		require.Equal(t, want, cleanRemote(raw), raw)
	}
}

func TestCleanLink(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://dev.azure.com/o/_build/results?buildId=7&view=results": "https://dev.azure.com/o/_build/results?buildId=7&view=results",
		"https://u:p@h/b?sig=x&id=1&API%5FKEY=y#top":                    "https://h/b?id=1#top",
		"https://h/b?token=x#access_token=y":                            "https://h/b",
		"7":                                                             "7",
	} {
		require.Equal(t, want, cleanLink(raw), raw)
	}
}

func FuzzCleanRemote(f *testing.F) {
	f.Add("https://u:hunter2@h/a?b#c")
	f.Add("git:hunter2@h:a")
	f.Fuzz(func(t *testing.T, raw string) {
		once := cleanRemote(raw)
		require.LessOrEqual(t, len(once), len(raw))
		cleanLink(raw)
		if strings.Trim(raw, "abcdefghijklmnopqrstuvwxyz@:") == "" && raw != "" {
			require.NotContains(t, cleanRemote("https://u:HUNTER"+raw+"@h/a"), "HUNTER")
		}
	})
}
