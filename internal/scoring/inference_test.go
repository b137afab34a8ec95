package scoring

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/router"
)

const (
	inferPath = "/v2/models/model/infer"
	inferBody = `{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}`
)

// TestInferenceTellsOfTheRequest: scoring code, collected data and the log are told of a
// request by the Open Inference Protocol what they are of one to /score.
func TestInferenceTellsOfTheRequest(t *testing.T) {
	t.Parallel()
	seen := make(chan Request, 1)
	scorer, _ := startScript(t, `
def init(): pass
def run(request_headers, data):
    return [1.0 if request_headers.get("X-Tenant") == "t1" and request_headers["Content-Type"] == "application/json" and "Authorization" not in request_headers else 0.0]
`, nil)
	s := serve(t, options{Keys: func() []string { return []string{"k"} }}, scorer)
	s.deployment.cfg.Observe = func(req *Request, _ *Response) { seen <- *req }
	got := s.ask(t, "POST", inferPath, inferBody, "Authorization: Bearer k", "x-request-id: RID-2", "X-Tenant: t1", "Content-Type: text/csv")
	require.Equal(t, 200, got.status, got.body)
	require.Contains(t, got.body, `"data":[1]`)
	req := <-seen
	require.Equal(t, "RID-2", req.ID)
	require.Equal(t, strings.TrimPrefix(s.URL, "http://"), req.Host)
	require.Regexp(t, `^127\.0\.0\.1:[1-9]`, req.RemoteAddr)
	require.Regexp(t, `"id":"RID-2","deployment":"main",.*"runMs":`, s.requests.String())
}

// TestInferenceTellsOfTheAnswer: the headers that scoring code sets are the answer's, but
// not those that say what its body is; a header names the deployment.
func TestInferenceTellsOfTheAnswer(t *testing.T) {
	t.Parallel()
	scorer := HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Cost", "3")
		w.Header().Set("Content-Type", "text/csv")
		_, _ = io.WriteString(w, "[1]")
	}))
	s := serve(t, options{}, scorer)
	got := s.ask(t, "POST", inferPath, inferBody, "azureml-model-deployment: main")
	require.Equal(t, 200, got.status, got.body)
	require.Equal(t, "3", got.header.Get("X-Cost"))
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Equal(t, 404, s.ask(t, "POST", inferPath, inferBody, "azureml-model-deployment: other").status)
}

// TestMirrorGetsAllRequests, by whichever protocol or method they come.
func TestMirrorGetsAllRequests(t *testing.T) {
	t.Parallel()
	tensors, err := Tensors(t.Context(), TensorModel{Inputs: floatTensors("x", -1, 2), Outputs: floatTensors("y", -1, 2), Predict: (&doubler{}).predict,
		Close: func() error { return nil }}, Batching{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for name, main := range map[string]Scorer{"function": echo, "tensors": tensors} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			copies := make(chan string, 1)
			shadow := options{}.start(t, "shadow", Handler(func(_ context.Context, input json.RawMessage) (any, error) {
				copies <- string(input)
				return nil, nil
			}))
			s := serve(t, options{}, main)
			require.NoError(t, s.scoring.SetRoutes([]router.Route[*Deployment]{{Name: "main", To: s.deployment, Percent: 100}, {Name: "shadow", To: shadow, Mirror: 100}}))
			for _, c := range []struct{ method, path, body, want string }{
				{"POST", "/score", `{"data": [[1, 2]]}`, `{"data": [[1, 2]]}`}, {"POST", inferPath, inferBody, `{"data":[[1,2]]}`}, {"GET", "/score?a=1", "", `{"a":1}`},
			} {
				s.ask(t, c.method, c.path, c.body)
				select {
				case got := <-copies:
					require.JSONEq(t, c.want, got, c.path)
				case <-time.After(20 * time.Second):
					t.Fatalf("no copy of %s %s", c.method, c.path)
				}
			}
		})
	}
}
