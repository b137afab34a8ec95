package keyvaulttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// pageSize is how many secrets a page of a list has at most.
const pageSize = 25

// request is what a request asks for.
type request struct {
	method     string // of the SDK's client
	permission Permission
	name       string // of the secret, "" for lists
}

// parse tells what a request asks for.
func parse(r *http.Request) (request, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	for len(parts) < 3 {
		parts = append(parts, "")
	}
	collection, name, rest := parts[0], parts[1], parts[2]
	if len(parts) > 3 || collection != "secrets" && collection != "deletedsecrets" {
		return request{}, false
	}
	route := r.Method + " " + collection
	for _, part := range []struct{ given, word string }{{name, "/NAME"}, {rest, "/" + rest}} {
		if part.given != "" {
			route += part.word
		}
	}
	switch route {
	case "GET secrets":
		return request{"NewListSecretPropertiesPager", PermissionList, ""}, true
	case "GET deletedsecrets":
		return request{"NewListDeletedSecretPropertiesPager", PermissionList, ""}, true
	case "GET secrets/NAME/versions":
		return request{"NewListSecretPropertiesVersionsPager", PermissionList, name}, true
	case "PUT secrets/NAME":
		return request{"SetSecret", PermissionSet, name}, true
	case "DELETE secrets/NAME":
		return request{"DeleteSecret", PermissionDelete, name}, true
	case "GET deletedsecrets/NAME":
		return request{"GetDeletedSecret", PermissionGet, name}, true
	case "DELETE deletedsecrets/NAME":
		return request{"PurgeDeletedSecret", PermissionPurge, name}, true
	case "POST deletedsecrets/NAME/recover":
		return request{"RecoverDeletedSecret", PermissionRecover, name}, true
	}
	switch {
	case r.Method == http.MethodGet && collection == "secrets":
		return request{"GetSecret", PermissionGet, name}, true
	case r.Method == http.MethodPatch && collection == "secrets":
		return request{"UpdateSecretProperties", PermissionSet, name}, true
	}
	return request{}, false
}

// ServeHTTP answers as a vault does. It is what Options.Wrap gets.
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked, known := parse(r)
	if refused := v.admit(w, r, asked, known); refused != nil {
		refused.write(w)
		return
	}
	if strings.HasPrefix(asked.method, "NewList") {
		v.list(w, r, asked)
		return
	}
	response, err := v.sdk.Do(r.WithContext(context.WithValue(r.Context(), runtime.CtxAPINameKey{}, "Client."+asked.method)))
	if refused, ok := errors.AsType[*refusal](err); ok {
		refused.write(w)
		return
	}
	if err != nil {
		badParameter(err.Error()).write(w)
		return
	}
	defer response.Body.Close()
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body) // a client that left is none of ours
}

// admit refuses what must not get further, and counts.
func (v *Vault) admit(w http.ResponseWriter, r *http.Request, asked request, known bool) *refusal {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+v.token {
		v.requests["Unauthorized"]++
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer authorization="https://login.%s/%s", resource="https://%s"`, domain, tenant, domain))
		return &refusal{http.StatusUnauthorized, "Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token."}
	}
	if v.throttle > 0 {
		v.throttle--
		v.requests["Throttled"]++
		w.Header().Set("Retry-After", strconv.Itoa(int(v.after/time.Second)))
		return &refusal{http.StatusTooManyRequests, "Throttled", "", "Request was not processed because too many requests were received."}
	}
	switch {
	case r.URL.Query().Get("api-version") == "":
		return badParameter("The request has no api-version.")
	case !known:
		return badParameter("Method " + r.Method + " does not allow operation " + r.URL.Path)
	case asked.name != "" && !legalName.MatchString(asked.name):
		return badParameter("The request URI contains an invalid name: " + asked.name)
	}
	v.requests[asked.method]++
	if v.opts.Permissions != nil && !slices.Contains(v.opts.Permissions, asked.permission) {
		return &refusal{http.StatusForbidden, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource."}
	}
	return nil
}

// write answers with the refusal.
func (r *refusal) write(w http.ResponseWriter) {
	answer := map[string]any{"code": r.code, "message": r.message}
	if r.inner != "" {
		answer["innererror"] = map[string]any{"code": r.inner}
	}
	writeJSON(w, r.status, map[string]any{"error": answer})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that left is none of ours
}

// list answers with one page. The token of the next one is the last name or
// version, so that listings don't disturb each other.
func (v *Vault) list(w http.ResponseWriter, r *http.Request, asked request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	items := v.items(asked)
	ids := slices.Sorted(maps.Keys(items))
	after := r.URL.Query().Get("$skiptoken")
	ids = slices.DeleteFunc(ids, func(id string) bool { return id <= after })
	size := pageSize
	if given, err := strconv.Atoi(r.URL.Query().Get("maxresults")); err == nil && given > 0 {
		size = min(given, pageSize)
	}
	page := map[string]any{"nextLink": nil}
	if len(ids) > size {
		ids = ids[:size]
		query := r.URL.Query()
		query.Set("$skiptoken", ids[size-1])
		page["nextLink"] = "https://" + r.Host + r.URL.Path + "?" + query.Encode()
	}
	shown := []any{}
	for _, id := range ids {
		shown = append(shown, items[id])
	}
	page["value"] = shown
	writeJSON(w, http.StatusOK, page)
}

// items gives what a list shows, by what orders it.
func (v *Vault) items(asked request) map[string]any {
	items := map[string]any{}
	for id, s := range v.secrets {
		base := azsecrets.ID(v.URL() + "/secrets/" + s.name)
		busy := time.Now().Before(s.settled)
		switch asked.method {
		case "NewListSecretPropertiesPager":
			if s.deleted.IsZero() && !busy {
				items[id] = s.properties(s.newest(), base)
			}
		case "NewListDeletedSecretPropertiesPager":
			if !s.deleted.IsZero() && !busy {
				t := v.tombstone(s)
				items[id] = azsecrets.DeletedSecretProperties{ID: &base, RecoveryID: t.RecoveryID, Attributes: t.Attributes, ContentType: t.ContentType,
					Tags: t.Tags, DeletedDate: t.DeletedDate, ScheduledPurgeDate: t.ScheduledPurgeDate}
			}
		case "NewListSecretPropertiesVersionsPager":
			if id == key(asked.name) && s.deleted.IsZero() {
				for _, version := range s.versions {
					items[version.ID.Version()] = s.properties(version, *version.ID)
				}
			}
		}
	}
	return items
}
