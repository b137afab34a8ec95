package onnx

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/azml-go/azml"
)

// findLibrary prints the path of the shared library in the package, which is not
// imported for that.
const findLibrary = `
import importlib.util, pathlib
spec = importlib.util.find_spec("onnxruntime")
found = []
if spec:
    capi = pathlib.Path(spec.submodule_search_locations[0]) / "capi"
    for pattern in ("libonnxruntime.so*", "libonnxruntime*.dylib", "onnxruntime.dll"):
        found += sorted(capi.glob(pattern))
print(found[0] if found else "")
`

// FindLibrary gives the path of the shared library that the package onnxruntime of a
// Python interpreter brings along, which is a path or a name on PATH. Errors:
// ErrNotFound.
func FindLibrary(ctx context.Context, python string) (string, error) {
	out, err := exec.CommandContext(ctx, python, "-c", findLibrary).Output()
	if err != nil {
		return "", fmt.Errorf("%w: ask %s for ONNX Runtime: %w", azml.ErrNotFound, python, err)
	}
	path := strings.TrimSpace(string(out))
	if path == "" {
		return "", fmt.Errorf("%w: %s has no package onnxruntime: install it by pip, or name the shared library", azml.ErrNotFound, python)
	}
	return path, nil
}
