package history

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// ArtifactPath makes a path for the file behind a logged value that no other
// value has: "<folder>/<name>_<unique><ext>", with the name's odd characters
// replaced.
func ArtifactPath(folder, name, ext string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	const longest = 100
	if len(plain) > longest {
		plain = strings.ToValidUTF8(plain[:longest], "")
	}
	return folder + "/" + plain + "_" + core.NewID(4) + ext
}

// StoreArtifact stores data as a file of the run and gives its path.
func StoreArtifact(ctx context.Context, h core.Handle, run record.Run, path string, data []byte) (string, error) {
	batch, err := h.Files().NewBatch(ctx, nil)
	if err != nil {
		return "", err
	}
	defer batch.Abort()
	if err := batch.Add(ctx, path, 0o644, bytes.NewReader(data)); err != nil {
		return "", err
	}
	_, err = RunFiles(run).AddBatch(ctx, h, batch, false)
	return path, err
}

// CheckImage tells by its content whether data is an image. Errors: ErrInvalid.
func CheckImage(data []byte) error {
	if t := http.DetectContentType(data); !strings.HasPrefix(t, "image/") && !bytes.Contains(data[:min(len(data), 1024)], []byte("<svg")) {
		return fmt.Errorf("%w: it is no image but %s", azml.ErrInvalid, t)
	}
	return nil
}
