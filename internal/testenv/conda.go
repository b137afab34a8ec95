package testenv

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // of condaPack
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// condaPack packs the interpreter that runs it, and its pip, as conda packages.
//
//go:embed condapack.py
var condaPack string

// CondaPrefix in a text file of a [CondaPackage] is the folder of the environment
// that the package is installed into.
const CondaPrefix = "/opt/placeholder_placeholder_placeholder"

// CondaChannel gives the folder of a conda channel with python, which is this
// machine's own, and pip. Tests must not change it.
func CondaChannel(t testing.TB) string {
	t.Helper()
	return need(t, AbilityConda, func() (string, error) { return condaChannel(t.Context(), false) })
}

// CondaChannel gives the folder of a conda channel with the python of [DockerImage],
// and pip. Tests must not change it.
func (e *DockerEngine) CondaChannel(t testing.TB) string {
	t.Helper()
	return need(t, AbilityConda, func() (string, error) {
		if _, err := condaChannel(t.Context(), false); err != nil { // or its parts
			return "", err
		}
		return packConda(t.Context(), DockerImage, false, func(dir string) error {
			_, err := output(t.Context(), "docker", "-H", e.Host, "run", "--rm", "--network", "none", "-v", dir+":/channel",
				DockerImage, "python3", "-c", condaPack, "/channel")
			return err
		})
	})
}

// condaChannel packs this machine's Python, when what installs packages can be had.
func condaChannel(ctx context.Context, again bool) (string, error) {
	if _, err := venv(ctx, "conda", again, []string{"py-rattler==0.28.0"}, nil); err != nil {
		return "", err
	}
	base, err := python(ctx)
	if err != nil {
		return "", err
	}
	version, err := output(ctx, base, "-c", "import sys; print(sys.executable, sys.version)")
	if err != nil {
		return "", err
	}
	return packConda(ctx, version, again, func(dir string) error {
		_, err := output(ctx, base, "-c", condaPack, dir)
		return err
	})
}

func packConda(ctx context.Context, python string, again bool, pack func(dir string) error) (string, error) {
	c, err := openCache()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(python + condaPack))
	return c.installed(ctx, "conda-channel-"+hex.EncodeToString(sum[:6]), again, pack)
}

// CondaPackage is a package of a conda channel, for any platform.
type CondaPackage struct {
	// Name and Version are its own.
	Name, Version string
	// Depends are the packages that it needs, such as "python >=3".
	Depends []string
	// Python says that what is below "site-packages/" is for any Python.
	Python bool
	// Files are its files by their paths. Those below "bin/" can be run.
	Files map[string]string
}

// PackConda adds packages to a conda channel in a folder, which it begins when it is
// empty.
func PackConda(t testing.TB, channel string, packages ...CondaPackage) {
	t.Helper()
	dir := filepath.Join(channel, "noarch")
	list := filepath.Join(dir, "repodata.json")
	listed := map[string]map[string]any{"info": {"subdir": "noarch"}, "packages": {}, "packages.conda": {}}
	err := os.MkdirAll(dir, 0o755)
	if data, missing := os.ReadFile(list); err == nil && missing == nil {
		err = json.Unmarshal(data, &listed)
	}
	for _, p := range packages {
		if err != nil {
			break
		}
		index := p.index()
		var packed []byte
		if packed, err = p.pack(index); err != nil {
			break
		}
		sum := sha256.Sum256(packed)
		index["sha256"], index["size"] = hex.EncodeToString(sum[:]), len(packed)
		name := p.stem() + ".conda"
		listed["packages.conda"][name] = index
		err = os.WriteFile(filepath.Join(dir, name), packed, 0o644)
	}
	if err == nil {
		err = writeJSON(list, listed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func (p CondaPackage) stem() string { return p.Name + "-" + p.Version + "-0" }

func (p CondaPackage) index() map[string]any {
	kind := "generic"
	if p.Python {
		kind = "python"
	}
	return map[string]any{"name": p.Name, "version": p.Version, "build": "0", "build_number": 0, "subdir": "noarch", "noarch": kind, "depends": append([]string{}, p.Depends...)}
}

// pack writes the package as a file .conda: a zip archive with what it is, and two
// tar archives, of its files and of what is said of them.
func (p CondaPackage) pack(index map[string]any) ([]byte, error) {
	paths := []map[string]any{}
	for name, text := range p.Files {
		sum := sha256.Sum256([]byte(text))
		path := map[string]any{"_path": name, "path_type": "hardlink", "sha256": hex.EncodeToString(sum[:]), "size_in_bytes": len(text)}
		if strings.Contains(text, CondaPrefix) {
			path["prefix_placeholder"], path["file_mode"] = CondaPrefix, "text"
		}
		paths = append(paths, path)
	}
	info := map[string]string{}
	for name, value := range map[string]any{"index.json": index, "paths.json": map[string]any{"paths": paths, "paths_version": 1},
		"link.json": map[string]any{"noarch": map[string]any{"type": index["noarch"]}, "package_metadata_version": 1}} {
		data, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		info["info/"+name] = string(data)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, member := range []struct {
		name  string
		files map[string]string
	}{{"info-" + p.stem() + ".tar.zst", info}, {"pkg-" + p.stem() + ".tar.zst", p.Files}} {
		data, err := tarZstd(member.files)
		if err != nil {
			return nil, err
		}
		if err := addStored(z, member.name, data); err != nil {
			return nil, err
		}
	}
	if err := addStored(z, "metadata.json", []byte(`{"conda_pkg_format_version": 2}`)); err != nil {
		return nil, err
	}
	err := z.Close()
	return out.Bytes(), err
}

// addStored adds a member whose size is said before it, as readers of streams want it.
func addStored(z *zip.Writer, name string, data []byte) error {
	size := uint64(len(data))
	w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(data), CompressedSize64: size, UncompressedSize64: size})
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

func tarZstd(files map[string]string) ([]byte, error) {
	var out bytes.Buffer
	compressed, err := zstd.NewWriter(&out)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(compressed)
	for name, text := range files {
		mode := int64(0o644)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o755
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(text))}); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return nil, err
		}
	}
	err = errors.Join(w.Close(), compressed.Close())
	return out.Bytes(), err
}
