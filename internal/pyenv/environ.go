package pyenv

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// toolVariables are the variables of the process that Python, pip and rattler
// get: what they need to find programs, folders, indexes and certificates.
// Packages run code of their own while they are installed, so nothing else of
// the process's environment is shown to them.
var toolVariables = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "TEMP", "TMP", "TZ", "NETRC",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"LD_LIBRARY_PATH", "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "PKG_CONFIG_PATH",
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA",
	"PROGRAMFILES", "PROGRAMDATA", "USERPROFILE",
}

// toolPrefixes are beginnings of further such variables.
var toolPrefixes = []string{"LC_", "XDG_", "PIP_", "PYENV_", "CONDA_", "RATTLER_"}

// toolEnviron gives the environment of the tools: base when it is not nil,
// else the allowed part of the process's own, with the variables that the spec
// names in its URLs.
func toolEnviron(base map[string]string, s Spec) map[string]string {
	if base != nil {
		return base
	}
	env := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if forTools(name) {
			env[name] = value
		}
	}
	for _, name := range named(s.PipOptions, s.Pip, s.Constraints, s.Channels) {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	return env
}

// withoutChannels leaves out what only the URLs of channels name, such as a password:
// rattler gets it by its standard input, and packages run code of their own.
func withoutChannels(env map[string]string, s Spec) map[string]string {
	out := maps.Clone(env)
	for _, name := range named(s.Channels) {
		if !forTools(name) && !slices.Contains(named(s.PipOptions, s.Pip, s.Constraints), name) {
			delete(out, name)
		}
	}
	return out
}

// named lists the variables that lines name.
func named(lines ...[]string) (names []string) {
	for _, line := range slices.Concat(lines...) {
		for _, match := range variable.FindAllStringSubmatch(line, -1) {
			names = append(names, match[1])
		}
	}
	return names
}

func forTools(name string) bool {
	upper := strings.ToUpper(name)
	return slices.Contains(toolVariables, upper) ||
		slices.ContainsFunc(toolPrefixes, func(prefix string) bool { return strings.HasPrefix(upper, prefix) })
}

// environList writes the environment as os/exec wants it. It is never nil,
// which os/exec would take for the process's own environment.
func environList(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for name, value := range env {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

// variableName finds the spelling in which a variable is set: Windows takes
// Path for PATH.
func variableName(env map[string]string, name string) string {
	if runtime.GOOS == "windows" {
		for have := range env {
			if strings.EqualFold(have, name) {
				return have
			}
		}
	}
	return name
}

// lookPath finds a program by path, or by name in the PATH of env.
func lookPath(name string, env map[string]string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) || strings.Contains(name, "/") {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(env[variableName(env, "PATH")]) {
		// A relative folder on the PATH would run what lies in the work folder.
		if !filepath.IsAbs(dir) {
			continue
		}
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}
