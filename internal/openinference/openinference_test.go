package openinference_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
)

// repository has one model that answers with what Score gives.
type repository struct {
	model openinference.Model
	down  error
}

func (r *repository) Model(_ context.Context, name, version string) (*openinference.Model, error) {
	if name != "m" || version != "" && version != "1" {
		return nil, fmt.Errorf("%w: model %q version %q", azml.ErrNotFound, name, version)
	}
	return &r.model, nil
}

func (r *repository) Index(context.Context) ([]openinference.Entry, error) {
	state := openinference.Ready
	if r.down != nil {
		state = openinference.Unavailable
	}
	return []openinference.Entry{{Name: "m", Version: "1", State: state}}, nil
}

func (r *repository) Load(_ context.Context, name string) error {
	if name != "m" {
		return fmt.Errorf("%w: model %q", azml.ErrNotFound, name)
	}
	r.down = nil
	return nil
}

func (r *repository) Unload(_ context.Context, name string) error {
	if name != "m" {
		return fmt.Errorf("%w: %s", azml.ErrNotFound, name)
	}
	r.down = errors.New("unloaded")
	return nil
}

// serve serves a model that answers each question by score.
func serve(t *testing.T, described openinference.Metadata, score func(body string) (string, error)) *httptest.Server {
	t.Helper()
	r := &repository{}
	described.Name, described.Platform = "m", "test"
	r.model = openinference.Model{Metadata: described, Version: "1", Ready: func() error { return r.down },
		Score: func(_ context.Context, body []byte) ([]byte, error) {
			said, err := score(string(body))
			return []byte(said), err
		}}
	s := httptest.NewServer(openinference.NewHandler(r, openinference.Options{Name: "azml", Version: "1.0", MaxBody: 1 << 16}))
	t.Cleanup(s.Close)
	return s
}

func call(t *testing.T, s *httptest.Server, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, strings.TrimSpace(string(data))
}

func echo(body string) (string, error) { return body, nil }

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := serve(t, openinference.Metadata{Versions: []string{"1"}}, echo)
	steps := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/v2", "", 200, `{"name":"azml","version":"1.0","extensions":["model_repository"]}`},
		{"GET", "/v2/health/live", "", 200, `{"live":true}`},
		{"GET", "/v2/health/ready", "", 200, `{"ready":true}`},
		{"GET", "/v2/models/m", "", 200, `{"name":"m","versions":["1"],"platform":"test","inputs":[],"outputs":[]}`},
		{"GET", "/v2/models/m/versions/1", "", 200, `{"name":"m","versions":["1"],"platform":"test","inputs":[],"outputs":[]}`},
		{"GET", "/v2/models/m/ready", "", 200, `{"name":"m","ready":true}`},
		{"GET", "/v2/models/m/versions/2/ready", "", 404, `{"error":"not found: model \"m\" version \"2\""}`},
		{"GET", "/v2/models/none", "", 404, `{"error":"not found: model \"none\" version \"\""}`},
		{"POST", "/v2/repository/index", "", 200, `[{"name":"m","version":"1","state":"READY","reason":""}]`},
		{"POST", "/v2/repository/index", "{", 400, ""},
		{"POST", "/v2/repository/models/m/unload", "", 200, ""},
		{"GET", "/v2/health/ready", "", 503, `{"ready":false}`},
		{"GET", "/v2/models/m/ready", "", 503, `{"name":"m","ready":false}`},
		{"POST", "/v2/repository/index", `{"ready": true}`, 200, `[]`},
		{"POST", "/v2/repository/models/m/load", "", 200, ""},
		{"POST", "/v2/repository/models/none/load", "", 404, `{"error":"not found: model \"none\""}`},
		{"GET", "/v2/models/m/infer", "", 404, `{"error":"there is no GET /v2/models/m/infer"}`},
		{"GET", "/v2/none", "", 404, `{"error":"there is no GET /v2/none"}`},
	}
	for _, step := range steps {
		status, body := call(t, s, step.method, step.path, step.body)
		require.Equal(t, step.status, status, "%s %s: %s", step.method, step.path, body)
		if step.want != "" {
			require.Equal(t, step.want, body)
		}
	}
}

func TestInfer(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, inputs, question, answer, outputs string }{
		{"a matrix", `[{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1, 2.5, 3, 4]}]`, `{"data":[[1,2.5],[3,4]]}`,
			`[0, 1]`, `[{"name":"output-0","shape":[2],"datatype":"INT64","data":[0,1]}]`},
		{"nested data", `[{"name": "x", "shape": [2, 2], "datatype": "INT8", "data": [[1, 2], [3, -128]]}]`, `{"data":[[1,2],[3,-128]]}`,
			`[[0.5, 1], [1, 2]]`, `[{"name":"output-0","shape":[2,2],"datatype":"FP64","data":[0.5,1,1,2]}]`},
		{"several inputs", `[{"name": "x", "shape": [1], "datatype": "BOOL", "data": [true]}, {"name": "y", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}]`,
			`{"inputs":{"x":[true],"y":["a","b"]}}`, `{"predictions": ["yes"]}`, `[{"name":"output-0","shape":[1],"datatype":"BYTES","data":["yes"]}]`},
		{"a single value", `[{"name": "x", "shape": [], "datatype": "UINT8", "data": [255]}]`, `{"data":255}`,
			`true`, `[{"name":"output-0","shape":[1],"datatype":"BOOL","data":[true]}]`},
		{"an empty tensor", `[{"name": "x", "shape": [0, 3], "datatype": "FP32", "data": []}]`, `{"data":[]}`,
			`[]`, `[{"name":"output-0","shape":[0],"datatype":"FP64","data":[]}]`},
		{"missing numbers", `[{"name": "x", "shape": [2], "datatype": "FP32", "data": [null, 1]}]`, `{"data":[null,1]}`,
			`[null, 1.5]`, `[{"name":"output-0","shape":[2],"datatype":"FP64","data":[null,1.5]}]`},
		{"an object of lists", `[{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]`, `{"data":[1]}`,
			`{"p": [0.5], "class": ["a"]}`, `[{"name":"class","shape":[1],"datatype":"BYTES","data":["a"]},{"name":"p","shape":[1],"datatype":"FP64","data":[0.5]}]`},
		{"a list of objects", `[{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]`, `{"data":[1]}`,
			`[{"p": 0.5, "class": 1}, {"p": 1, "class": 0}]`, `[{"name":"class","shape":[2],"datatype":"INT64","data":[1,0]},{"name":"p","shape":[2],"datatype":"FP64","data":[0.5,1]}]`},
		{"what is no tensor", `[{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]`, `{"data":[1]}`,
			`[[1], [1, 2]]`, `[{"name":"output-0","shape":[1],"datatype":"BYTES","parameters":{"content_type":"application/json"},"data":["[[1], [1, 2]]"]}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, openinference.Metadata{}, func(body string) (string, error) {
				require.JSONEq(t, tt.question, body)
				return tt.answer, nil
			})
			status, body := call(t, s, "POST", "/v2/models/m/infer", `{"id": "42", "inputs": `+tt.inputs+`}`)
			require.Equal(t, 200, status, body)
			require.Equal(t, `{"model_name":"m","model_version":"1","id":"42","outputs":`+tt.outputs+`}`, body)
		})
	}
}

func TestWantedOutputs(t *testing.T) {
	t.Parallel()
	s := serve(t, openinference.Metadata{Outputs: []openinference.TensorMetadata{{Name: "p", Datatype: openinference.FP32, Shape: []int64{-1}}}},
		func(string) (string, error) { return `{"p": [1, 2], "q": [3]}`, nil })
	ask := func(outputs string) (int, string) {
		return call(t, s, "POST", "/v2/models/m/infer", `{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}], "outputs": `+outputs+`}`)
	}
	_, body := ask(`[{"name": "p"}]`)
	require.Equal(t, `{"model_name":"m","model_version":"1","outputs":[{"name":"p","shape":[2],"datatype":"FP32","data":[1,2]}]}`, body)
	status, body := ask(`[{"name": "r"}]`)
	require.Equal(t, 400, status)
	require.Contains(t, body, `no output \"r\", but p, q`)
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	asked := false
	s := serve(t, openinference.Metadata{}, func(string) (string, error) { asked = true; return "1", nil })
	input := func(text string) string { return `{"inputs": [` + text + `]}` }
	for body, want := range map[string]string{
		``:                            "the request is no JSON: unexpected end",
		`[]`:                          "the request is no JSON object",
		`{} {}`:                       "after top-level value",
		`{}`:                          "no inputs",
		`{"inputs":1}`:                `the member \"inputs\" is no list`,
		`{"id":1}`:                    `the member \"id\" is no text`,
		`{"parameters":[]}`:           "the parameters are no JSON object",
		`{"inputs":[1]}`:              "it is no JSON object",
		`{"inputs":[],"outputs":[1]}`: "an output is no JSON object",
		"{\"id\":\"\xff\"}":           "no UTF-8",
		`{"Inputs":[{"name":"x"}]}`:   "no inputs",
		input(`{"name": "x", "shape": [null], "datatype": "FP32", "data": []}`):                                                             "its shape has null",
		input(`{"name": "x", "shape": ["1"], "datatype": "FP32", "data": [1]}`):                                                             `its shape has \"1\"`,
		input(`{"name": "x", "Shape": [1], "datatype": "FP32", "data": [1]}`):                                                               "no shape",
		input(`{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}], "inputs": [{"name": "y", "datatype": "FP32"}`):                `input \"y\": it has no shape`,
		input(`{"shape": [1], "datatype": "FP32", "data": [1]}`):                                                                            "a name of its own",
		input(`{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}, {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}`): "a name of its own",
		input(`{"name": "x", "shape": [1], "datatype": "FLOAT", "data": [1]}`):                                                              `datatype \"FLOAT\"`,
		input(`{"name": "x", "datatype": "FP32", "data": [1]}`):                                                                             "no shape",
		input(`{"name": "x", "shape": [-1], "datatype": "FP32", "data": [1]}`):                                                              "negative length",
		input(`{"shape": [1.5], "name": "x", "datatype": "FP32", "data": [1]}`):                                                             "input 1: its shape has 1.5",
		input(`{"name": "x", "shape": [1` + strings.Repeat(",1", 64) + `], "datatype": "FP32", "data": [1]}`):                               "more than 64 dimensions",
		input(`{"name": "x", "shape": [1], "datatype": "FP32", "data": [1], "data": null}`):                                                 "no data",
		input(`{"name": "x", "shape": [1], "datatype": "FP32", "data": [1], "parameters": {"a": 1e999}}`):                                   "the parameters can't be read",
		input(`{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}], "inputs": null, "outputs": [`):                                "no inputs",
		input(`{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}], "outputs": [{"name": "y"}, {"name": "y"}`):                    `output 2: name each output that you want once, not \"y\"`,
		input(`{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}], "outputs": [{}`):                                              "output 1: name each output",
		input(`{"name": "x", "shape": [1.5], "datatype": "FP32", "data": [1]}`):                                                             "its shape has 1.5",
		input(`{"name": "x", "shape": [4294967296, 4294967296], "datatype": "FP32", "data": [1]}`):                                          "too large",
		input(`{"name": "x", "shape": [2], "datatype": "FP32"}`):                                                                            "no data",
		input(`{"name": "x", "shape": [2], "datatype": "FP32", "data": [1]}`):                                                               "1 values, the shape [2] has 2",
		input(`{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3]]}`):                                                  "not nested as the shape says",
		input(`{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], 3]}`):                                                    "not nested as the shape says",
		input(`{"name": "x", "shape": [2], "datatype": "FP32", "data": [[1], 2]}`):                                                          "not nested as the shape says",
		input(`{"name": "x", "shape": [], "datatype": "FP32", "data": [[1]]}`):                                                              "not nested as the shape says",
		input(`{"name": "x", "shape": [1], "datatype": "FP32", "data": ["1"]}`):                                                             `is no FP32`,
		input(`{"name": "x", "shape": [1], "datatype": "FP16", "data": [65505]}`):                                                           "65505 is no FP16",
		input(`{"name": "x", "shape": [1], "datatype": "FP64", "data": [1e999]}`):                                                           "is no FP64",
		input(`{"name": "x", "shape": [1], "datatype": "INT8", "data": [128]}`):                                                             "128 is no INT8",
		input(`{"name": "x", "shape": [1], "datatype": "UINT64", "data": [-1]}`):                                                            "-1 is no UINT64",
		input(`{"name": "x", "shape": [1], "datatype": "INT64", "data": [1.0]}`):                                                            "1.0 is no INT64",
		input(`{"name": "x", "shape": [1], "datatype": "BOOL", "data": [1]}`):                                                               "1 is no BOOL",
		input(`{"name": "x", "shape": [1], "datatype": "BYTES", "data": [1]}`):                                                              "1 is no BYTES",
	} {
		status, said := call(t, s, "POST", "/v2/models/m/infer", body)
		require.Equal(t, 400, status, "%s: %s", body, said)
		require.Contains(t, said, want, body)
		require.True(t, json.Valid([]byte(said)))
	}
	status, _ := call(t, s, "POST", "/v2/models/m/infer", strings.Repeat(" ", 1<<16+1))
	require.Equal(t, 413, status)
	require.False(t, asked, "the model is asked nothing that was refused")
}

func TestModelsWithMetadata(t *testing.T) {
	t.Parallel()
	s := serve(t, openinference.Metadata{Inputs: []openinference.TensorMetadata{
		{Name: "x", Datatype: openinference.FP32, Shape: []int64{-1, 2}}, {Name: "y", Datatype: openinference.Bytes, Shape: []int64{-1}}}}, echo)
	x, y := `{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}`, `{"name": "y", "shape": [1], "datatype": "BYTES", "data": ["a"]}`
	for inputs, want := range map[string]string{
		x + "," + y: "",
		x:           `the input \"y\" is missing`,
		x + "," + strings.Replace(y, `"y"`, `"z"`, 1):                    `no input \"z\"`,
		y + "," + strings.Replace(x, "FP32", "FP64", 1):                  "it is FP64, the model takes FP32",
		y + "," + strings.Replace(x, "[1, 2], \"data", "[2], \"data", 1): "its shape is [2], the model takes [-1 2]",
	} {
		status, body := call(t, s, "POST", "/v2/models/m/infer", `{"inputs": [`+inputs+`]}`)
		if want == "" {
			require.Equal(t, 200, status, body)
			continue
		}
		require.Equal(t, 400, status, inputs)
		require.Contains(t, body, want)
	}
}

// The text of what went wrong within a model is not for clients.
func TestModelsThatFail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		status int
	}{
		{errors.New("secret"), 500}, {fmt.Errorf("%w: secret", azml.ErrUnavailable), 503},
		{fmt.Errorf("secret: %w", context.DeadlineExceeded), 504}, {nil, 500},
	} {
		s := serve(t, openinference.Metadata{}, func(string) (string, error) { return "secret", tt.err })
		status, body := call(t, s, "POST", "/v2/models/m/infer", `{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}`)
		require.Equal(t, tt.status, status)
		require.NotContains(t, body, "secret")
	}
	s := serve(t, openinference.Metadata{}, func(string) (string, error) { return "", fmt.Errorf("%w: seven rows at most", azml.ErrInvalid) })
	status, body := call(t, s, "POST", "/v2/models/m/infer", `{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}`)
	require.Equal(t, 400, status)
	require.Contains(t, body, "seven rows at most", "what the client did wrong is")
}

func FuzzInfer(f *testing.F) {
	f.Add([]byte(`{"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [[1, 2.5], [3, 4]]}]}`), []byte(`[{"a": 1}, {"a": 2}]`))
	f.Add([]byte(`{"inputs": [{"name": "x", "shape": [0, 9223372036854775807], "datatype": "BYTES", "data": []}], "outputs": [{"name": "p"}]}`), []byte(`{"p": [[1]]}`))
	f.Add([]byte(`{"inputs": [{"name": "x", "shape": [9223372036854775807, 0], "datatype": "BYTES", "data": []}]}`), []byte(`{"p": [[1]]}`))
	f.Fuzz(func(t *testing.T, body, said []byte) {
		m := &openinference.Model{Score: func(_ context.Context, body []byte) ([]byte, error) {
			require.True(t, json.Valid(body))
			return said, nil
		}}
		req, err := openinference.ParseRequest(body)
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		out, err := m.Infer(t.Context(), req)
		if err == nil {
			_, err = json.Marshal(out)
			require.NoError(t, err)
		}
	})
}
