package mlflow

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

// story makes an experiment with a run that has a file, and gives the run's ID.
func (s *served) story() string {
	s.t.Helper()
	post[createExperimentResponse](s, "experiments/create", object{"name": "e"})
	id := post[runResponse](s, "runs/create", object{"experiment_id": "e", "run_name": "r"}).Run.Info.RunID
	a := s.send(http.MethodPut, s.artifact(id, "a/b.txt"), "text/plain", "hello")
	require.Equal(s.t, http.StatusOK, a.status, "%s", a.body)
	return id
}

// artifact gives the path of a request about an artifact of a run of story.
func (s *served) artifact(id, path string) string {
	return "/api/2.0/mlflow-artifacts/artifacts/e/" + id + "/artifacts/" + path
}

// keys lists all objects of the workspace.
func (s *served) keys() []string {
	s.t.Helper()
	var keys []string
	for info, err := range s.core.Objects().List(s.t.Context(), &backend.ListOptions{}) {
		require.NoError(s.t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// outside are paths that try to leave the run, as they stand in a URL.
var outside = []string{
	"../x", "a/../../x", "a/..", "..", "%2e%2e/x", "%2E%2E%2Fx", ".%2e/x", "a/%2e%2e/x", "%252e%252e/x", "%25252e%25252e/x", "..%252fx", "a/./b", "./a",
	"/etc/passwd", "%2Fetc%2Fpasswd", "//etc/passwd", "a//b", "C:/x", "C:%5Cx", "C:", "C%253A/x", "%2566ile:x", "a%252fb", "a%2523b", "..%5Cx", "a%5C..%5Cx", "%5C%5Chost%5Cshare", "file:/etc/passwd",
	"file:///etc/passwd", "FILE:x", "a%23b", "a%00b", "a%0Ab", "a%7Fb", "%25zz/%252e./x", "%" + strings.Repeat("25", 20) + "41", "%ff%fe", strings.Repeat("x/", 2100) + "y",
}

// Names that only look like drives and escapes are names as others.
func TestNamesWithColonsAndEscapes(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	for _, name := range []string{"a:b.txt", "c:x", "a/C:", "50%25.csv", "a%2eb", "a%00b", "100%", "%zz"} {
		path := s.artifact(id, url.PathEscape(name))
		a := s.send("PUT", path, "", name)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", name, a.body)
		a = s.send("GET", path, "", "")
		require.Equal(t, http.StatusOK, a.status, "%s: %s", name, a.body)
		require.Equal(t, name, string(a.body))
	}
	require.Contains(t, string(s.send("GET", s.artifact(id, "%2e%2e%2fx"), "", "").body), "artifacts/../x'", "errors name the path")
}

func TestPathsStayInside(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	before := s.keys()
	for _, path := range outside {
		name := path[:min(len(path), 40)]
		plain, err := url.PathUnescape(path)
		require.NoError(t, err)
		root := "e/" + id + "/artifacts/"
		query := url.QueryEscape(plain)
		for _, request := range [][2]string{
			{"GET", s.artifact(id, path)}, {"PUT", s.artifact(id, path)}, {"DELETE", s.artifact(id, path)}, {"HEAD", s.artifact(id, path)},
			{"GET", "/api/2.0/mlflow-artifacts/artifacts?path=" + url.QueryEscape(root) + query},
			{"GET", "/ajax-api/2.0/mlflow/artifacts/list?run_id=" + id + "&path=" + query},
			{"GET", "/get-artifact?run_id=" + id + "&path=" + query},
			{"POST", "/ajax-api/2.0/mlflow/upload-artifact?run_id=" + id + "&path=" + query},
		} {
			a := s.send(request[0], request[1], "", "evil")
			require.Equal(t, http.StatusBadRequest, a.status, "%s %s: %s", request[0], name, a.body)
			if request[0] != "HEAD" {
				require.Equal(t, "INVALID_PARAMETER_VALUE", a.code(), "%s %s", request[0], name)
			}
		}
	}
	require.Equal(t, before, s.keys(), "nothing was written")
}

func TestPathsThatAreNoRun(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	before := s.keys()
	for _, path := range []string{
		"", "x", "e", "e/" + id, "e/" + id + "/other/x", "f/" + id + "/artifacts/a", "e/none/artifacts/a", "artifacts/a", "e/artifacts/x", id + "/artifacts/a/b.txt",
		"e/runs/artifacts/x", "e/workspace.json", "runs/" + id + "/run.json",
	} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			a := s.send(method, "/api/2.0/mlflow-artifacts/artifacts/"+path, "", "evil")
			require.Equal(t, http.StatusNotFound, a.status, "%s %s: %s", method, path, a.body)
		}
		a := s.send("GET", "/api/2.0/mlflow-artifacts/artifacts?path="+url.QueryEscape(path), "", "")
		require.Equal(t, http.StatusOK, a.status)
		require.JSONEq(t, "{}", string(a.body))
	}
	require.Equal(t, before, s.keys(), "nothing was written")
}

func TestDownload(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	a := s.send("GET", s.artifact(id, "a/b.txt"), "", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "hello", string(a.body))
	require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	require.Equal(t, "attachment; filename=b.txt", a.header.Get("Content-Disposition"))
	require.Equal(t, "application/octet-stream", a.header.Get("Content-Type"))
	require.Equal(t, "5", s.send("HEAD", s.artifact(id, "a/b.txt"), "", "").header.Get("Content-Length"))
	for name, tt := range map[string]struct {
		ranges string
		status int
		body   string
	}{
		"middle":     {"bytes=1-3", http.StatusPartialContent, "ell"},
		"end":        {"bytes=-2", http.StatusPartialContent, "lo"},
		"rest":       {"bytes=4-", http.StatusPartialContent, "o"},
		"beyond":     {"bytes=9-", http.StatusRequestedRangeNotSatisfiable, ""},
		"odd":        {"bytes=x", http.StatusRequestedRangeNotSatisfiable, ""},
		"other unit": {"lines=1-2", http.StatusRequestedRangeNotSatisfiable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+s.artifact(id, "a/b.txt"), nil)
			require.NoError(t, err)
			req.Header.Set("Range", tt.ranges)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, tt.status, resp.StatusCode)
			if tt.body != "" {
				require.Equal(t, int64(len(tt.body)), resp.ContentLength)
			}
		})
	}
	require.Equal(t, http.StatusNotFound, s.send("GET", s.artifact(id, "none"), "", "").status)
	require.Equal(t, http.StatusBadRequest, s.send("GET", s.artifact(id, "a"), "", "").status, "a folder")
	require.Equal(t, http.StatusBadRequest, s.send("PUT", s.artifact(id, "a"), "", "x").status, "a file in the place of a folder")
	require.Equal(t, http.StatusBadRequest, s.send("PUT", s.artifact(id, "a/b.txt/c"), "", "x").status, "a file below a file")
}

func TestBadMessages(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	metric := func(member string) string {
		return fmt.Sprintf(`{"run_id":%q,"key":"m","value":1,"timestamp":1,%s}`, id, member)
	}
	for name, tt := range map[string]struct {
		path, body string
		text       string
	}{
		"no JSON":            {"runs/log-metric", `{`, "not valid JSON"},
		"half a string":      {"runs/log-metric", `{"run_id":"`, "not valid JSON"},
		"two values":         {"runs/log-metric", `{} {}`, "not valid JSON"},
		"a list":             {"runs/log-metric", `[]`, "no JSON object"},
		"a number":           {"runs/log-metric", `1`, "no JSON object"},
		"null":               {"runs/log-metric", `null`, "no JSON object"},
		"deep":               {"runs/log-metric", `{"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, "not valid JSON"},
		"empty":              {"runs/log-metric", ``, "Missing value for required parameter"},
		"string of rubbish":  {"runs/log-metric", `"x"`, "no JSON object"},
		"number for string":  {"runs/log-metric", `{"run_id":31}`, "Invalid value 31 for parameter 'run_id' supplied"},
		"list for string":    {"runs/log-metric", `{"run_id":["x"]}`, `Invalid value [\"x\"] for parameter 'run_id' supplied`},
		"object for string":  {"experiments/create", `{"name":{}}`, "Value was of type 'dict'"},
		"bool for string":    {"experiments/create", `{"name":true}`, "Value was of type 'bool'"},
		"string for number":  {"runs/log-metric", metric(`"value":"x"`), "for parameter 'value' supplied"},
		"hex for number":     {"runs/log-metric", metric(`"value":"0x10"`), "for parameter 'value' supplied"},
		"bool for number":    {"runs/log-metric", metric(`"value":true`), "for parameter 'value' supplied"},
		"text for bool":      {"model-versions/transition-stage", `{"name":"m","version":"1","stage":"None","archive_existing_versions":"yes"}`, "for parameter 'archive_existing_versions' supplied"},
		"number for bool":    {"model-versions/transition-stage", `{"name":"m","version":"1","stage":"None","archive_existing_versions":1}`, "for parameter 'archive_existing_versions' supplied"},
		"half a step":        {"runs/log-metric", metric(`"step":1.5`), "for parameter 'step' supplied"},
		"great step":         {"runs/log-metric", metric(`"step":9223372036854775808`), "for parameter 'step' supplied"},
		"infinite step":      {"runs/log-metric", metric(`"step":"Infinity"`), "for parameter 'step' supplied"},
		"time before 1970":   {"runs/log-metric", metric(`"timestamp":-1`), "Timestamp must be a nonnegative long"},
		"time after 2262":    {"runs/log-metric", metric(`"timestamp":9223372036854775807`), "1678 to 2261"},
		"no key":             {"runs/log-metric", `{"run_id":"x","value":1,"timestamp":1}`, "Missing value for required parameter 'key'"},
		"empty key":          {"runs/log-metric", `{"run_id":"x","key":"","value":1,"timestamp":1}`, "Missing value for required parameter 'key'"},
		"no run":             {"runs/log-metric", `{"key":"k","value":1,"timestamp":1}`, "Missing value for required parameter 'run_id'"},
		"two spellings":      {"runs/log-metric", `{"run_id":"x","runId":"y"}`, "Request specifies both 'run_id' and 'runId'"},
		"unknown status":     {"runs/update", fmt.Sprintf(`{"run_id":%q,"status":"DONE"}`, id), "for parameter 'status' supplied"},
		"metrics no list":    {"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":{}}`, id), "for parameter 'metrics' supplied"},
		"metric no object":   {"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[1]}`, id), "for parameter 'metrics[0]' supplied"},
		"metric without key": {"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[{"value":1,"timestamp":1}]}`, id), "Missing value for required parameter 'metrics[0].key'"},
		"1,001 metrics": {"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[%s{"key":"k","value":1,"timestamp":1}]}`, id,
			strings.Repeat(`{"key":"k","value":1,"timestamp":1},`, 1000)), "at most 1000 metrics"},
		"101 params":          {"runs/log-batch", fmt.Sprintf(`{"run_id":%q,"params":[%s{"key":"k"}]}`, id, strings.Repeat(`{"key":"k"},`, 100)), "at most 100 params"},
		"start in nanos":      {"runs/create", `{"experiment_id":"e","start_time":1700000000000000000}`, "Invalid value 1700000000000000000 for parameter 'start_time' supplied: give milliseconds"},
		"end in nanos":        {"runs/update", fmt.Sprintf(`{"run_id":%q,"status":"FINISHED","end_time":-1700000000000000000}`, id), "for parameter 'end_time' supplied: give milliseconds"},
		"no such experiment":  {"runs/create", `{"experiment_id":"../x"}`, "No Experiment with id=../x exists"},
		"no such run":         {"runs/update", `{"run_id":"../../x","status":"FINISHED"}`, "Run with id=../../x not found"},
		"long run name":       {"runs/create", `{"experiment_id":"e","run_name":"` + strings.Repeat("x", 257) + `"}`, "'run_name' exceeds the maximum length"},
		"location with query": {"experiments/create", `{"name":"q","artifact_location":"s3://b?x"}`, "Invalid artifact location"},
		"location in a run":   {"experiments/create", `{"name":"q","artifact_location":"runs:/x"}`, "cannot be a runs:/ URI"},
		"blank name":          {"experiments/create", `{"name":"  "}`, "Invalid experiment name"},
		"page of nothing":     {"runs/search", `{"max_results":0}`, "max_results"},
		"page too large":      {"runs/search", `{"max_results":50001}`, "max_results"},
		"rubbish token":       {"runs/search", `{"page_token":"x"}`, "page token"},
		"tag without value":   {"runs/log-inputs", fmt.Sprintf(`{"run_id":%q,"datasets":[{"dataset":{"name":"n","digest":"d","source_type":"t","source":"s"},"tags":[{"key":"k"}]}]}`, id), "InputTag value cannot be None"},
		"dataset missing":     {"runs/log-inputs", fmt.Sprintf(`{"run_id":%q,"datasets":[{}]}`, id), "Missing value for required parameter 'datasets[0].dataset'"},
		"model is no JSON":    {"runs/log-model", fmt.Sprintf(`{"run_id":%q,"model_json":"{"}`, id), "is not a valid JSON"},
		"model without parts": {"runs/log-model", fmt.Sprintf(`{"run_id":%q,"model_json":"{}"}`, id), "missing mandatory fields"},
		"large":               {"runs/log-metric", metric(`"x":"` + strings.Repeat("x", maxBody) + `"`), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &served{t: t, url: s.url}
			a := s.send("POST", "/api/2.0/mlflow/"+tt.path, jsonType, tt.body)
			require.Contains(t, []int{400, 404, 409}, a.status, "%s", a.body)
			require.NotEmpty(t, a.code())
			require.Contains(t, string(a.body), tt.text)
		})
	}
}

func TestGoodOddMessages(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	for name, body := range map[string]string{
		"camel case":         `{"runId":"%s","key":"m","value":1,"timestamp":1}`,
		"numbers as strings": `{"run_id":"%s","key":"m","value":"1.5","timestamp":"1","step":"-3"}`,
		"whole floats":       `{"run_id":"%s","key":"m","value":1,"timestamp":1e3,"step":1.0}`,
		"nulls":              `{"run_id":"%s","key":"m","value":1,"timestamp":1,"step":null,"model_id":null}`,
		"unknown fields":     `{"run_id":"%s","key":"m","value":1,"timestamp":1,"RUN_ID":"other","x":{"a":[1,{"b":"}]\""}]},"y":tru` + `e}`,
		"old name of run":    `{"run_uuid":"%s","key":"m","value":1,"timestamp":1}`,
		"beyond doubles":     `{"run_id":"%s","key":"m","value":1e999,"timestamp":1}`,
		"spaces":             "\n {\t\"run_id\" : \"%s\" , \"key\":\"m\",\r\"value\" :1 ,\"timestamp\":1 }\n",
		"in a string":        `"{\"run_id\":\"%s\",\"key\":\"m\",\"value\":1,\"timestamp\":1}"`,
		"escapes":            `{"run_id":"%s","k\u0065y":"\u006d\n","value":1,"timestamp":1}`,
		"twice":              `{"run_id":"none","run_id":"%s","key":"m","value":1,"timestamp":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &served{t: t, url: s.url}
			for _, prefix := range []string{"/api", "/ajax-api"} {
				a := s.send("POST", prefix+"/2.0/mlflow/runs/log-metric", jsonType+"; charset=utf-8", fmt.Sprintf(body, id))
				require.Equal(t, http.StatusOK, a.status, "%s", a.body)
			}
		})
	}
}

func TestOtherRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.story()
	for name, tt := range map[string]struct {
		method, path, contentType, body string
		status                          int
		text                            string
	}{
		"health":          {"GET", "/health", "", "", 200, "OK"},
		"version":         {"GET", "/version", "", "", 200, Version},
		"server info":     {"GET", "/api/3.0/mlflow/server-info", "", "", 200, `"multipart_uploads_enabled":false`},
		"root":            {"GET", "/", "", "", 200, "no pages"},
		"nothing":         {"GET", "/api/2.0/mlflow/none", "", "", 404, "ENDPOINT_NOT_FOUND"},
		"another version": {"POST", "/api/4.0/mlflow/runs/create", jsonType, "{}", 404, "ENDPOINT_NOT_FOUND"},
		"wrong method":    {"GET", "/api/2.0/mlflow/runs/create", "", "", 404, "ENDPOINT_NOT_FOUND"},
		"odd method":      {"BREW", "/api/2.0/mlflow/runs/create", "", "", 404, "ENDPOINT_NOT_FOUND"},
		"traces":          {"POST", "/api/3.0/mlflow/traces", jsonType, "{}", 501, "NOT_IMPLEMENTED"},
		"a form":          {"POST", "/api/2.0/mlflow/experiments/create", "application/x-www-form-urlencoded", `{"name":"x"}`, 400, "Content-Type must be one of"},
		"plain text":      {"POST", "/api/2.0/mlflow/experiments/create", "text/plain", `{"name":"x"}`, 400, "Content-Type must be one of"},
		"no type":         {"POST", "/api/2.0/mlflow/experiments/create", "", `{"name":"x"}`, 400, "Content-Type must be one of"},
		"long path":       {"GET", "/" + strings.Repeat("x", 20_000), "", "", 400, "longer than"},
		"bad escape":      {"GET", "/api/2.0/mlflow/runs/get?run_id=%zz", "", "", 400, "Missing value"},
		"search by GET":   {"GET", "/api/2.0/mlflow/experiments/search?max_results=5&view_type=ALL", "", "", 200, `"name":"e"`},
		"view by number":  {"POST", "/api/2.0/mlflow/experiments/search", jsonType, `{"view_type":3}`, 200, `"name":"e"`},
		"dots":            {"GET", "/api/2.0/../../get-artifact", "", "", 404, "ENDPOINT_NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &served{t: t, url: s.url}
			a := s.send(tt.method, tt.path, tt.contentType, tt.body)
			require.Equal(t, tt.status, a.status, "%s", a.body)
			require.Contains(t, string(a.body), tt.text)
		})
	}
}

// TestBrokenUpload breaks a connection in the middle of an upload: nothing of
// the file is there, and what was there stays.
func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf", s.artifact(id, "a/b.txt"))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	for range 50 {
		require.Equal(t, "hello", string(s.send("GET", s.artifact(id, "a/b.txt"), "", "").body))
	}
}

// TestCanceledRequest ends requests while they are served.
func TestCanceledRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*200*time.Microsecond)
		req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/api/2.0/mlflow/runs/set-tag", strings.NewReader(fmt.Sprintf(`{"run_id":%q,"key":"k%d","value":"v"}`, id, i)))
		require.NoError(t, err)
		req.Header.Set("Content-Type", jsonType)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
		cancel()
	}
	post[object](s, "runs/set-tag", object{"run_id": id, "key": "last", "value": "v"})
}
