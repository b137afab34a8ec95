package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// files carries over the run's files that are missing.
func (x *exporter) files(ctx context.Context, rec record.Run, there run) (added bool, err error) {
	found, err := history.Files(ctx, x.h, rec, "")
	if err != nil || len(found.Files) == 0 {
		return false, err
	}
	return x.upload(ctx, there.place(), found.Files)
}

// upload stores those of the files that the place lacks.
func (x *exporter) upload(ctx context.Context, at place, list []files.File) (added bool, err error) {
	have := map[string]int64{}
	for f, err := range (&server{x.client}).files(ctx, at) {
		if bad, ok := errors.AsType[*unreadable](err); ok {
			x.leave(bad.reason, 1, at.name())
			return false, nil
		}
		if err != nil {
			return false, err
		}
		have[f.path] = f.size
	}
	for _, f := range list {
		size, there := have[f.Path]
		switch {
		case !f.IsRegular():
			x.leave("links and empty folders", 1, at.name(), f.Path)
		case there && size != f.Size:
			x.conflict("file", at.name()+"/"+f.Path, "it has %d bytes there and %d here", size, f.Size)
		case !there:
			err = x.put(ctx, at, f)
			added = added || err == nil
		}
		if refused, ok := errors.AsType[*refusal](err); ok && refused.status == http.StatusBadRequest {
			x.leave("files whose names the server refuses", 1, at.name(), f.Path)
			err = nil
		}
		if err != nil {
			return added, fmt.Errorf("file %q: %w", f.Path, err)
		}
	}
	return added, nil
}

// maxUpload is the most that MLflow's server takes for artifacts that it doesn't
// serve itself.
const maxUpload = 10 << 20

// put sends a file: to where the place has its artifacts when the server serves
// them, else to the server, which stores small ones.
func (x *exporter) put(ctx context.Context, at place, f files.File) error {
	method, address, query := http.MethodPut, "", url.Values(nil)
	u, err := url.Parse(at.uri)
	switch {
	case err == nil && u.Scheme == proxyScheme && (u.Host == "" || u.Host == x.base.Host):
		address = proxyPath + "/" + path.Join(strings.Trim(u.Path, "/"), f.Path)
	case at.runID == "" || f.Size == 0 || f.Size > maxUpload:
		x.leave("files that are empty or have more than 10 MiB, as the server doesn't serve artifacts (--serve-artifacts)", 1, at.name(), f.Path)
		return nil
	default:
		method, address, query = http.MethodPost, "/ajax-api/2.0/mlflow/upload-artifact", url.Values{"run_uuid": {at.runID}, "path": {f.Path}}
	}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if kind := mime.TypeByExtension(path.Ext(f.Path)); kind != "" {
		header.Set("Content-Type", kind)
	}
	resp, err := x.send(ctx, method, address, query, header, retryablehttp.ReaderFunc(func() (io.Reader, error) {
		content, err := x.h.Files().Open(ctx, f)
		return sized{content, f.Size}, err
	}))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.report(func(d *Carried) {
		d.Files++
		d.Bytes += f.Size
	})
	return nil
}

// sized is a content that says how long it is, so that the request does.
type sized struct {
	io.ReadSeekCloser
	size int64
}

// Len gives the number of bytes.
func (s sized) Len() int { return int(s.size) }

// sameFiles tells whether the run has these files below the folder.
func (x *exporter) sameFiles(ctx context.Context, runID, folder string, want []files.File) (bool, error) {
	var found *files.Manifest
	r, err := history.Get(ctx, x.h, runID)
	if err == nil {
		found, err = history.Files(ctx, x.h, r.Value, folder)
	}
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
		return false, nil
	}
	if err != nil || len(found.Files) != len(want) {
		return false, err
	}
	digests := map[string]string{}
	for _, f := range found.Files {
		name := strings.TrimPrefix(f.Path, folder+"/")
		if f.Path == folder {
			name = path.Base(folder)
		}
		digests[name] = f.Digest
	}
	for _, f := range want {
		if digests[f.Path] != f.Digest {
			return false, nil
		}
	}
	return true, nil
}
