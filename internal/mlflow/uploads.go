package mlflow

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

const (
	uploadsRoot = "/mlflow-artifacts/mpu/"
	partsRoot   = uploadsRoot + "parts/"
	// maxParts bounds the parts of an upload, as object stores do.
	maxParts = 10_000
	// maxParts with their tags and URLs fit into a request.
	maxCompleteBody = 16 << 20
	// fileMode is the mode of files that clients upload.
	fileMode = 0o644
)

func uploadRoutes() []route {
	return []route{
		{"POST", uploadsRoot + "create/{...}", call.createUpload},
		{"POST", uploadsRoot + "complete/{...}", rpc(call.completeUpload)},
		{"POST", uploadsRoot + "abort/{...}", rpc(call.abortUpload)},
		{"PUT", partsRoot + "{}/{}", call.uploadPart},
		{"GET", "/mlflow-artifacts/presigned/{...}", call.presign},
	}
}

// upload finds the upload of the file that a request names, and where that is
// to be.
func (c call) upload(ctx context.Context, id string, of uploadTarget) (u record.Upload, to artifact, err error) {
	target, err := of.target()
	if err == nil {
		to, err = c.writable(ctx, target)
	}
	if err != nil {
		return u, to, err
	}
	u, err = history.Upload(ctx, c.core, id)
	if err == nil && u.Path != target || errors.Is(err, azml.ErrNotFound) {
		err = failf(codeNotFound, "There is no upload '%s' of '%s': it was broken off, or begun more than a week ago", cut(id, maxKey), target)
	}
	return u, to, err
}

// createUpload begins the upload of a file in parts. The client sends them, at
// once and in any order, to URLs of this server, with the token that it has
// shown: so nothing that lets somebody in is in a URL.
func (c call) createUpload(w http.ResponseWriter, r *http.Request, params []string) error {
	var req createUpload
	if err := readMessage(c, w, r, &req); err != nil {
		return err
	}
	req.setPath(params)
	target, err := req.target()
	if err != nil {
		return err
	}
	parts := 1
	if req.NumParts != nil {
		parts = int(*req.NumParts)
	}
	if parts < 1 || parts > maxParts {
		return invalid("Invalid value %d for parameter 'num_parts' supplied: use 1 to %d", parts, maxParts)
	}
	to, err := c.writable(r.Context(), target)
	if err != nil {
		return err
	}
	var u record.Upload
	err = c.audited(r.Context(), to.ref(), false, "", func() (err error) {
		u, err = history.BeginUpload(r.Context(), c.core, target, parts)
		return err
	})
	if err != nil {
		return err
	}
	answer := createUploadResponse{UploadID: u.ID, Credentials: make([]credential, parts)}
	prefix, headers := prefixOf(r, uploadsRoot), shownToken(w, r)
	for i := range answer.Credentials {
		answer.Credentials[i] = credential{URL: prefix + partsRoot + u.ID + "/" + strconv.Itoa(i+1), PartNumber: int64(i + 1), Headers: headers}
	}
	return writeJSON(w, answer)
}

// prefixOf gives the address of the server up to the part of the path that
// begins with root, as the client calls it: a proxy in front that speaks HTTPS
// says so, and what a program has mounted the handler at is in the request line.
func prefixOf(r *http.Request, root string) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	path, _, _ := strings.Cut(r.URL.EscapedPath(), root)
	if mount, ok := strings.CutSuffix(r.RequestURI, r.URL.RequestURI()); ok && strings.HasPrefix(mount, "/") {
		path = mount + path
	}
	return scheme + "://" + r.Host + path
}

// shownToken gives the headers by which the client was let in, for requests that
// it is told to send. Nobody may keep the answer that has them.
func shownToken(w http.ResponseWriter, r *http.Request) map[string]string {
	w.Header().Set("Cache-Control", "no-store")
	headers := map[string]string{}
	if shown := r.Header.Get("Authorization"); shown != "" {
		headers["Authorization"] = shown
	}
	return headers
}

// uploadPart stores a part, replacing one of the same number. It is there when
// all of it is durable. Its ETag is the digest of its content.
func (c call) uploadPart(w http.ResponseWriter, r *http.Request, params []string) error {
	ctx, id := r.Context(), params[0]
	u, err := history.Upload(ctx, c.core, id)
	if err == nil && !u.Completed.IsZero() || errors.Is(err, azml.ErrNotFound) {
		return noSuchUpload(id)
	}
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(params[1])
	if err != nil || n < 1 || n > u.Parts {
		return invalid("Invalid part number '%s': the upload has the parts 1 to %d", cut(params[1], maxKey), u.Parts)
	}
	to, err := c.writable(ctx, u.Path)
	if err != nil { // the run may be gone, or none that the script reaches
		return err
	}
	var manifest *files.Manifest
	err = c.audited(ctx, to.ref(), false, "", func() error {
		return c.storeBody(r, history.PartName(n), func(ctx context.Context, h core.Handle, batch *files.Batch) (err error) {
			manifest, err = history.AddPart(ctx, h, id, batch)
			return err
		})
	})
	if errors.Is(err, azml.ErrNotFound) {
		return noSuchUpload(id)
	}
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+manifest.Files[0].Digest+`"`)
	return writeJSON(w, nothing{})
}

func noSuchUpload(id string) error {
	return failf(codeNotFound, "There is no upload '%s' that takes parts: it is complete, was broken off, or begun more than a week ago", cut(id, maxKey))
}

// completeUpload puts the parts together: then the file is there, and the parts
// are not. Asked again, it is so already.
func (c call) completeUpload(ctx context.Context, req *completeUpload) (nothing, error) {
	u, to, err := c.upload(ctx, req.UploadID, req.uploadTarget)
	if err != nil || !u.Completed.IsZero() {
		return nothing{}, err
	}
	stored, err := history.UploadParts(u.ID).Files(ctx, c.core, "")
	if err != nil {
		return nothing{}, err
	}
	parts, err := inOrder(u.Parts, req.Parts, stored)
	if err != nil {
		return nothing{}, err
	}
	content := &joined{parts: parts, open: func(f files.File) (io.ReadCloser, error) { return c.core.Files().Open(ctx, f) }}
	defer content.Close()
	if err := c.storeFile(ctx, to.path, content, c.put(to)); err != nil {
		return nothing{}, err
	}
	return nothing{}, history.CompleteUpload(ctx, c.core, u.ID)
}

// inOrder gives the stored parts in their order, when the client names each of
// them, in any order, by the tag that it has.
func inOrder(n int, named []uploadedPart, stored *files.Manifest) ([]files.File, error) {
	parts := make([]files.File, n)
	for _, p := range named {
		if p.PartNumber < 1 || p.PartNumber > int64(n) {
			return nil, invalid("Invalid part number %d: the upload has the parts 1 to %d", p.PartNumber, n)
		}
		at := &parts[p.PartNumber-1]
		if at.Path != "" {
			return nil, invalid("The part %d is named twice", p.PartNumber)
		}
		f, there := stored.Find(history.PartName(int(p.PartNumber)))
		if tag := strings.Trim(p.Etag, `"`); !there || tag != "" && tag != f.Digest {
			return nil, invalid("The part %d with the ETag '%s' was not uploaded, or was replaced by another: upload it again", p.PartNumber, cut(p.Etag, maxKey))
		}
		*at = f
	}
	if i := slices.IndexFunc(parts, func(f files.File) bool { return f.Path == "" }); i >= 0 {
		return nil, invalid("The part %d is missing: the upload has the parts 1 to %d", i+1, n)
	}
	return parts, nil
}

// joined reads parts one after the other, of which only one is open at a time.
type joined struct {
	parts []files.File // those that are left
	open  func(files.File) (io.ReadCloser, error)
	now   io.ReadCloser // nil between two parts
}

// Read implements io.Reader.
func (j *joined) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil {
		switch {
		case j.now != nil:
			if n, err = j.now.Read(p); errors.Is(err, io.EOF) {
				err = j.Close()
			}
		case len(j.parts) == 0:
			return 0, io.EOF
		default:
			if j.now, err = j.open(j.parts[0]); err != nil {
				return 0, err
			}
			j.parts = j.parts[1:]
		}
	}
	return n, err
}

// Close closes the part that is being read.
func (j *joined) Close() error {
	if j.now == nil {
		return nil
	}
	now := j.now
	j.now = nil
	return now.Close()
}

// abortUpload removes the parts of an upload. One that there is no more needs
// nothing, and a complete one is left as it is.
func (c call) abortUpload(ctx context.Context, req *abortUpload) (nothing, error) {
	u, to, err := c.upload(ctx, req.UploadID, req.uploadTarget)
	if asNotFound(err) {
		return nothing{}, nil
	}
	if err != nil || !u.Completed.IsZero() {
		return nothing{}, err
	}
	return nothing{}, c.audited(ctx, to.ref(), false, "", func() error { return history.AbortUpload(ctx, c.core, u.ID) })
}

// presign tells where ranges of a file can be asked for, at once: where all of it
// can, with the token that the client has shown.
func (c call) presign(w http.ResponseWriter, r *http.Request, params []string) error {
	a, err := c.artifact(r.Context(), params[0])
	if err != nil {
		return err
	}
	file, err := c.regular(r.Context(), a)
	if err != nil {
		return err
	}
	const root = "/mlflow-artifacts/"
	at := (&url.URL{Path: root + "artifacts/" + params[0]}).EscapedPath()
	return writeJSON(w, presignedResponse{URL: prefixOf(r, root) + at, Headers: shownToken(w, r), FileSize: file.Size})
}
