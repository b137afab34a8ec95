package pyenv

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/testenv"
)

// condaPlace is where conda environments are made from channels of a test's own.
type condaPlace struct {
	base  string // the channel with Python, a URL
	cache string
	env   map[string]string
}

// build makes an environment of the spec, with the variables besides the tools' own.
func (p condaPlace) build(ctx context.Context, spec Spec, log *lines, variables map[string]string) (*Env, error) {
	env := toolEnviron(nil, Spec{})
	for _, more := range []map[string]string{p.env, variables} {
		for name, value := range more {
			env[name] = value
		}
	}
	return Build(ctx, spec, &BuildOptions{CacheDir: p.cache, Log: log, Env: env})
}

// channel makes a channel in a folder and gives its path.
func channel(t *testing.T, packages ...testenv.CondaPackage) string {
	dir := t.TempDir()
	testenv.PackConda(t, dir, packages...)
	return dir
}

// own is a package of no files.
func own(name, version string, depends ...string) testenv.CondaPackage {
	return testenv.CondaPackage{Name: name, Version: version, Depends: depends}
}

// TestConda makes conda environments, of channels with this machine's own Python.
func TestConda(t *testing.T) {
	t.Parallel()
	needPython(t)
	p := condaPlace{base: "file://" + testenv.CondaChannel(t), cache: t.TempDir(), env: map[string]string{"RATTLER_CACHE_DIR": t.TempDir()}}
	t.Run("packages", p.testPackages)
	for name, test := range map[string]func(*testing.T){"channels": p.testChannels, "credentials": p.testCredentials, "failures": p.testFailures, "cancel": p.testCancel} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

func (p condaPlace) testPackages(t *testing.T) {
	links := t.TempDir()
	wheel(t, links, "tinyone", "1.0")
	greeter := testenv.CondaPackage{Name: "greeter", Version: "1.5", Depends: []string{"python >=3", "words"}, Python: true, Files: map[string]string{
		"site-packages/greeter.py": "import words_at\nprint(open(words_at.place).read())\n"}}
	words := testenv.CondaPackage{Name: "words", Version: "2", Depends: []string{"python"}, Python: true, Files: map[string]string{
		"site-packages/words_at.py": "place = '" + testenv.CondaPrefix + "/share/words'\n",
		"share/words":               "hello from conda",
		"etc/conda/activate.d/w.sh": "export WORDS_HOME=\"$CONDA_PREFIX/share\"; echo activated\n",
		"bin/say-words":             "#!/bin/sh\ncat " + testenv.CondaPrefix + "/share/words\n"}}
	spec := localSpec(links, "tinyone")
	spec.Conda, spec.Channels = []string{"greeter >= 1.2"}, []string{"file://" + channel(t, greeter, words), p.base}
	log := newLines()
	env, err := p.build(t.Context(), spec, log, nil)
	require.NoError(t, err, "%s", log)
	require.False(t, env.Reused)
	require.Contains(t, log.String(), "greeter 1.5 0 from file://")
	require.Contains(t, log.String(), "installing words")
	require.Equal(t, "hello from conda", run(t, env, "python", "-m", "greeter"))
	require.Equal(t, "hello from conda", run(t, env, "say-words"))
	require.Equal(t, env.Dir, run(t, env, "python", "-c", "import sys; print(sys.prefix)"))
	require.Equal(t, "1.0", run(t, env, "python", "-c", "import tinyone; print(tinyone.version)"))
	require.Equal(t, env.Version, run(t, env, "python", "-c", "import platform; print(platform.python_version())"))
	require.Equal(t, env.Dir, env.Environ(nil)["CONDA_PREFIX"])
	require.Equal(t, env.Dir+"/share", run(t, env, "python", "-c", "import os; print(os.environ['WORDS_HOME'])"))
	require.Equal(t, map[string]string{"CONDA_PREFIX": env.Dir, "WORDS_HOME": env.Dir + "/share"}, activated(env.Dir))
	frozen, err := env.Freeze(t.Context())
	require.NoError(t, err)
	require.Contains(t, frozen, "tinyone==1.0")

	again, err := p.build(t.Context(), spec, log, nil)
	require.NoError(t, err)
	require.True(t, again.Reused)
	require.Equal(t, env.Dir, again.Dir)
	all, err := List(t.Context(), p.cache)
	require.NoError(t, err)
	require.Len(t, all, 2, "the environment, and what has installed it")
}

func (p condaPlace) testChannels(t *testing.T) {
	first, second := "file://"+channel(t, own("shared", "1.0")), "file://"+channel(t, own("shared", "2.0"), own("lone", "3"))
	log := newLines()
	_, err := p.build(t.Context(), Spec{Conda: []string{"shared", "lone"}, Channels: []string{first, second, p.base}}, log, nil)
	require.NoError(t, err, "%s", log)
	require.Contains(t, log.String(), "shared 1.0 0 from "+first, "the first channel that has it is the only one")
	require.Contains(t, log.String(), "lone 3 0 from "+second)

	company := t.TempDir()
	testenv.PackConda(t, filepath.Join(company, "mine"), own("shared", "9"))
	log = newLines()
	_, err = p.build(t.Context(), Spec{Conda: []string{"mine::shared"}, Channels: []string{"mine", p.base}}, log, map[string]string{"CONDA_CHANNEL_ALIAS": "file://" + company})
	require.NoError(t, err, "%s", log)
	require.Contains(t, log.String(), "shared 9 0 from file://"+company+"/mine")
}

func (p condaPlace) testCredentials(t *testing.T) {
	dir := channel(t, own("private", "1.0"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "s3cret-value" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.FileServer(http.Dir(dir)).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	spec := Spec{Conda: []string{"private"}, Channels: []string{"http://me:${CHANNEL_PASSWORD}@" + host, p.base}}
	log := newLines()
	_, err := p.build(t.Context(), spec, log, map[string]string{"CHANNEL_PASSWORD": "an0ther-value"})
	require.ErrorIs(t, err, azml.ErrDenied)
	require.NotContains(t, log.String()+err.Error(), "an0ther")
	env, err := p.build(t.Context(), spec, log, map[string]string{"CHANNEL_PASSWORD": "s3cret-value"})
	require.NoError(t, err, "%s", log)
	require.NotContains(t, log.String(), "s3cret")
	noted, err := os.ReadFile(filepath.Join(env.Dir, condaMeta, "private-1.0-0.json"))
	require.NoError(t, err)
	require.Contains(t, string(noted), `"http://`+host+`/noarch/private-1.0-0.conda"`)
	found, err := exec.CommandContext(t.Context(), "grep", "-rl", "s3cret", env.Dir).Output()
	require.Error(t, err, "in %s", found)
	require.Empty(t, found)
}

func (p condaPlace) testFailures(t *testing.T) {
	broken := httptest.NewServer(http.NotFoundHandler())
	nobody := broken.URL
	broken.Close()
	dir := "file://" + channel(t, own("one", "1", "base 1.*"), own("two", "1", "base 2.*"), own("base", "1"), own("base", "2"), own("incomplete", "1", "nowhere >=4"))
	for name, c := range map[string]struct {
		spec  Spec
		class error
		says  []string
	}{
		"no such version":  {Spec{Conda: []string{"one=7"}, Channels: []string{dir, p.base}}, azml.ErrInvalid, []string{"no set of conda packages fits", "one 7.*"}},
		"no such package":  {Spec{Conda: []string{"unheard-of"}, Channels: []string{dir, p.base}}, azml.ErrInvalid, []string{"no set of conda packages fits", "unheard-of"}},
		"missing its part": {Spec{Conda: []string{"incomplete"}, Channels: []string{dir, p.base}}, azml.ErrInvalid, []string{"no set of conda packages fits", "nowhere >=4"}},
		"conflict":         {Spec{Conda: []string{"one", "two"}, Channels: []string{dir, p.base}}, azml.ErrInvalid, []string{"no set of conda packages fits", "base"}},
		"no such Python":   {Spec{PythonVersion: "3.2", Conda: []string{"base"}, Channels: []string{dir, p.base}}, azml.ErrInvalid, []string{"python 3.2.*"}},
		"no such channel":  {Spec{Conda: []string{"base"}, Channels: []string{dir, "file:///no/such/channel"}}, azml.ErrInvalid, []string{"there is no such conda channel", "/no/such/channel"}},
		"nobody there":     {Spec{Conda: []string{"base"}, Channels: []string{nobody}}, azml.ErrUnavailable, []string{"can't be reached", nobody}},
	} {
		log := newLines()
		_, err := p.build(t.Context(), c.spec, log, nil)
		failed := &BuildError{}
		require.ErrorAs(t, err, &failed, name)
		require.ErrorIs(t, err, c.class, "%s: %v", name, err)
		require.Equal(t, "conda create", failed.Phase)
		require.Equal(t, 1, failed.ExitCode, "%s: %v", name, err)
		for _, says := range c.says {
			require.ErrorContains(t, err, says, name)
		}
		require.NoDirExists(t, filepath.Join(p.cache, "envs", c.spec.Hash()), name)
	}
}

// testCancel ends a build while its channel does not answer.
func (p condaPlace) testCancel(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	spec := Spec{Conda: []string{"anything"}, Channels: []string{server.URL}}
	go func() {
		<-asked
		cancel()
	}()
	_, err := p.build(ctx, spec, newLines(), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NoDirExists(t, filepath.Join(p.cache, "envs", spec.Hash()))
}

func TestCondaChannels(t *testing.T) {
	t.Parallel()
	env := map[string]string{"TOKEN": "abc"}
	for name, c := range map[string]struct {
		spec    Spec
		windows bool
		want    []string
	}{
		"none":              {Spec{}, false, []string{"conda-forge"}},
		"named":             {Spec{Channels: []string{"pytorch", "conda-forge"}}, false, []string{"pytorch", "conda-forge"}},
		"Anaconda's":        {Spec{Channels: []string{"defaults"}}, false, []string{"https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r"}},
		"on Windows":        {Spec{Channels: []string{"defaults"}}, true, []string{"https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r", "https://repo.anaconda.com/pkgs/msys2"}},
		"none of Anaconda":  {Spec{Channels: []string{"nodefaults"}}, false, []string{"conda-forge"}},
		"variable":          {Spec{Channels: []string{"https://h/t/${TOKEN}/c", "https://h/${UNSET}"}}, false, []string{"https://h/t/abc/c", "https://h/${UNSET}"}},
		"of single package": {Spec{Channels: []string{"a"}, Conda: []string{"b::x=1", "a::y", "b::z"}}, false, []string{"a", "b"}},
	} {
		require.Equal(t, c.want, c.spec.condaChannels(c.windows, env), name)
	}
}
