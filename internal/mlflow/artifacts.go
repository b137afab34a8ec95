package mlflow

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
)

func artifactRoutes() []route {
	return []route{
		{"GET", "/mlflow/artifacts/list", rpc(call.listArtifacts)},
		{"GET", "/mlflow-artifacts/artifacts", rpc(call.listProxied)},
		{"GET", "/mlflow-artifacts/artifacts/{...}", call.downloadArtifact},
		{"HEAD", "/mlflow-artifacts/artifacts/{...}", call.downloadArtifact},
		{"PUT", "/mlflow-artifacts/artifacts/{...}", call.uploadArtifact},
		{"DELETE", "/mlflow-artifacts/artifacts/{...}", call.deleteArtifact},
	}
}

// proxyScheme is the beginning of the URIs of artifacts that clients send here.
const proxyScheme = "mlflow-artifacts:/"

// artifact is a place among the files of a run, by the path that stands in a
// request behind mlflow-artifacts:/.
type artifact struct {
	list history.FileList
	path string // empty for the root
}

// checkPath refuses a path that is no plain relative one, in MLflow's words. It
// comes decoded once, as the server did; MLflow decodes until nothing changes, so
// what would be another path then is refused, too. Nothing here is a path of a
// file system; the rule keeps clients' own out of harm.
func checkPath(p string) (string, error) {
	bad := invalid("Invalid path")
	plain := strings.TrimSuffix(p, "/")
	if plain == "" {
		return "", nil
	}
	if strings.ContainsAny(plain, "#\\") || strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", bad
	}
	if lower := strings.ToLower(plain); strings.HasPrefix(lower, "file:") || escaped(lower) {
		return "", bad
	}
	if len(plain) >= 2 && plain[1] == ':' || files.ValidPath(plain) != nil {
		return "", bad
	}
	return plain, nil
}

// escaped tells whether a path still has escapes that would matter.
func escaped(lower string) bool {
	for _, e := range []string{"%2e", "%2f", "%5c", "%23", "%25", "%00"} {
		if strings.Contains(lower, e) {
			return true
		}
	}
	return false
}

// artifact finds what a path stands for: <artifact root of a run>/<path>.
func (c call) artifact(ctx context.Context, p string) (artifact, error) {
	p, err := checkPath(p)
	if err != nil {
		return artifact{}, err
	}
	parts := strings.Split(p, "/")
	for i, part := range parts {
		if part != "artifacts" || i < 2 {
			continue
		}
		stored, err := c.run(ctx, parts[i-1])
		if asNotFound(err) {
			continue
		}
		if err != nil {
			return artifact{}, err
		}
		e, err := c.experiment(ctx, stored.Value.Experiment)
		if err != nil {
			return artifact{}, err
		}
		if artifactURI(stored.Value, e.Value) == proxyScheme+strings.Join(parts[:i+1], "/") {
			rest, err := checkPath(strings.Join(parts[i+1:], "/"))
			return artifact{history.RunFiles(stored.Value.ID), rest}, err
		}
	}
	return artifact{}, failf(codeNotFound, "No run has its artifacts at %s: artifacts are at <experiment id>/<run id>/artifacts", p)
}

// listArtifacts lists a folder of a run, with paths from the run's root.
func (c call) listArtifacts(ctx context.Context, req *listArtifacts) (*listArtifactsResponse, error) {
	id, err := req.id()
	if err != nil {
		return nil, err
	}
	folder, err := checkPath(req.Path)
	if err != nil {
		return nil, err
	}
	stored, err := c.run(ctx, id)
	if err != nil {
		return nil, err
	}
	e, err := c.experiment(ctx, stored.Value.Experiment)
	if err != nil {
		return nil, err
	}
	resp := &listArtifactsResponse{RootURI: artifactURI(stored.Value, e.Value)}
	resp.Files, err = c.folder(ctx, artifact{history.RunFiles(id), folder}, folder)
	return resp, err
}

// listProxied lists a folder, with names only. Where nothing is, it is empty:
// clients ask so whether something is a folder.
func (c call) listProxied(ctx context.Context, req *listProxied) (*listArtifactsResponse, error) {
	a, err := c.artifact(ctx, req.Path)
	if asNotFound(err) {
		return &listArtifactsResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := c.folder(ctx, a, "")
	return &listArtifactsResponse{Files: list}, err
}

func (c call) folder(ctx context.Context, a artifact, prefix string) ([]fileInfo, error) {
	entries, err := a.list.Folder(ctx, c.core, a.path)
	if err != nil {
		return nil, err
	}
	list := make([]fileInfo, 0, len(entries))
	for _, e := range entries {
		info := fileInfo{Path: path.Join(prefix, e.Name), IsDir: e.Folder}
		if !e.Folder {
			info.FileSize = new(e.Size)
		}
		list = append(list, info)
	}
	return list, nil
}

func (c call) downloadArtifact(w http.ResponseWriter, r *http.Request, params []string) error {
	a, err := c.artifact(r.Context(), params[0])
	if err != nil {
		return err
	}
	return c.send(w, r, a)
}

// getArtifact is what MLflow's pages download files with.
func (c call) getArtifact(w http.ResponseWriter, r *http.Request, _ []string) error {
	query := r.URL.Query()
	id, err := runRef{query.Get("run_id"), query.Get("run_uuid")}.id()
	if err != nil {
		return err
	}
	p, err := checkPath(query.Get("path"))
	if err != nil {
		return err
	}
	if _, err := c.run(r.Context(), id); err != nil {
		return err
	}
	return c.send(w, r, artifact{history.RunFiles(id), p})
}

// send sends a file, or the ranges of it that were asked for. It goes out as an
// attachment of a type that no browser runs: what it holds is a stranger's.
func (c call) send(w http.ResponseWriter, r *http.Request, a artifact) error {
	if a.path == "" {
		return invalid("Artifact path refers to a directory, not a file: ''")
	}
	file, err := a.list.Find(r.Context(), c.core, a.path)
	switch {
	case errors.Is(err, azml.ErrInvalid):
		return invalid("Artifact path refers to a directory, not a file: '%s'", a.path)
	case errors.Is(err, azml.ErrNotFound):
		return failf(codeNotFound, "No such artifact: '%s'", a.path)
	case err != nil:
		return err
	case !file.IsRegular():
		return invalid("The artifact '%s' is a symbolic link", a.path)
	}
	content, err := c.core.Files().Open(r.Context(), file)
	if err != nil {
		return err
	}
	defer content.Close()
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(a.path)}))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("ETag", `"`+file.Digest+`"`)
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}

// uploadArtifact stores a file, replacing one of the same path. The content is
// stored while it comes in; the file is there when all of it is durable.
func (c call) uploadArtifact(w http.ResponseWriter, r *http.Request, params []string) error {
	a, err := c.writable(r, params[0])
	if err != nil {
		return err
	}
	batch, err := c.core.Files().NewBatch(r.Context(), nil)
	if err != nil {
		return err
	}
	defer batch.Abort()
	const mode = 0o644
	body := &body{r: r}
	if err := batch.Add(r.Context(), a.path, mode, body); err != nil {
		if body.err != nil {
			return failf(codeBadRequest, "The body of the request could not be read: %v", body.err)
		}
		return err
	}
	manifest, _, err := batch.Commit(r.Context())
	if err != nil {
		return err
	}
	if err := a.list.Add(r.Context(), c.core, manifest, true); err != nil {
		return err
	}
	return writeJSON(w, nothing{})
}

// writable finds the place of a file that is to be changed.
func (c call) writable(r *http.Request, p string) (artifact, error) {
	a, err := c.artifact(r.Context(), p)
	switch {
	case err != nil:
		return a, err
	case a.path == "":
		return a, invalid("Invalid path")
	}
	return a, nil
}

func (c call) deleteArtifact(w http.ResponseWriter, r *http.Request, params []string) error {
	a, err := c.writable(r, params[0])
	if err != nil {
		return err
	}
	if err := a.list.Remove(r.Context(), c.core, a.path); err != nil && !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	return writeJSON(w, nothing{})
}

// body is the body of a request that remembers why it could not be read: a
// client that breaks off is no failure of the store.
type body struct {
	r   *http.Request
	err error
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Body.Read(p)
	if err != nil && err.Error() != "EOF" {
		b.err = err
	}
	return n, err
}
