package scoring

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

const maxRequestID = 100

// ids are the request ids of the answer.
type ids struct{ request, legacy, client string }

// requestIDs follows the contract's rules: a missing request id is made; the
// client's id is its own header or the older one's; the older one's answer is
// never empty. The problem is the text of a refusal.
func requestIDs(header http.Header) (out ids, problem string) {
	id := first(header, headerRequestID)
	if len(id) > maxRequestID {
		return out, "x-request-id must not exceed 100 characters"
	}
	if id == "" {
		id = newID()
	}
	legacy, client := first(header, headerLegacyID), first(header, headerClientID)
	if len(legacy) > maxRequestID || len(client) > maxRequestID {
		return ids{request: id}, "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"
	}
	if client == "" {
		client = legacy
	}
	if legacy == "" {
		legacy = client
	}
	if legacy == "" {
		legacy = id
	}
	return ids{request: id, legacy: legacy, client: client}, ""
}

// first gives the first value of a header, whose name is in canonical form.
func first(header http.Header, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// newID makes a random UUID.
func newID() string {
	var u [16]byte
	binary.NativeEndian.PutUint64(u[:8], rand.Uint64()) //nolint:gosec // it is no secret, and the seed is the system's
	binary.NativeEndian.PutUint64(u[8:], rand.Uint64()) //nolint:gosec // likewise
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[:8], u[:4])
	hex.Encode(text[9:13], u[4:6])
	hex.Encode(text[14:18], u[6:8])
	hex.Encode(text[19:23], u[8:10])
	hex.Encode(text[24:], u[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

func (s *Server) commonHeaders(w *recorder, r *http.Request, ids ids) {
	set := func(name, value string) {
		if value != "" {
			w.setHeader(name, value)
		}
	}
	set(headerRequestID, ids.request)
	set(headerLegacyID, ids.legacy)
	set(headerClientID, ids.client)
	set(headerTraceID, first(r.Header, headerTraceID))
	if !s.cfg.HideServerVersion {
		w.setHeader(headerServerVersion, s.cfg.ServerVersion)
	}
}

// cors adds the headers for an allowed origin; preflight says that the request
// was a browser's question only, which is answered without a key.
func (s *Server) cors(header http.Header, r *http.Request) (preflight bool) {
	origins := s.limits.Load().origins
	if len(origins) == 0 {
		return false
	}
	origin := r.Header.Get("Origin")
	header.Add("Vary", "Origin")
	all := slices.Contains(origins, "*")
	if origin == "" || !all && !slices.ContainsFunc(origins, func(allowed string) bool { return strings.EqualFold(allowed, origin) }) {
		return false
	}
	if all {
		origin = "*"
	}
	header.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "GET, POST")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		header.Set("Access-Control-Allow-Headers", asked)
	}
	return true
}

// authorized checks the key, or refuses with 401.
func (s *Server) authorized(w http.ResponseWriter, r *http.Request) bool {
	why := s.admits(first(r.Header, "Authorization"))
	if why == "" {
		return true
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	refuse(w, http.StatusUnauthorized, why)
	return false
}

// admits tells why what a client sent as Authorization does not let it in, "" when
// it does.
func (s *Server) admits(authorization string) (why string) {
	if s.open() {
		return ""
	}
	scheme, key, _ := strings.Cut(authorization, " ")
	key = strings.TrimSpace(key)
	switch {
	case key == "":
		return "A key is needed: send the header Authorization: Bearer <key>."
	case strings.EqualFold(scheme, "Bearer") && s.cfg.Authorize(key):
		return ""
	}
	return "The key is not accepted."
}
