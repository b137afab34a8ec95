package pyenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// imageDir is where images have the environment.
const imageDir = "/opt/azml/environment"

// Setup says how an environment gets into an image that has a Python, which conda
// packages need to be installed by, too. The zero Setup leaves the image as it is.
type Setup struct {
	// Script is for /bin/sh, run as root.
	Script string
	// Input is what the script reads from its standard input. It may hold
	// credentials.
	Input []byte
	// Env is the script's environment besides the image's own. It may hold
	// credentials.
	Env map[string]string
	// Path are the folders that come first in the image's PATH, so that "python3"
	// and the packages' scripts are the right ones.
	Path []string
}

// InImage has run put the environment into an image, with a log that gets whole
// lines without secrets. An error of run that wraps ErrFailed, for the script,
// becomes a *BuildError with the last of these lines. Errors: ErrInvalid for an
// unsound spec, and those of run.
func InImage(ctx context.Context, spec Spec, log io.Writer, run func(setup Setup, log io.Writer) error) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	setup := spec.setup()
	lines := &lineWriter{to: log, mask: newMasker(spec, toolEnviron(nil, spec))}
	err := run(setup, lines)
	lines.flush()
	if err == nil || !errors.Is(err, azml.ErrFailed) || ctx.Err() != nil {
		return err
	}
	return newBuildError("image", err, lines.last)
}

// setup writes the script. A spec without packages needs nothing but a Python that
// fits; a user managed one not even that.
func (s Spec) setup() Setup {
	clauses, _ := parseVersions(s.PythonVersion) // it was validated
	if s.UserManaged || s.Empty() && len(clauses) == 0 {
		return Setup{}
	}
	var b strings.Builder
	b.WriteString("set -e\n")
	if len(s.Conda) > 0 {
		clauses, _ = parseVersions(condaToolPython) // of what installs; the environment has its own
	}
	writeFindPython(&b, clauses)
	if s.Empty() {
		return Setup{Script: b.String()}
	}
	b.WriteString(forgetCertificates)
	env := toolEnviron(nil, s)
	setup := Setup{Env: imageEnviron(env, s), Path: []string{imageDir + "/bin"}}
	if len(s.Conda) > 0 {
		setup.Input = s.writeConda(&b, env)
	} else {
		b.WriteString("\"$python\" -I -m venv --system-site-packages " + imageDir + "\n")
	}
	if len(s.Pip) > 0 {
		setup.Input = append(setup.Input, s.writePip(&b)...)
	}
	setup.Script = b.String()
	return setup
}

// forgetCertificates has the script do without those files of certificates that the
// image does not have.
const forgetCertificates = `for certificates in PIP_CERT SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE; do
	eval "file=\${$certificates:-}"
	[ -z "$file" ] || [ -e "$file" ] || unset "$certificates"
done
`

// writeFindPython has the script take the first Python that fits.
func writeFindPython(b *strings.Builder, clauses []clause) {
	names := []string{"python3", "python"}
	if prefix := prefixOf(clauses); prefix != "" {
		names = append([]string{"python" + prefix}, names...)
	}
	conditions := []string{"v[0] == 3"}
	for _, c := range clauses {
		conditions = append(conditions, c.python())
	}
	check := "import sys; v = sys.version_info[:3]; sys.exit(not (" + strings.Join(conditions, " and ") + "))"
	fmt.Fprintf(b, `python=
for p in %s; do
	if [ -z "$python" ] && "$p" -I -c %s 2>/dev/null; then python=$p; fi
done
if [ -z "$python" ]; then echo "no Python of the image fits: requires a different Python" >&2; exit 1; fi
"$python" --version
`, strings.Join(names, " "), shellWord(check))
}

// python writes the clause in Python, for a version v of three numbers.
func (c clause) python() string {
	tuple := func(parts []int) string {
		return "(" + strings.ReplaceAll(strings.Trim(fmt.Sprint(parts), "[]"), " ", ", ") + ",)"
	}
	switch c.op {
	case "<", "<=", ">", ">=":
		return "v " + c.op + " " + tuple(append(slices.Clone(c.parts), 0, 0, 0)[:3])
	case "!=":
		return fmt.Sprintf("v[:%d] != %s", len(c.parts), tuple(c.parts))
	default:
		return fmt.Sprintf("v[:%d] == %s", len(c.parts), tuple(c.parts))
	}
}

// writeConda has the script make a conda environment, by what is not kept in the
// image, and gives what it reads of the script's input.
func (s Spec) writeConda(b *strings.Builder, env map[string]string) []byte {
	fmt.Fprintf(b, `tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
"$python" -I -m venv "$tool/python"
"$tool/python/bin/python" -I -m pip install --no-cache-dir --disable-pip-version-check --no-input --no-color \
	--progress-bar off --quiet %s
IFS= read -r request
printf '%%s\n' "$request" | RATTLER_CACHE_DIR="$tool/cache" "$tool/python/bin/python" -I -u -c %s
rm -rf "$tool"
`, shellWord(condaTool), shellWord(condaScript))
	return s.condaInput(imageDir, false, env)
}

// between stands between the requirements and the constraints of the input. No
// requirement looks like it.
const between = "----"

// writePip has the script install the requirements, which come through its input:
// the script itself can be seen in process lists.
func (s Spec) writePip(b *strings.Builder) []byte {
	fmt.Fprintf(b, `lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
: > "$lists/constraints"
list=requirements
while IFS= read -r line; do
	if [ "$line" = %s ]; then list=constraints; continue; fi
	printf '%%s\n' "$line" >> "$lists/$list"
done
%s/bin/python -I -m pip install --no-cache-dir --disable-pip-version-check --no-input --no-color \
	--progress-bar off --requirement "$lists/requirements" --constraint "$lists/constraints"
`, between, imageDir)
	var input strings.Builder
	for _, line := range slices.Concat(s.PipOptions, s.Pip, []string{between}, s.Constraints) {
		input.WriteString(line + "\n")
	}
	return []byte(input.String())
}

// imageVariables are those variables of pip, conda and proxies that mean the same in
// an image. Files of certificates count where the image has them.
var imageVariables = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_NO_INDEX", "PIP_PROXY", "PIP_CERT",
	"PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT", "PIP_RETRIES", "CONDA_CHANNEL_ALIAS", "CONDA_OVERRIDE_CUDA",
}

// imageEnviron keeps of a machine's environment what is for images, and what the
// spec names.
func imageEnviron(env map[string]string, s Spec) map[string]string {
	named := map[string]bool{}
	for _, line := range slices.Concat(s.PipOptions, s.Pip, s.Constraints) {
		for _, match := range variable.FindAllStringSubmatch(line, -1) {
			named[match[1]] = true
		}
	}
	env = maps.Clone(env)
	maps.DeleteFunc(env, func(name, _ string) bool {
		return !named[name] && !slices.Contains(imageVariables, strings.ToUpper(name))
	})
	return env
}

// shellWord gives a word of the shell's that is the text.
func shellWord(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
