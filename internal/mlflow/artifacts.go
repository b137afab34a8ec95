package mlflow

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/registry"
)

func artifactRoutes() []route {
	return []route{
		{"GET", "/mlflow/artifacts/list", rpc(call.listArtifacts)},
		{"GET", "/mlflow-artifacts/artifacts", rpc(call.listProxied)},
		{"GET", "/mlflow-artifacts/artifacts/{...}", call.downloadArtifact},
		{"HEAD", "/mlflow-artifacts/artifacts/{...}", call.downloadArtifact},
		{"PUT", "/mlflow-artifacts/artifacts/{...}", call.uploadArtifact},
		{"DELETE", "/mlflow-artifacts/artifacts/{...}", call.deleteArtifact},
		{"POST", "/mlflow/upload-artifact", call.uploadRunArtifact},
	}
}

// proxyScheme is the beginning of the URIs of artifacts that clients send here.
const proxyScheme = "mlflow-artifacts:/"

// artifact is a place among the files of a run, a logged model or a version of
// a registered one, by the path that stands in a request behind
// mlflow-artifacts:/.
type artifact struct {
	list    history.FileList
	path    string // empty for the root
	runID   string // empty for those of no run
	modelID string // empty for those of no logged model
	ended   bool   // the run they are of
}

// checkPath refuses a path that is no plain relative one. It comes decoded once, as
// the server did; MLflow decodes until nothing changes, so what would leave its
// folder then is refused, too. Nothing here is a path of a file system; the rule
// keeps clients' own out of harm.
func checkPath(p string) (string, error) {
	plain := strings.TrimSuffix(p, "/")
	if plain == "" {
		return "", nil
	}
	control := strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f })
	if control || files.ValidPath(plain) != nil || !harmless(plain) {
		return "", invalid("Invalid path '%s'", cut(p, maxKey))
	}
	return plain, nil
}

// leaving are the paths that lead elsewhere on some client's machine: to a drive,
// by a URI, or up.
var leaving = regexp.MustCompile(`^[A-Za-z]:(/|$)|^(?i:file:)|[#\\]|(^|/)\.\.?(/|$)`)

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// maxDecodings is how often a path may be escaped, as in MLflow.
const maxDecodings = 10

// harmless tells whether a path stays where it is however often it is decoded.
func harmless(p string) bool {
	slashes := strings.Count(p, "/")
	for range maxDecodings {
		if leaving.MatchString(p) || strings.Count(p, "/") != slashes {
			return false
		}
		next := escape.ReplaceAllStringFunc(p, unescape)
		if next == p {
			return true
		}
		p = next
	}
	return false
}

func unescape(e string) string {
	plain, _ := url.PathUnescape(e) // it is an escape
	return plain
}

// artifact finds what a path stands for: <artifact root of a run or a logged
// model>/<path>.
func (c call) artifact(ctx context.Context, p string) (artifact, error) {
	p, err := checkPath(p)
	if err != nil {
		return artifact{}, err
	}
	parts := strings.Split(p, "/")
	if parts[0] == versionsRoot {
		return c.versionArtifact(ctx, parts)
	}
	for i, part := range parts {
		if part != "artifacts" || i < 2 {
			continue
		}
		a, err := c.artifactRoot(ctx, parts[:i])
		if asNotFound(err) {
			continue
		}
		if err != nil {
			return a, err
		}
		a.path, err = checkPath(strings.Join(parts[i+1:], "/"))
		return a, err
	}
	return artifact{}, failf(codeNotFound, "No run has its artifacts at %s: artifacts are at <experiment id>/<run id>/artifacts", p)
}

// artifactRoot finds the run or the logged model that has its artifacts in this
// folder's folder "artifacts".
func (c call) artifactRoot(ctx context.Context, parts []string) (artifact, error) {
	id, root := parts[len(parts)-1], proxyScheme+strings.Join(parts, "/")+"/artifacts"
	var a artifact
	var uri string
	if parts[len(parts)-2] == "models" && strings.HasPrefix(id, loggedModelID) {
		stored, err := c.loggedModel(ctx, id)
		if err != nil {
			return a, err
		}
		a = artifact{list: history.LoggedModelFiles(id), modelID: id, runID: stored.Value.RunID}
		if uri, err = c.loggedModelURI(ctx, stored.Value); err != nil {
			return a, err
		}
	} else {
		stored, err := c.run(ctx, id)
		if err != nil {
			return a, err
		}
		e, err := c.experiment(ctx, stored.Value.Experiment)
		if err != nil {
			return a, err
		}
		a, uri = artifact{list: history.RunFiles(stored.Value), runID: id, ended: stored.Value.Status.Terminal()}, artifactURI(stored.Value, e.Value)
	}
	if uri != root {
		return a, failf(codeNotFound, "The artifacts of %s are at %s", id, uri)
	}
	return a, nil
}

// versionArtifact finds what a path _models/<name>/<version>/<path> stands for.
func (c call) versionArtifact(ctx context.Context, parts []string) (artifact, error) {
	none := failf(codeNotFound, "No version of a model has its artifacts at %s", strings.Join(parts, "/"))
	if len(parts) < 3 {
		return artifact{}, none
	}
	rest, err := checkPath(strings.Join(parts[3:], "/"))
	if err != nil {
		return artifact{}, err
	}
	n, err := strconv.Atoi(parts[2])
	if err != nil || strconv.Itoa(n) != parts[2] {
		return artifact{}, none
	}
	v, err := registry.Version(ctx, c.core, parts[1], n)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) || err == nil && v.Value.Manifest == "" {
		return artifact{}, none
	}
	return artifact{list: history.FixedFiles(v.Value.Manifest), path: rest, runID: v.Value.RunID, modelID: v.Value.ModelID}, err
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
	resp.Files, err = c.folder(ctx, artifact{list: history.RunFiles(stored.Value), path: folder}, folder)
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
	a, err := c.queried(r)
	if err != nil {
		return err
	}
	return c.send(w, r, a)
}

// queried finds the file of a run that is named in the query, as MLflow's pages
// do.
func (c call) queried(r *http.Request) (a artifact, err error) {
	query := r.URL.Query()
	if a.runID, err = (runRef{query.Get("run_id"), query.Get("run_uuid")}).id(); err != nil {
		return a, err
	}
	if a.path, err = checkPath(query.Get("path")); err != nil {
		return a, err
	}
	stored, err := c.run(r.Context(), a.runID)
	a.list, a.ended = history.RunFiles(stored.Value), stored.Value.Status.Terminal()
	return a, err
}

// maxPageUpload bounds what MLflow's pages upload, in bytes.
const maxPageUpload = 10 << 20

// uploadRunArtifact is what MLflow's pages upload small files with.
func (c call) uploadRunArtifact(w http.ResponseWriter, r *http.Request, _ []string) error {
	a, err := c.queried(r)
	switch {
	case err != nil:
		return err
	case a.path == "":
		return missing("path")
	case r.ContentLength == 0:
		return invalid("Request must specify data.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxPageUpload)
	if err := c.storeBody(r, a.path, c.put(a)); err != nil {
		return err
	}
	return writeJSON(w, nothing{})
}

// send sends a file, or the ranges of it that were asked for. It goes out as an
// attachment of a type that no browser runs: what it holds is a stranger's.
func (c call) send(w http.ResponseWriter, r *http.Request, a artifact) error {
	file, err := c.regular(r.Context(), a)
	if err != nil {
		return err
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

// regular finds the file, in MLflow's words when there is none.
func (c call) regular(ctx context.Context, a artifact) (files.File, error) {
	if a.path == "" {
		return files.File{}, invalid("Artifact path refers to a directory, not a file: ''")
	}
	file, err := a.list.Find(ctx, c.core, a.path)
	switch {
	case errors.Is(err, azml.ErrInvalid):
		return file, invalid("Artifact path refers to a directory, not a file: '%s'", a.path)
	case errors.Is(err, azml.ErrNotFound):
		return file, failf(codeNotFound, "No such artifact: '%s'", a.path)
	case err == nil && !file.IsRegular():
		return file, invalid("The artifact '%s' is a symbolic link", a.path)
	}
	return file, err
}

// uploadArtifact stores a file, replacing one of the same path. The content is
// stored while it comes in; the file is there when all of it is durable.
func (c call) uploadArtifact(w http.ResponseWriter, r *http.Request, params []string) error {
	a, err := c.writable(r.Context(), params[0])
	if err != nil {
		return err
	}
	if err := c.storeBody(r, a.path, c.put(a)); err != nil {
		return err
	}
	return writeJSON(w, nothing{})
}

// adder ends a batch by adding what it has to a list.
type adder func(ctx context.Context, h core.Handle, batch *files.Batch) error

// put gives what adds the artifact to its list, replacing one of the same path, of
// which the audit log has a line.
func (c call) put(a artifact) adder {
	return func(ctx context.Context, h core.Handle, batch *files.Batch) error {
		add := func() error {
			_, err := a.list.AddBatch(ctx, h, batch, true)
			return err
		}
		if _, err := a.list.Find(ctx, h, a.path); err == nil {
			return c.taken(ctx, a, "replaced", add)
		}
		return c.audited(ctx, a.ref(), a.ended, "artifact "+a.path, add)
	}
}

// storeBody stores the body of a request, while it comes in, as the one file that
// add gets.
func (c call) storeBody(r *http.Request, path string, add adder) error {
	body := &body{r: r}
	err := c.storeFile(r.Context(), path, body, add)
	if body.err != nil {
		return readError(body.err)
	}
	return err
}

func (c call) storeFile(ctx context.Context, path string, content io.Reader, add adder) error {
	batch, err := c.core.Files().NewBatch(ctx, nil)
	if err != nil {
		return err
	}
	defer batch.Abort()
	if err := batch.Add(ctx, path, fileMode, content); err != nil {
		return err
	}
	return add(ctx, c.core, batch)
}

// writable finds the place of a file that is to be changed.
func (c call) writable(ctx context.Context, p string) (artifact, error) {
	a, err := c.artifact(ctx, p)
	switch {
	case err != nil:
		return a, err
	case a.path == "":
		return a, invalid("Invalid path '%s': give the path of a file", cut(p, maxKey))
	case a.list.Fixed():
		return a, failf(codeDenied, "The files of a version of a registered model never change")
	}
	return a, nil
}

func (c call) deleteArtifact(w http.ResponseWriter, r *http.Request, params []string) error {
	a, err := c.writable(r.Context(), params[0])
	if err != nil {
		return err
	}
	err = c.taken(r.Context(), a, "deleted", func() error { return a.list.Remove(r.Context(), c.core, a.path) })
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
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
