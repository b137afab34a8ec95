package mlflow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/history"
)

// inParts is an upload in parts, as a client makes it.
type inParts struct {
	*served
	folder, name string
	made         createUploadResponse
}

const uploads = "/api/2.0/mlflow-artifacts/mpu/"

// beginUpload begins the upload of a file of a new run.
func (s *served) beginUpload(parts int) *inParts {
	s.t.Helper()
	if a := s.send("GET", "/api/2.0/mlflow/experiments/get?experiment_id=e", "", ""); a.status != http.StatusOK {
		post[createExperimentResponse](s, "experiments/create", object{"name": "e"})
	}
	run := post[runResponse](s, "runs/create", object{"experiment_id": "e"}).Run.Info.RunID
	return s.beginUploadTo("e/"+run+"/artifacts/sub", "big.bin", parts)
}

func (s *served) beginUploadTo(folder, name string, parts int) *inParts {
	s.t.Helper()
	a := s.send("POST", uploads+"create/"+folder, jsonType, fmt.Sprintf(`{"path":%q,"num_parts":%d}`, "some/folder/"+name, parts))
	require.Equal(s.t, http.StatusOK, a.status, "%s", a.body)
	u := &inParts{served: s, folder: folder, name: name}
	require.NoError(s.t, json.Unmarshal(a.body, &u.made))
	require.Len(s.t, u.made.Credentials, parts)
	return u
}

// put sends a part and gives how it is named at the end.
func (u *inParts) put(n int, content string) uploadedPart {
	u.t.Helper()
	c := u.made.Credentials[n-1]
	require.EqualValues(u.t, n, c.PartNumber)
	a := u.send("PUT", strings.TrimPrefix(c.URL, u.url), "", content)
	require.Equal(u.t, http.StatusOK, a.status, "%s", a.body)
	return uploadedPart{int64(n), a.header.Get("ETag"), c.URL}
}

// end sends the request that completes or aborts the upload.
func (u *inParts) end(how string, parts ...uploadedPart) answer {
	u.t.Helper()
	return u.send("POST", uploads+how+"/"+u.folder, jsonType, string(encode(u.t, object{"path": u.name, "upload_id": u.made.UploadID, "parts": parts})))
}

// file gives the file as it is now, "" when there is none.
func (u *inParts) file() string {
	u.t.Helper()
	a := u.send("GET", "/api/2.0/mlflow-artifacts/artifacts/"+u.folder+"/"+u.name, "", "")
	if a.status != http.StatusOK {
		require.Equal(u.t, http.StatusNotFound, a.status)
		return ""
	}
	return string(a.body)
}

// left gives the keys of what is stored of uploads.
func (s *served) left() (keys []string) {
	s.t.Helper()
	for name, err := range s.core.Children(s.t.Context(), "uploads/") {
		require.NoError(s.t, err)
		for part, err := range s.core.Children(s.t.Context(), "uploads/"+name+"/parts/") {
			require.NoError(s.t, err)
			keys = append(keys, name+"/parts/"+part)
		}
	}
	return keys
}

func TestUploadInParts(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	u := s.beginUpload(5)
	var whole strings.Builder
	contents := make([]string, 5)
	for i := range contents {
		data := make([]byte, 700_000+random.IntN(100_000)) // cut into chunks
		for j := range data {
			data[j] = byte(random.Uint32())
		}
		contents[i] = string(data)
		whole.WriteString(contents[i])
	}
	u.put(2, "replaced by what comes later")
	named := make([]uploadedPart, 5)
	var sending sync.WaitGroup
	for _, i := range random.Perm(5) { // at once and in any order
		sending.Go(func() { named[i] = u.put(i+1, contents[i]) })
	}
	sending.Wait()
	require.Empty(t, u.file(), "it is not there before all of it is")
	random.Shuffle(5, func(i, j int) { named[i], named[j] = named[j], named[i] })
	require.Equal(t, http.StatusOK, u.end("complete", named...).status)
	require.True(t, whole.String() == u.file())
	require.Empty(t, s.left(), "the parts are gone")

	require.Equal(t, http.StatusOK, u.end("complete", named...).status, "a client that got no answer asks again")
	require.Equal(t, http.StatusOK, u.end("abort").status)
	require.Equal(t, http.StatusNotFound, u.send("PUT", strings.TrimPrefix(u.made.Credentials[0].URL, s.url), "", "late").status)
	require.True(t, whole.String() == u.file(), "nothing comes after the end")

	// One file is one file, however it came: the same chunks, the same digest.
	sum := sha256.Sum256([]byte(whole.String()))
	a := s.send("HEAD", "/api/2.0/mlflow-artifacts/artifacts/"+u.folder+"/"+u.name, "", "")
	require.Equal(t, `"`+hex.EncodeToString(sum[:])+`"`, a.header.Get("ETag"))
}

func TestUploadOfOnePartAndOfNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, content := range []string{"", "small"} {
		u := s.beginUpload(1)
		require.Equal(t, http.StatusOK, u.end("complete", u.put(1, content)).status)
		require.Equal(t, content, u.file())
		a := s.send("GET", "/api/2.0/mlflow-artifacts/presigned/"+u.folder+"/"+u.name, "", "")
		var at presignedResponse
		require.NoError(t, json.Unmarshal(a.body, &at))
		require.EqualValues(t, len(content), at.FileSize)
		require.Equal(t, content, string(s.send("GET", strings.TrimPrefix(at.URL, s.url), "", "").body))
	}
}

// TestUploadRefused: what is not whole, or not this upload, becomes no file.
func TestUploadRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	u := s.beginUpload(3)
	one, two, three := u.put(1, "one"), u.put(2, "two"), u.put(3, "three")
	other := s.beginUpload(3)
	for name, tt := range map[string]struct {
		parts []uploadedPart
		text  string
	}{
		"none":                {[]uploadedPart{}, "The part 1 is missing"},
		"one is missing":      {[]uploadedPart{one, three}, "The part 2 is missing"},
		"one twice":           {[]uploadedPart{one, two, three, two}, "The part 2 is named twice"},
		"one too many":        {[]uploadedPart{one, two, three, {4, three.Etag, ""}}, "Invalid part number 4"},
		"number 0":            {[]uploadedPart{{0, one.Etag, ""}, two, three}, "Invalid part number 0"},
		"a negative number":   {[]uploadedPart{{-1, one.Etag, ""}, two, three}, "Invalid part number -1"},
		"another's tag":       {[]uploadedPart{one, {2, three.Etag, ""}, three}, "The part 2 with the ETag"},
		"a tag of letters":    {[]uploadedPart{one, {2, "x", ""}, three}, "The part 2 with the ETag 'x'"},
		"the largest numbers": {[]uploadedPart{{1<<63 - 1, one.Etag, ""}}, "Invalid part number"},
	} {
		a := u.end("complete", tt.parts...)
		require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", name, a.body)
		require.Contains(t, string(a.body), tt.text, name)
	}
	a := other.end("complete", one, two, three)
	require.Equal(t, http.StatusBadRequest, a.status, "no part was uploaded: %s", a.body)
	stranger := *u
	stranger.made.UploadID = other.made.UploadID
	require.Equal(t, http.StatusNotFound, stranger.end("complete", one, two, three).status, "an upload of another file")
	again := u.put(2, "two, again")
	require.Equal(t, http.StatusBadRequest, u.end("complete", one, two, three).status, "it was replaced")
	require.Empty(t, u.file())
	untagged := uploadedPart{PartNumber: 3}
	require.Equal(t, http.StatusOK, u.end("complete", one, again, untagged).status)
	require.Equal(t, "onetwo, againthree", u.file())

	for name, tt := range map[string]struct {
		method, path, body string
		status             int
	}{
		"too many parts":       {"POST", "create/" + u.folder, `{"path":"a","num_parts":10001}`, 400},
		"a negative number":    {"POST", "create/" + u.folder, `{"path":"a","num_parts":-1}`, 400},
		"no parts":             {"POST", "create/" + u.folder, `{"path":"a","num_parts":0}`, 400},
		"no name":              {"POST", "create/" + u.folder, `{}`, 400},
		"a folder's name":      {"POST", "create/" + u.folder, `{"path":"a/"}`, 400},
		"dots":                 {"POST", "create/" + u.folder, `{"path":".."}`, 400},
		"dots behind Windows'": {"POST", "create/" + u.folder, `{"path":"C:\\x\\.."}`, 400},
		"escaped dots":         {"POST", "create/" + u.folder, `{"path":"%2e%2e"}`, 400},
		"a folder outside":     {"POST", "create/" + u.folder + "/../../../x", `{"path":"a"}`, 400},
		"no folder":            {"POST", "create/", `{"path":"a"}`, 400},
		"no run":               {"POST", "create/e/r/artifacts", `{"path":"a"}`, 404},
		"a version's files":    {"POST", "create/_models/m/1", `{"path":"a"}`, 404},
		"no upload":            {"PUT", "parts/x/1", "", 404},
		"an upload's path":     {"PUT", "parts/..%2f..%2fruns/1", "", 404},
		"part 0":               {"PUT", "parts/" + other.made.UploadID + "/0", "", 400},
		"part 4 of 3":          {"PUT", "parts/" + other.made.UploadID + "/4", "", 400},
		"part +1":              {"PUT", "parts/" + other.made.UploadID + "/1x", "", 400},
	} {
		a := s.send(tt.method, uploads+tt.path, jsonType, tt.body)
		require.Equal(t, tt.status, a.status, "%s: %s", name, a.body)
	}
}

func TestUploadAborted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	u := s.beginUpload(2)
	parts := []uploadedPart{u.put(1, "one"), u.put(2, "two")}
	require.Len(t, s.left(), 2)
	for range 2 {
		require.Equal(t, http.StatusOK, u.end("abort").status)
	}
	require.Empty(t, s.left())
	require.Equal(t, http.StatusNotFound, u.end("complete", parts...).status)
	require.Empty(t, u.file())
}

// TestUploadOfAGoneRun: parts are as little taken as files are.
func TestUploadOfAGoneRun(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	u := s.beginUpload(1)
	one := u.put(1, "one")
	id := strings.Split(u.folder, "/")[1]
	require.NoError(t, s.core.Objects().Delete(t.Context(), history.Ref(id).Key, &backend.DeleteOptions{}))
	require.Equal(t, http.StatusNotFound, u.end("complete", one).status)
	require.Equal(t, http.StatusNotFound, u.send("PUT", strings.TrimPrefix(u.made.Credentials[0].URL, s.url), "", "x").status)
}

// TestUploadCarriesTheToken: who was let in by a header is told to show it again.
func TestUploadCarriesTheToken(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	u := s.beginUpload(1)
	require.Empty(t, u.made.Credentials[0].Headers)
	require.Equal(t, http.StatusOK, u.end("complete", u.put(1, "one")).status)
	for _, request := range []struct{ method, path, body string }{
		{"POST", uploads + "create/" + u.folder, `{"path":"a"}`},
		{"GET", "/api/2.0/mlflow-artifacts/presigned/" + u.folder + "/" + u.name, ""},
	} {
		for _, tt := range []struct{ proto, want string }{{"", "http://"}, {"https", "https://"}, {"evil:", "http://"}} {
			req, err := http.NewRequestWithContext(t.Context(), request.method, s.url+request.path, bytes.NewReader([]byte(request.body)))
			require.NoError(t, err)
			req.Header = http.Header{"Authorization": {"Bearer secret"}, "Content-Type": {jsonType}, "X-Forwarded-Proto": {tt.proto}}
			resp, err := http.DefaultTransport.RoundTrip(req)
			require.NoError(t, err)
			var said struct {
				credential
				Credentials []credential `json:"credentials"`
			}
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&said))
			require.NoError(t, resp.Body.Close())
			require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
			for _, c := range slices.Concat(said.Credentials, []credential{said.credential}) {
				if c.URL != "" {
					require.Equal(t, map[string]string{"Authorization": "Bearer secret"}, c.Headers)
					require.True(t, strings.HasPrefix(c.URL, tt.want+req.Host+"/api/2.0/mlflow-artifacts/"), c.URL)
					require.NotContains(t, c.URL, "secret")
				}
			}
		}
	}
}

// TestUploadBelowAPath: a program may mount the handler anywhere.
func TestUploadBelowAPath(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	mux := http.NewServeMux()
	mux.Handle("/ml/flow/", http.StripPrefix("/ml/flow", s.handler))
	r := s.beginUpload(1)
	for _, target := range []string{uploads + "create/" + r.folder, uploads + "create/" + r.folder + "?x=y"} {
		a := handled(t, mux, "POST", "/ml/flow"+target, `{"path":"a"}`)
		var made createUploadResponse
		require.NoError(t, json.Unmarshal(a.body, &made), "%s", a.body)
		require.Equal(t, "http://example.com/ml/flow"+partsPath(made.UploadID, 1), made.Credentials[0].URL)
	}
}

func partsPath(id string, n int) string { return fmt.Sprintf("%sparts/%s/%d", uploads, id, n) }

// TestUploadOfAScript: a script may not send parts of another's upload.
func TestUploadOfAScript(t *testing.T) {
	t.Parallel()
	free, s := serveScoped(t, true), serveScoped(t, false)
	for _, to := range []named{s.elsewhere, s.sibling} {
		id := begunBefore(t, s, to)
		requireRefused(t, s.send("PUT", partsPath(id, 1), "", "x"), "a part of a file of %s", to.run)
	}
	id := begunBefore(t, free, free.elsewhere)
	require.Equal(t, http.StatusOK, free.send("PUT", partsPath(id, 1), "", "x").status)
	own := s.beginUploadTo("own/script/artifacts", "a.bin", 1)
	require.Equal(t, http.StatusOK, own.end("complete", own.put(1, "x")).status)
}

// begunBefore begins an upload to another run past the script's handler.
func begunBefore(t *testing.T, s *scoped, to named) string {
	t.Helper()
	u, err := history.BeginUpload(t.Context(), s.core, to.experiment+"/"+to.run+"/artifacts/a.bin", 1)
	require.NoError(t, err)
	return u.ID
}

// TestUploadOfAPage: what MLflow's pages upload small files with.
func TestUploadOfAPage(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	const path = "/ajax-api/2.0/mlflow/upload-artifact"
	require.Equal(t, http.StatusOK, s.send("POST", path+"?run_id="+id+"&path=sub/p.json", "", `{"a":1}`).status)
	require.Equal(t, `{"a":1}`, string(s.send("GET", "/get-artifact?run_id="+id+"&path=sub/p.json", "", "").body))
	for name, tt := range map[string]struct {
		query, body string
		status      int
		text        string
	}{
		"no run":      {"path=a", "x", 400, "'run_id'"},
		"another run": {"run_id=none&path=n", "x", 404, "Run with id=none not found"},
		"no path":     {"run_id=" + id, "x", 400, "'path'"},
		"dots":        {"run_id=" + id + "&path=../a", "x", 400, "Invalid path"},
		"no data":     {"run_id=" + id + "&path=a", "", 400, "must specify data"},
		"large":       {"run_id=" + id + "&path=sub/none", strings.Repeat("x", 10<<20+1), 400, "larger than"},
	} {
		a := s.send("POST", path+"?"+tt.query, "", tt.body)
		require.Equal(t, tt.status, a.status, "%s: %s", name, a.body)
		require.Contains(t, string(a.body), tt.text, name)
	}
	require.Equal(t, http.StatusNotFound, s.send("GET", "/get-artifact?run_id="+id+"&path=sub/none", "", "").status)
}

// handled gives the answer of a handler without a connection.
func handled(t *testing.T, h http.Handler, method, target, body string) answer {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	req.Header.Set("Content-Type", jsonType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return answer{w.Code, w.Header(), w.Body.Bytes()}
}
