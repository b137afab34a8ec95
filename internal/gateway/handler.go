package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Handler serves stores to whoever has the token, within the scope. It is safe for
// concurrent use.
type Handler struct {
	objects backend.Objects
	secrets backend.Secrets
	token   Digest
	scope   Scope
	log     *slog.Logger
	calls   map[string]func(http.ResponseWriter, *http.Request) error
}

// Digest is what a Handler knows of a token: enough to tell it from others, and of
// no use to who wants in.
type Digest [sha256.Size]byte

// NewToken draws a token, and gives its digest.
func NewToken() (string, Digest) {
	token := rand.Text()
	return token, sha256.Sum256([]byte(token))
}

// New makes a handler of the stores for who has the token of this digest.
func New(objects backend.Objects, secrets backend.Secrets, token Digest, scope Scope, log *slog.Logger) *Handler {
	h := &Handler{objects: objects, secrets: secrets, token: token, scope: scope, log: log}
	h.calls = map[string]func(http.ResponseWriter, *http.Request) error{"get": h.get, "put": h.put, "append": h.append,
		"stat": h.stat, "delete": h.delete, "list": h.list, "secret": h.secret, "query": h.query}
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	// Digests have one length, so that the time of comparing tells nothing.
	if got := sha256.Sum256([]byte(given)); subtle.ConstantTimeCompare(got[:], h.token[:]) != 1 {
		refuse(w, fmt.Errorf("%w: this is not the token of the run", azml.ErrDenied))
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, base)
	call := h.calls[name]
	if !ok || call == nil || r.Method != http.MethodPost {
		refuse(w, fmt.Errorf("%w: %s %s: this gateway speaks %s; use the same version of azml on both sides", azml.ErrUnsupported, r.Method, r.URL.Path, base))
		return
	}
	if err := call(w, r); err != nil {
		if errors.Is(err, azml.ErrDenied) {
			h.log.WarnContext(r.Context(), "a run reached for what is not its own", "call", name, "error", err)
		}
		refuse(w, err)
	}
}

// store gives what a call is about: the datastore that it names, or the objects of
// the workspace within the scope.
func (h *Handler) store(r *http.Request) (backend.DataFiles, error) {
	if name := r.URL.Query().Get("datastore"); name != "" {
		return h.scope.Datastore(r.Context(), name)
	}
	return scoped{h.objects, h.scope}, nil
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	key := r.URL.Query().Get("key")
	store, err := h.store(r)
	if err != nil {
		return err
	}
	opts := &backend.GetOptions{}
	for name, value := range map[string]*int64{"offset": &opts.Offset, "length": &opts.Length} {
		n, err := number(r, name)
		if err != nil {
			return err
		}
		*value = n
	}
	object, err := store.Get(r.Context(), key, opts)
	if err != nil {
		return err
	}
	defer object.Body.Close()
	length, known := object.Info.Size-opts.Offset, object.Info.Size >= 0
	if opts.Length > 0 {
		length = min(length, opts.Length)
	}
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	if known {
		header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	if created := object.Info.Created; !created.IsZero() {
		header.Set(createdHeader, created.Format(time.RFC3339Nano))
	}
	header.Set("ETag", string(object.Info.ETag))
	header.Set(sizeHeader, strconv.FormatInt(object.Info.Size, 10))
	header.Set(modifiedHeader, object.Info.Modified.Format(time.RFC3339Nano))
	if n, err := io.Copy(w, object.Body); err != nil || known && n != length {
		panic(http.ErrAbortHandler) // the client must not take it for whole
	}
	return nil
}

func (h *Handler) stat(w http.ResponseWriter, r *http.Request) error {
	key := r.URL.Query().Get("key")
	store, err := h.store(r)
	if err != nil {
		return err
	}
	info, err := store.Stat(r.Context(), key)
	return tell(w, toWire(info), err)
}

func (h *Handler) put(w http.ResponseWriter, r *http.Request) error {
	key, opts := r.URL.Query().Get("key"), &backend.PutOptions{IfNoneMatch: r.URL.Query().Get("ifNoneMatch") != "", IfMatch: backend.ETag(r.URL.Query().Get("ifMatch"))}
	store, err := h.store(r)
	if err != nil {
		return err
	}
	content, discard, err := receive(r)
	if err != nil {
		return err
	}
	defer discard()
	info, err := store.Put(r.Context(), key, content, opts)
	return tell(w, toWire(info), err)
}

// maxAppend bounds one append in bytes.
const maxAppend = 64 << 20

func (h *Handler) append(w http.ResponseWriter, r *http.Request) error {
	key := r.URL.Query().Get("key")
	if r.URL.Query().Has("datastore") {
		return fmt.Errorf("%w: files of datastores don't grow", azml.ErrUnsupported)
	}
	if err := h.scope.Append(r.Context(), key); err != nil {
		return err
	}
	offset, err := number(r, "offset")
	if err != nil {
		return err
	}
	if r.ContentLength < 0 || r.ContentLength > maxAppend {
		return fmt.Errorf("%w: an append of %d bytes", azml.ErrInvalid, r.ContentLength)
	}
	data := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, data); err != nil {
		return cutOff(err)
	}
	info, err := h.objects.Append(r.Context(), key, offset, data)
	return tell(w, toWire(info), err)
}

func (h *Handler) delete(w http.ResponseWriter, r *http.Request) error {
	key := r.URL.Query().Get("key")
	store, err := h.store(r)
	if err != nil {
		return err
	}
	err = store.Delete(r.Context(), key, &backend.DeleteOptions{IfMatch: backend.ETag(r.URL.Query().Get("ifMatch"))})
	return tell(w, struct{}{}, err)
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	opts := &backend.ListOptions{Prefix: r.URL.Query().Get("prefix"), Delimiter: r.URL.Query().Get("delimiter"), StartAfter: r.URL.Query().Get("startAfter")}
	store, err := h.store(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	for info, err := range store.List(r.Context(), opts) {
		line := toWire(info)
		if err != nil {
			line.Error, _ = toWireError(err)
		}
		if lines.Encode(line) != nil || err != nil {
			return nil // the client left, or knows the error
		}
	}
	_ = lines.Encode(wireInfo{End: true})
	return nil
}

func (h *Handler) secret(w http.ResponseWriter, r *http.Request) error {
	name := r.URL.Query().Get("name")
	if err := h.scope.Secret(name); err != nil {
		return err
	}
	value, err := h.secrets.Get(r.Context(), name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(value)))
	_, _ = io.WriteString(w, value) //nolint:gosec // bytes of no type that a page could run; a client that left asks again
	return nil
}

// tell answers with a value, unless there was an error.
func tell(w http.ResponseWriter, value any, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a client that left finds out
	return nil
}

func number(r *http.Request, name string) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", azml.ErrInvalid, name, err)
	}
	return n, nil
}
