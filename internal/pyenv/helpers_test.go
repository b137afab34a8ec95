package pyenv

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/testenv"
)

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		os.Exit(buildHelper())
	}
	goleak.VerifyTestMain(m)
}

// needPython skips where no Python can make virtual environments.
func needPython(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("makes virtual environments: skipped in short mode")
	}
	testenv.Python(t)
}

// wheel writes a tiny pure Python wheel into dir.
func wheel(t testing.TB, dir, name, version string) {
	t.Helper()
	info := fmt.Sprintf("%s-%s.dist-info", name, version)
	files := [][2]string{
		{name + ".py", fmt.Sprintf("version = %q\n\ndef main():\n    print(version)\n", version)},
		{info + "/METADATA", fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)},
		{info + "/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "/entry_points.txt", fmt.Sprintf("[console_scripts]\n%s-cli = %s:main\n", name, name)},
	}
	record := ""
	for _, f := range files {
		sum := sha256.Sum256([]byte(f[1]))
		record += fmt.Sprintf("%s,sha256=%s,%d\n", f[0], base64.RawURLEncoding.EncodeToString(sum[:]), len(f[1]))
	}
	files = append(files, [2]string{info + "/RECORD", record + info + "/RECORD,,\n"})
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		w, err := z.Create(f[0])
		require.NoError(t, err)
		_, err = w.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	file := filepath.Join(dir, fmt.Sprintf("%s-%s-py3-none-any.whl", name, version))
	require.NoError(t, os.WriteFile(file, out.Bytes(), 0o644))
}

// sdist writes a source package whose build runs the Python code given.
func sdist(t testing.TB, dir, name, code string) {
	t.Helper()
	root := name + "-1.0/"
	files := [][2]string{
		{root + "pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n"},
		{root + "PKG-INFO", fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n", name)},
		{root + "backend.py", "import os, time, sys\n\ndef build_wheel(directory, config_settings=None, metadata_directory=None):\n" +
			indent(code) + backendTail(name)},
	}
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	tw := tar.NewWriter(gz)
	for _, f := range files {
		require.NoError(t, tw.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}))
		_, err := tw.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	require.NoError(t, gz.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+"-1.0.tar.gz"), out.Bytes(), 0o644))
}

func indent(code string) string {
	return "    " + strings.ReplaceAll(code, "\n", "\n    ") + "\n"
}

// backendTail writes the wheel at the end of a build.
func backendTail(name string) string {
	return indent(fmt.Sprintf(`import zipfile
file = "%[1]s-1.0-py3-none-any.whl"
info = "%[1]s-1.0.dist-info/"
with zipfile.ZipFile(os.path.join(directory, file), "w") as z:
    z.writestr("%[1]s.py", "version = '1.0'\n")
    z.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: %[1]s\nVersion: 1.0\n")
    z.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr(info + "RECORD", "")
return file`, name))
}

// localSpec installs requirements from the folder alone.
func localSpec(links string, pip ...string) Spec {
	return Spec{Pip: pip, PipOptions: []string{"--no-index", "--find-links " + links}}
}

// lines collects a log and lets tests wait for a line.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func newLines() *lines { return &lines{more: make(chan struct{}, 1)} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// waitFor blocks until the log contains the words.
func (l *lines) waitFor(t *testing.T, words string) {
	t.Helper()
	for !strings.Contains(l.String(), words) {
		select {
		case <-l.more:
		case <-t.Context().Done():
			t.Fatalf("no %q in the log:\n%s", words, l)
		}
	}
}
