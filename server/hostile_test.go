package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/guard"
	"github.com/azml-go/azml/internal/workspacetest"
)

// statuses finds the status lines of answers, which may stand behind a body.
var statuses = regexp.MustCompile(`HTTP/1\.[01] (\d{3}) `)

// TestRawRequests sends what no client would, byte by byte: each is refused with
// the statuses that are named, in their order, and the server goes on.
func TestRawRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, hasty)
	id := s.run()
	post := "POST " + create + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	upload := "PUT /api/2.0/mlflow-artifacts/artifacts/e/" + id + "/artifacts/a HTTP/1.1\r\nHost: localhost\r\n"
	next := "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
	for name, tt := range map[string]struct {
		text     string
		statuses string
	}{
		"rubbish":                      {"\x00\x01\x02\xff\r\n\r\n", "400"},
		"no HTTP":                      {"hello\r\n\r\n", "400"},
		"TLS":                          {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 600), "400"},
		"HTTP/2":                       {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "403"},
		"HTTP/9":                       {"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n", "505"},
		"no host":                      {"GET /health HTTP/1.1\r\n\r\n", "400"},
		"two hosts":                    {"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n\r\n", "400"},
		"a host with a line":           {"GET /health HTTP/1.1\r\nHost: localhost\n evil\r\n\r\n", "400"},
		"another host in the line":     {"GET http://evil.com/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "403"},
		"a proxy's request":            {"CONNECT evil.com:443 HTTP/1.1\r\nHost: evil.com:443\r\nConnection: close\r\n\r\n", "403"},
		"a proxy's request here":       {"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "404"},
		"star":                         {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "404"},
		"a space in a header's name":   {"GET /health HTTP/1.1\r\nHost: localhost\r\nX y: z\r\n\r\n", "400"},
		"a header of zeros":            {"GET /health HTTP/1.1\r\nHost: localhost\r\nX: \x00\r\n\r\n", "400"},
		"a great header":               {"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 200<<10) + "\r\n\r\n", "431"},
		"very many headers":            {"GET /health HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: y\r\n", 50<<10) + "\r\n", "431"},
		"a great path":                 {"GET /" + strings.Repeat("x", 200<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "431"},
		"a long path":                  {"GET /" + strings.Repeat("x", 20<<10) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "400"},
		"two lengths":                  {post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", "400"},
		"length and chunks":            {post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + next, "400 200"}, // the chunks count (RFC 9112, 6.3)
		"a negative length":            {post + "Content-Length: -1\r\n\r\n", "400"},
		"a length of letters":          {post + "Content-Length: ten\r\n\r\n", "400"},
		"a great length":               {post + "Content-Length: 99999999999999999999\r\n\r\n", "400"},
		"a length beyond the bound":    {post + "Content-Length: 9223372036854775807\r\n\r\n{}", "400"},
		"another coding":               {post + "Transfer-Encoding: gzip\r\n\r\nx", "501"},
		"two codings":                  {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501"},
		"a coding in odd letters":      {post + "Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "501"},
		"a chunk of a wrong size":      {post + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "400"},
		"a chunk of a negative size":   {post + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n", "400"},
		"a chunk of a great size":      {post + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n0\r\n\r\n", "400"},
		"a chunk longer than it says":  {post + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}{}{}\r\n0\r\n\r\n", "400"},
		"a chunk with much behind":     {post + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 20<<10) + "\r\n{}\r\n0\r\n\r\n", "400"},
		"tiny chunks of spaces":        {post + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\n \r\n", 10_000) + "2\r\n{}\r\n0\r\n\r\n", "400"},
		"a file's chunk cut off":       {upload + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
		"a request hidden in a body":   {post + "Content-Length: " + strconv.Itoa(len(next)) + "\r\n\r\n" + next + next, "400 200"},
		"a body behind a GET":          {"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}" + next, "200 200"},
		"many requests at once":        {strings.Repeat("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 20) + next, strings.TrimSpace(strings.Repeat("200 ", 21))},
		"an upgrade":                   {"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", "200"},
		"another kind of expectation":  {"GET /health HTTP/1.1\r\nHost: localhost\r\nExpect: money\r\n\r\n", "417"},
		"very many ranges":             {"GET /api/2.0/mlflow-artifacts/artifacts/e/" + id + "/artifacts/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nRange: bytes=" + strings.Repeat("0-0,", 5000) + "0-0\r\n\r\n", "404"},
		"a method of its own":          {"GETS /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "404"},
		"a method with odd characters": {"G(T /health HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
		"a path that isn't one":        {"GET health HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
		"a path escaped wrongly":       {"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &served{t: t, addr: s.addr}
			back := s.raw(tt.text)
			var got []string
			for _, m := range statuses.FindAllStringSubmatch(back, -1) {
				got = append(got, m[1])
			}
			require.Equal(t, tt.statuses, strings.Join(got, " "), "%.2000s", back)
			require.Equal(t, http.StatusOK, s.send("GET", "/health", "").status)
		})
	}
}

// outside are paths that try to leave a run's files, as they stand in a URL.
var outside = []string{
	"../x", "..%2fx", "%2e%2e/x", "%2e%2e%2fx", ".%2e/.%2e/x", "%252e%252e%252fx", "%25252e%25252e/x", "a/../../../workspace.json", "a/%2e%2e/%2e%2e/x", "..%5cx",
	"..%255cx", "%5c%5chost%5cshare", "//host/share", "/etc/passwd", "%2fetc%2fpasswd", "C:/x", "C:%5cx", "file:///etc/passwd", "a%23b", "a%00", "a%0a", "%c0%ae%c0%ae/x",
	"%ff", "..;/x", "a/./b", "a//b", "%e2%80%ae..", "．．/x", "con%00.txt", strings.Repeat("a/", 3000) + "b",
}

// TestPathsStayInside tries every route with files, with a file at hand outside
// that would tell if it were reached.
func TestPathsStayInside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const canary = "nobody may see this"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), []byte(canary), 0o600))
	s := serveWorkspace(t, workspacetest.Reopen(t, dir), nil, nil)
	id := s.run()
	before := tree(t, dir)
	for _, path := range outside {
		for _, request := range [][2]string{
			{"GET", "/api/2.0/mlflow-artifacts/artifacts/" + path},
			{"GET", "/api/2.0/mlflow-artifacts/artifacts/e/" + id + "/artifacts/" + path},
			{"PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/" + path},
			{"PUT", "/api/2.0/mlflow-artifacts/artifacts/e/" + id + "/artifacts/../" + path},
			{"DELETE", "/api/2.0/mlflow-artifacts/artifacts/e/" + path},
			{"PUT", "/api/2.0/mlflow-artifacts/mpu/parts/" + path + "/1"},
			{"POST", "/api/2.0/mlflow-artifacts/mpu/create/" + path},
			{"POST", "/api/2.0/mlflow-artifacts/mpu/complete/e/" + id + "/artifacts/../" + path},
			{"GET", "/api/2.0/mlflow-artifacts/presigned/e/" + id + "/artifacts/" + path},
			{"GET", "/api/2.0/mlflow-artifacts/artifacts?path=" + path},
			{"GET", "/api/2.0/mlflow/artifacts/list?run_id=" + id + "&path=" + path},
			{"GET", "/api/2.0/mlflow/artifacts/list?run_id=" + path},
			{"GET", "/get-artifact?run_id=" + id + "&path=" + path},
			{"GET", "/get-artifact?run_uuid=" + path + "&path=a"},
			{"GET", "/api/2.0/mlflow/experiments/get?experiment_id=" + path},
			{"GET", "/" + path},
		} {
			a := s.send(request[0], request[1], "evil")
			require.Less(t, a.status, 500, "%s %s: %s", request[0], request[1], a.body)
			require.NotContains(t, a.body, canary)
			if request[0] != "GET" {
				require.GreaterOrEqual(t, a.status, 400, "%s %s", request[0], request[1])
			}
		}
	}
	require.Equal(t, before, tree(t, dir), "nothing was written")
}

// tree lists the files below dir that are the workspace's or its neighbours.
func tree(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (d.Name() == ".localfs" || d.Name() == "cache") {
			return fs.SkipDir
		}
		paths = append(paths, path)
		return err
	}))
	return paths
}

// TestArtifactsDoNotRun downloads what a browser would run if it were let.
func TestArtifactsDoNotRun(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil)
	id := s.run()
	for _, name := range []string{"a.html", "a.svg", "a.js", "a.pdf"} {
		path := "/api/2.0/mlflow-artifacts/artifacts/e/" + id + "/artifacts/" + name
		require.Equal(t, http.StatusOK, s.send("PUT", path, "<script>alert(1)</script>").status)
		for _, p := range []string{path, "/get-artifact?run_id=" + id + "&path=" + name} {
			a := s.send("GET", p, "")
			require.Equal(t, http.StatusOK, a.status)
			require.Contains(t, a.header.Get("Content-Disposition"), "attachment")
			require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
			require.Equal(t, "application/octet-stream", a.header.Get("Content-Type"))
		}
	}
}

// FuzzServer sends anything by anybody: no one gets in without a token, nothing
// breaks, every error is a clear one.
func FuzzServer(f *testing.F) {
	// The same in all processes that fuzz, and short to find.
	const secret = "01234567890123456789012345678901"
	s := serveWorkspace(f, workspacetest.Open(f), &Options{Token: secret}, nil)
	f.Add("GET", "/health", "localhost", "", "", "")
	f.Add("GET", search, "127.0.0.1:5000", "Bearer "+secret, "", "")
	f.Add("POST", create, "localhost", "Basic eDp5", "https://evil.com", `{"name":"x"}`)
	f.Add("POST", create, "[::1]:80", "Bearer "+secret, "http://[::1]:80", `{"name":"x"}`)
	f.Add("OPTIONS", create, "evil.com", "Bearer azml_0123456789abcdef_x", "null", "")
	f.Add("PUT", "/api/2.0/mlflow-artifacts/artifacts/%2e%2e/x", "localhost.", "bearer\t"+secret, "", "x")
	f.Add("DELETE", "/ajax-api/2.0/mlflow-artifacts/artifacts/e/r/artifacts/a?x=y#z", "localhost", "Bearer "+secret, "", "")
	f.Fuzz(func(t *testing.T, method, target, host, authorization, origin, body string) {
		ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}))
		req, err := http.NewRequestWithContext(ctx, method, "http://x"+target, strings.NewReader(body))
		if err != nil {
			t.Skip("net/http reads no such request: TestRawRequests") // no seed is one
		}
		req.Host = host
		req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {authorization}, "Origin": {origin}}
		w := httptest.NewRecorder()
		s.srv.ServeHTTP(w, req)
		require.True(t, w.Code < 500 || w.Code == http.StatusNotImplemented, "%d %s", w.Code, w.Body)
		if w.Code < 300 && req.URL.Path != healthPath {
			require.Equal(t, secret, secretOf(req), "nobody else gets in")
			require.True(t, origin == "" || guard.SameHost(origin, host))
		}
		if w.Code >= 400 {
			var e map[string]string
			require.NoError(t, json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&e))
			require.NotEmpty(t, e["error_code"])
			require.NotEmpty(t, e["message"])
		}
	})
}
