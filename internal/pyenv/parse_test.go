package pyenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

func TestParseRequirements(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("sub/base.txt", "scipy\n-r more.txt\n")
	write("sub/more.txt", "pandas # tables\n")
	write("limits.txt", "numpy<3\n")
	spec, err := ParseRequirements([]byte("\ufeff# heading\r\n"+
		"--index-url https://example.org/simple\r\n"+
		"-f https://example.org/wheels --no-index\n"+
		"numpy >= 1.26, \\\n   < 3 # why\n\n"+
		"torch[cuda]==2.1 ; python_version >= '3.9'\n"+
		"a==1 \\\n --hash=sha256:AB \\\n --hash=sha256:cd\n"+
		"pkg @ https://example.org/pkg-1.whl#sha256=ab\n"+
		"-r sub/base.txt\n-c limits.txt"), dir)
	require.NoError(t, err)
	require.Equal(t, []string{"numpy >= 1.26,    < 3", "torch[cuda]==2.1 ; python_version >= '3.9'",
		"a==1  --hash=sha256:AB  --hash=sha256:cd", "pkg @ https://example.org/pkg-1.whl#sha256=ab", "scipy", "pandas"}, spec.Pip)
	require.Equal(t, []string{"numpy<3"}, spec.Constraints)
	require.Equal(t, []string{"--index-url https://example.org/simple", "--find-links https://example.org/wheels", "--no-index"}, spec.PipOptions)
	require.NoError(t, spec.Validate())
}

func TestParseRequirementsRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "loop.txt"), []byte("-r loop.txt\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.txt"), []byte("ok\n\n???\n"), 0o644))
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "link.txt")))
	for text, words := range map[string]string{
		"numpy\n-e .":                       "line 2: -e . is an editable install",
		"--editable=./x":                    "editable",
		"-r ../other.txt":                   "outside the folder",
		"-r /etc/hostname":                  "outside the folder",
		"-r link.txt":                       "line 1",
		"-r loop.txt":                       "includes itself",
		"-r bad.txt":                        "bad.txt, line 3",
		"-r https://u:pass12@h/x":           "is a URL",
		"./wheels/a.whl":                    "local file",
		"a-1.0-py3-none-any.whl":            "local file",
		"--find-links wheels":               "relative path",
		"--no-such-option":                  "not an option",
		"--index-url":                       "needs a value",
		"--pre=1":                           "takes no value",
		"numpy=1.26":                        "not a version clause",
		"numpy 1.26":                        "not a version clause",
		"numpy --install-option=x":          "only --hash",
		"pkg @ nowhere":                     "URL is expected",
		"a\n\\\nb c d":                      "line",
		"a[b!]":                             "extra",
		"ok\n'":                             "line 2",
		"https://u:pass12@h/x y":            "white space",
		"-i 'https://unclosed":              "quote",
		"--find-links \"/a'b\" -i \"x'y\"z": "",
	} {
		_, err := ParseRequirements([]byte(text), dir)
		if words == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.ErrorContains(t, err, words, text)
		require.NotContains(t, err.Error(), "pass12")
	}
	_, err := ParseRequirements([]byte("-r nothere.txt"), dir)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = ParseRequirements([]byte("-r bad.txt"), "")
	require.ErrorContains(t, err, "can't be included here")
}

func TestParseConda(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.txt"), []byte("flask\n"), 0o644))
	name, spec, err := ParseConda([]byte(`# comment
name: project_environment
dependencies:
- python=3.11
- pip=23.2
- numpy 1.26
- conda-forge::cudatoolkit >= 11.8
- pip:
  - --extra-index-url https://example.org/simple
  - requests==2.31
  - -r r.txt
channels:
- anaconda
- conda-forge
prefix: /ignored
`), dir)
	require.NoError(t, err)
	require.Equal(t, "project_environment", name)
	require.Equal(t, Spec{PythonVersion: "3.11", Pip: []string{"pip==23.2.*", "requests==2.31", "flask"},
		PipOptions: []string{"--extra-index-url https://example.org/simple"},
		Conda:      []string{"numpy=1.26", "conda-forge::cudatoolkit>=11.8"}, Channels: []string{"anaconda", "conda-forge"}}, spec)

	out, err := FormatConda(name, spec)
	require.NoError(t, err)
	backName, back, err := ParseConda(out, "")
	require.NoError(t, err)
	require.Equal(t, name, backName)
	require.Equal(t, spec.Hash(), back.Hash())
	_, err = FormatConda("", Spec{UserManaged: true})
	require.ErrorIs(t, err, azml.ErrUnsupported)
}

func TestPythonInACondaFile(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"python": "", "python=3.11": "3.11", "python==3.11.7": "3.11.7", "python 3.11": "3.11", "python=3.11.*": "3.11",
		"python=3.11.7=h1234_0": "3.11.7", "python==3.11=h1_cpython": "3.11", "python 3.11 h1_0": "3.11", "conda-forge::python=3.11": "3.11",
		"python>=3.9": ">=3.9", "python >= 3.9": ">=3.9", "python>3.9": ">3.9", "python!=3.9.7": "!=3.9.7", "python<=3.12": "<=3.12",
		"python>=3.9,<3.13": ">=3.9,<3.13", "python>=3.9,!=3.10.2": ">=3.9,!=3.10.2", "python=3.9,!=3.9.7": "3.9,!=3.9.7",
	} {
		_, spec, err := ParseConda([]byte("dependencies: [\""+text+"\"]"), "")
		require.NoError(t, err, text)
		require.Equal(t, want, spec.PythonVersion, text)
		out, err := FormatConda("", spec)
		require.NoError(t, err, text)
		_, back, err := ParseConda(out, "")
		require.NoError(t, err, "%s: %s", text, out)
		require.Equal(t, spec.Hash(), back.Hash(), text)
	}
}

func TestParseCondaRefuses(t *testing.T) {
	t.Parallel()
	for text, words := range map[string]string{
		"":                                      "mapping",
		"- a":                                   "mapping",
		"a: [":                                  "conda file",
		"dependencies: numpy":                   "line 1: a list",
		"dependencies:\n- --help":               "line 2",
		"dependencies:\n- defaults::numpy":      "several channels",
		"dependencies:\n- python=three":         "line 2",
		"dependencies:\n- pip:\n  - -e .":       "line 3: requirements, line 1: -e",
		"dependencies:\n- pip: a":               "a list is expected",
		"dependencies:\n- npm: [a]":             "line 2",
		"name: [a]":                             "text is expected",
		"channels: [--x]":                       "channel",
		"dependencies:\n- &a\n  pip:\n  - *a\n": "line",
	} {
		_, _, err := ParseConda([]byte(text), "")
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.ErrorContains(t, err, words, text)
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	base := Spec{PythonVersion: ">=3.9,<3.13", Pip: []string{"Scikit_Learn >= 1.0, < 2", "b[y,x]"},
		PipOptions: []string{"--index-url https://u:p@example.org/simple/"}, Conda: []string{"x=1", "y"}}
	same := Spec{PythonVersion: "<3.13, >=3.9", Pip: []string{"b[x, y]", "scikit-learn<2,>=1.0", "b[x,y]"},
		PipOptions: []string{"-i https://other:word@example.org/simple"}, Conda: []string{"Y", "x = 1"}}
	require.Equal(t, base.Hash(), same.Hash())
	require.Len(t, base.Hash(), 64)
	seen := map[string]string{}
	for name, spec := range map[string]Spec{
		"empty": {}, "base": base, "python": {PythonVersion: "3.11"}, "pip": {Pip: []string{"a"}}, "pip 1": {Pip: []string{"a==1"}},
		"marker": {Pip: []string{"a; python_version<'3'"}}, "constraint": {Constraints: []string{"a"}}, "conda": {Conda: []string{"a"}},
		"channel": {Channels: []string{"a"}}, "channels": {Channels: []string{"a", "b"}}, "channels other": {Channels: []string{"b", "a"}},
		"managed": {UserManaged: true}, "managed by": {UserManaged: true, InterpreterPath: "/p"}, "option": {PipOptions: []string{"--pre"}},
		"hashes": {Pip: []string{"a --hash=sha256:ab"}}, "url": {Pip: []string{"a @ https://h/a"}},
	} {
		require.NotContains(t, seen, spec.Hash(), "%s has the hash of %s", name, seen[spec.Hash()])
		seen[spec.Hash()] = name
	}
	// Cached environments are found by it: it must stay what it is.
	require.Equal(t, "ea298f0b0e1bbdc974a4ae0469a4d72cb0dc51fcc4014354d98e91bfd544cf52", Spec{PythonVersion: "3.11", Pip: []string{"numpy==1.26"}}.Hash())
}

func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	spec := Spec{Pip: []string{"a @ https://ghp_token123@example.org/a.whl", "b @ https://h/b.whl?sig=abcdefgh%2Fx"},
		PipOptions: []string{"--index-url https://user:sekret99@example.org/simple", "--extra-index-url https://u:${INDEX_PASS}@h/"},
		Channels:   []string{"https://conda.example.org/t/tk-12345/main"}}
	require.NoError(t, spec.Validate())
	m := newMasker(spec, map[string]string{"INDEX_PASS": "from the env"})
	text := m.mask("ghp_token123 sekret99 abcdefgh/x abcdefgh%2Fx tk-12345 from the env https://x:y@h/")
	require.Equal(t, "**** **** **** **** **** **** https://****@h/", text)
	for _, shown := range []string{spec.String(), fmt.Sprintf("%v %+v %#v", spec, &spec, spec)} {
		for _, secret := range []string{"ghp_token123", "sekret99", "abcdefgh", "tk-12345"} {
			require.NotContains(t, shown, secret)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want, have string
		ok         bool
	}{
		{"", "3.11.7", true}, {"3.11", "3.11.7", true}, {"3.1", "3.11.7", false}, {"3", "3.11.7", true},
		{"3.11.7", "3.11.7", true}, {"3.11.7", "3.11.8", false}, {"==3.11.*", "3.11.7", true}, {"=3.11", "3.11.0", true},
		{">=3.9,<3.12", "3.11.7", true}, {">=3.9,<3.11", "3.11.7", false}, {">3.11", "3.11.7", true}, {">3.11", "3.12.0", true},
		{"<=3.11", "3.11.7", false}, {"<=3.11", "3.12.0", false}, {"!=3.11", "3.11.7", false}, {"!=3.11.6", "3.11.7", true},
		{">3.11.6", "3.11.7", true}, {"<3.11.7", "3.11.7", false},
	} {
		clauses, err := parseVersions(test.want)
		require.NoError(t, err)
		require.Equal(t, test.ok, allow(clauses, test.have), "%q %q", test.want, test.have)
	}
	for _, bad := range []string{"three", "3.", "3.11.7.1", ">=", "~=3.9", "3 11", "99999", "3,,4"} {
		_, err := parseVersions(bad)
		require.Error(t, err, bad)
	}
}

func FuzzParseRequirements(f *testing.F) {
	for _, seed := range []string{"numpy>=1.26 # c\n", "-r x.txt\n-e .", "a \\\n --hash=sha256:ab", "--index-url 'https://u:p@h/ x'",
		"a@https://h;b ; x", "\\\n\\", "a(>=1,<2)", "--find-links \"/x'y\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := ParseRequirements(data, "")
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		require.NoError(t, spec.Validate())
		text := strings.Join(append(append([]string{}, spec.PipOptions...), spec.Pip...), "\n")
		back, err := ParseRequirements([]byte(text), "")
		require.NoError(t, err)
		require.Equal(t, spec.Hash(), back.Hash())
	})
}

func FuzzParseConda(f *testing.F) {
	for _, seed := range []string{"name: a\ndependencies:\n- python=3.11\n- pip:\n  - numpy\n", "channels: [a]\ndependencies: [b=1=c]",
		"dependencies: &a [*a]", "dependencies:\n- pip=1\n- python>=3\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		name, spec, err := ParseConda(data, "")
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		require.NoError(t, spec.Validate())
		out, err := FormatConda(name, spec)
		require.NoError(t, err)
		_, back, err := ParseConda(out, "")
		require.NoError(t, err, "%s", out)
		require.Equal(t, spec.Hash(), back.Hash())
	})
}
