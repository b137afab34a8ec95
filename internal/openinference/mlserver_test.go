package openinference_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/openinference"
	"github.com/azml-go/azml/internal/testenv"
)

// startMLServer serves a model that echoes with the real server, and gives its URL.
func startMLServer(t *testing.T) string {
	t.Helper()
	overHTTP, _ := testenv.StartMLServer(t)
	url := "http://" + overHTTP
	require.Eventually(t, func() bool {
		resp, err := http.Get(url + "/v2/models/m/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 2*time.Minute, 50*time.Millisecond)
	return url
}

// ask gives the status and what the answer says, without what the two servers are
// free to differ in.
func ask(t *testing.T, url, method, path, body string) (int, any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var said any
	if json.NewDecoder(resp.Body).Decode(&said) == nil { // nothing is said where the status says all
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"), path)
	}
	return resp.StatusCode, shared(said)
}

// shared leaves out empty parameters, IDs that a server has made up, what a
// server says of itself, and the words of errors; and flattens data.
func shared(said any) any {
	switch said := said.(type) {
	case map[string]any:
		if _, is := said["error"]; is {
			return "error"
		}
		out := map[string]any{}
		for key, value := range said {
			id, _ := value.(string)
			if key == "parameters" || key == "id" && len(id) == 36 || said["extensions"] != nil {
				continue
			}
			if key == "data" {
				value = flat(nil, value)
			}
			out[key] = shared(value)
		}
		return out
	case []any:
		out := make([]any, len(said))
		for i, value := range said {
			out[i] = shared(value)
		}
		return out
	}
	return said
}

func flat(out []any, value any) []any {
	list, is := value.([]any)
	if !is {
		return append(out, value)
	}
	for _, inner := range list {
		out = flat(out, inner)
	}
	return out
}

// randomInput gives a tensor, flat or nested.
func randomInput(random *rand.Rand, name string) map[string]any {
	shape := make([]int, 1+random.IntN(3))
	for i := range shape {
		shape[i] = 1 + random.IntN(3)
	}
	kinds := []struct {
		datatype string
		value    func() any
	}{
		{"FP64", func() any { return float64(random.IntN(1000)) + 0.25 }}, {"INT64", func() any { return random.IntN(1 << 30) }},
		{"BOOL", func() any { return random.IntN(2) == 0 }}, {"BYTES", func() any { return fmt.Sprintf("text %d é", random.IntN(100)) }},
	}
	kind := kinds[random.IntN(len(kinds))]
	var fill func(shape []int) any
	fill = func(shape []int) any {
		if len(shape) == 0 {
			return kind.value()
		}
		list := make([]any, shape[0])
		for i := range list {
			list[i] = fill(shape[1:])
		}
		return list
	}
	data := fill(shape)
	if random.IntN(2) == 0 {
		data = flat(nil, data)
	}
	return map[string]any{"name": name, "shape": shape, "datatype": kind.datatype, "data": data}
}

func TestBesideMLServer(t *testing.T) {
	t.Parallel()
	theirs := startMLServer(t)
	t.Run("answers", func(t *testing.T) { checkAnswers(t, theirs) })
	t.Run("random requests", func(t *testing.T) { checkRandomRequests(t, theirs) })
}

// checkAnswers: what the protocol says is answered as MLServer does. It is compared where it
// follows the protocol: where it doesn't,
// checkRandomRequests knows.
func checkAnswers(t *testing.T, theirs string) {
	t.Helper()
	ours := serve(t, openinference.Metadata{Versions: []string{"1"}}, func(body string) (string, error) {
		var asked struct{ Inputs json.RawMessage }
		err := json.Unmarshal([]byte(body), &asked)
		return string(asked.Inputs), err
	})
	for _, step := range []struct{ method, path, body string }{
		{"GET", "/v2", ""},
		{"GET", "/v2/models/m", ""},
		{"GET", "/v2/models/m/versions/1", ""},
		{"GET", "/v2/models/m/versions/2", ""},
		{"GET", "/v2/models/none", ""},
		{"GET", "/v2/models/none/ready", ""},
		{"POST", "/v2/models/none/infer", `{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}`},
		{"POST", "/v2/models/m/versions/2/infer", `{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}`},
		{"POST", "/v2/repository/index", `{}`},
		{"POST", "/v2/repository/index", `{"ready": true}`},
		{"POST", "/v2/repository/models/none/load", ""},
		{"POST", "/v2/repository/models/none/unload", ""},
		{"POST", "/v2/repository/models/m/unload", ""},
		{"POST", "/v2/repository/models/m/load", ""},
	} {
		wantStatus, want := ask(t, theirs, step.method, step.path, step.body)
		status, got := ask(t, ours.URL, step.method, step.path, step.body)
		require.Equal(t, wantStatus, status, step)
		require.Equal(t, want, got, step)
	}
	for _, path := range []string{"/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/v2/models/m/versions/1/ready"} {
		wantStatus, _ := ask(t, theirs, "GET", path, "")
		status, _ := ask(t, ours.URL, "GET", path, "")
		require.Equal(t, wantStatus, status, "%s: the status says it; MLServer says nothing else", path)
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 300 {
		request := map[string]any{"id": fmt.Sprint("request ", i)}
		inputs := []any{}
		for n := range 2 + random.IntN(2) { // one alone has no name in what an echo says
			inputs = append(inputs, randomInput(random, string(rune('a'+n))))
		}
		request["inputs"] = inputs
		body, err := json.Marshal(request)
		require.NoError(t, err)
		path := []string{"/v2/models/m/infer", "/v2/models/m/versions/1/infer"}[i%2]
		wantStatus, want := ask(t, theirs, "POST", path, string(body))
		status, got := ask(t, ours.URL, "POST", path, string(body))
		require.Equal(t, wantStatus, status, "seed %d: %s", seed, body)
		require.Equal(t, want, got, "seed %d: %s", seed, body)
	}
}
