package scoring

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each script below has a table of requests and the answers that the contract
// wants. The tables run against this server, and in real_test.go against the
// package whose contract it is.

// What the package says of requests that it refuses, whatever the script is.
const (
	saysFailed   = "An unexpected error occurred in scoring script. Check the logs for more info."
	saysInternal = "An unexpected internal error occurred. Check the logs for more info."
	saysNotFound = "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again."
	saysMethod   = "The method is not allowed for the requested URL."
)

const plainScript = `
import json, sys, time
def init(): print("init done")
def run(data):
    if data == "raise": raise ValueError("secret detail")
    if data == "none": return None
    if data == "text": return "plain text"
    if data == "nan": return float("nan")
    if data == "bytes": return b"x"
    if data == "set": return {1, 2}
    if data == "sleep": time.sleep(30)
    if data == "big": return "x" * 3000000
    return {"got": data, "type": type(data).__name__}
`

const headersScript = `
def init(): pass
def run(request_headers, data):
    return {"data": data, "x": request_headers.get("X-Custom"), "type": request_headers.get("Content-Type"),
            "plain": type(request_headers) is dict, "host": "Host" in request_headers}
`

const rawScript = `
from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse
import json
def init(): pass
@rawhttp
def run(request):
    if request.args.get("status"):
        return AMLResponse("made", int(request.args.get("status")), {"X-Made": "a, b", "Content-Type": "text/x-made"})
    if request.args.get("stream"):
        return AMLResponse((c for c in ("one", "two", "three")), 200)
    if request.args.get("json"):
        return AMLResponse({"a": [1]}, 201, json_str=True)
    if request.args.get("none"):
        return AMLResponse(None, 200)
    if request.args.get("bytes"):
        return AMLResponse(b"\x00\xff", 200, {"Content-Type": "image/x"})
    return {"method": request.method, "data": request.get_data(as_text=True), "raw": len(request.data),
            "args": request.args.getlist("a"), "header": request.headers.get("x-custom"),
            "json": request.get_json(silent=True), "path": request.path, "query": request.query_string.decode()}
`

const schemaScript = `
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
def init(): pass
@input_schema("a", StandardPythonParameterType(3))
@input_schema("b", StandardPythonParameterType("x"), optional=True)
@output_schema(StandardPythonParameterType({"sum": 3}))
def run(a, b="dflt"):
    return {"a": a, "b": b}
`

type contractCase struct {
	name, method, path, body string
	headers                  []string
	status                   int
	want                     string   // the whole body; "" checks nothing
	message                  string   // what the error's message must be; "*" for any
	header                   []string // "Name: value", "Name: *" for any, "!Name" for absent
}

var plainCases = []contractCase{
	{name: "health", method: "GET", path: "/", status: 200, want: "Healthy", header: []string{"X-Request-Id: *", "Content-Type: text/html; charset=utf-8"}},
	{name: "head health", method: "HEAD", path: "/", status: 200},
	{name: "string in, JSON out", method: "POST", path: "/score", body: `{"a": 1}`, status: 200,
		want:   `{"got": "{\"a\": 1}", "type": "str"}`,
		header: []string{"Content-Type: application/json", "X-Ms-Run-Fn-Exec-Ms: *", "X-Ms-Run-Function-Failed: False", "X-Ms-Server-Version: *"}},
	{name: "empty body", method: "POST", path: "/score", status: 200, want: `{"got": "", "type": "str"}`},
	{name: "any content type", method: "POST", path: "/score", body: "x", headers: []string{"Content-Type: text/csv"}, status: 200},
	{name: "UTF-8", method: "POST", path: "/score", body: "hé\u2028", status: 200, want: `{"got": "h\u00e9\u2028", "type": "str"}`},
	{name: "string out is JSON", method: "POST", path: "/score", body: "text", status: 200, want: `"plain text"`, header: []string{"Content-Type: application/json"}},
	{name: "None is an empty object", method: "POST", path: "/score", body: "none", status: 200, want: `{}`},
	{name: "NaN", method: "POST", path: "/score", body: "nan", status: 200, want: `NaN`},
	{name: "large", method: "POST", path: "/score", body: "big", status: 200, want: `"` + strings.Repeat("x", 3000000) + `"`},
	{name: "large input", method: "POST", path: "/score", body: strings.Repeat("y", 3000000), status: 200},
	{name: "bytes out", method: "POST", path: "/score", body: "bytes", status: 500, message: saysInternal},
	{name: "set out", method: "POST", path: "/score", body: "set", status: 500, message: saysInternal},
	{name: "not UTF-8", method: "POST", path: "/score", body: "\xff\xfe", status: 400, message: "Input cannot be decoded as UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte", header: []string{"!X-Ms-Run-Fn-Exec-Ms"}},
	{name: "exception", method: "POST", path: "/score", body: "raise", status: 500, message: saysFailed, header: []string{"X-Ms-Run-Function-Failed: True", "!X-Ms-Run-Fn-Exec-Ms"}},
	{name: "GET", method: "GET", path: "/score?a=1&b=[1,2]&c=a&d=null", status: 200,
		want: `{"got": "{\"a\": 1, \"b\": [1, 2], \"c\": \"a\", \"d\": null}", "type": "str"}`},
	{name: "GET repeated key", method: "GET", path: "/score?foo=bar1&foo=2&x=y", status: 200,
		want: `{"got": "{\"foo\": [\"bar1\", 2], \"x\": \"y\"}", "type": "str"}`},
	{name: "GET blank and escaped", method: "GET", path: "/score?e=&p=%C3%A9%20+z", status: 200,
		want: `{"got": "{\"e\": \"\", \"p\": \"\\u00e9  z\"}", "type": "str"}`},
	{name: "GET nothing", method: "GET", path: "/score", status: 200, want: `{"got": "{}", "type": "str"}`},
	{name: "OPTIONS", method: "OPTIONS", path: "/score", status: 200, want: ""},
	{name: "HEAD", method: "HEAD", path: "/score", status: 405},
	{name: "PUT", method: "PUT", path: "/score", status: 405, message: saysMethod},
	{name: "DELETE swagger", method: "DELETE", path: "/swagger.json", status: 405, message: saysMethod},
	{name: "unknown route", method: "GET", path: "/nope", status: 404, message: saysNotFound},
	{name: "unknown route below", method: "POST", path: "/score/x", status: 404, message: saysNotFound},
	{name: "swagger", method: "GET", path: "/swagger.json", status: 200, header: []string{"Content-Type: application/json"}},
	{name: "swagger 2.0", method: "GET", path: "/swagger.json?version=2.0", status: 200},
	{name: "swagger 3", method: "GET", path: "/swagger.json?version=3", status: 200},
	{name: "swagger 3.0", method: "GET", path: "/swagger.json?version=3.0", status: 200},
	{name: "swagger 3.1", method: "GET", path: "/swagger.json?version=3.1", status: 200},
	{name: "swagger 4", method: "GET", path: "/swagger.json?version=4", status: 404, message: "Swagger version [4] is not valid. Supported versions: [2, 3, 3.1]."},
	{name: "swagger empty version", method: "GET", path: "/swagger.json?version=", status: 404, message: "Swagger version [] is not valid. Supported versions: [2, 3, 3.1]."},
	{name: "no ids", method: "POST", path: "/score", status: 200, header: []string{"X-Request-Id: *", "X-Ms-Request-Id: *", "!X-Ms-Client-Request-Id"}},
	{name: "request id", method: "POST", path: "/score", headers: []string{"x-request-id: r"}, status: 200,
		header: []string{"X-Request-Id: r", "X-Ms-Request-Id: r", "!X-Ms-Client-Request-Id"}},
	{name: "client id", method: "POST", path: "/score", headers: []string{"x-request-id: r", "x-ms-client-request-id: c"}, status: 200,
		header: []string{"X-Request-Id: r", "X-Ms-Request-Id: c", "X-Ms-Client-Request-Id: c"}},
	{name: "legacy id", method: "POST", path: "/score", headers: []string{"x-request-id: r", "x-ms-request-id: l"}, status: 200,
		header: []string{"X-Request-Id: r", "X-Ms-Request-Id: l", "X-Ms-Client-Request-Id: l"}},
	{name: "both ids", method: "POST", path: "/score", headers: []string{"x-ms-client-request-id: c", "x-ms-request-id: l"}, status: 200,
		header: []string{"X-Ms-Request-Id: l", "X-Ms-Client-Request-Id: c"}},
	{name: "id of 100", method: "POST", path: "/score", headers: []string{"x-request-id: " + strings.Repeat("i", 100)}, status: 200},
	{name: "request id too long", method: "POST", path: "/score", headers: []string{"x-request-id: " + strings.Repeat("i", 101)}, status: 431, message: "x-request-id must not exceed 100 characters",
		header: []string{"!X-Request-Id"}},
	{name: "client id too long", method: "GET", path: "/", headers: []string{"x-ms-client-request-id: " + strings.Repeat("i", 101)}, status: 431, message: "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters",
		header: []string{"X-Request-Id: *", "!X-Ms-Request-Id"}},
	{name: "legacy id too long", method: "POST", path: "/score", headers: []string{"x-ms-request-id: " + strings.Repeat("i", 101)}, status: 431, message: "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"},
	{name: "trace id", method: "POST", path: "/score", headers: []string{"TraceId: t1"}, status: 200, header: []string{"TraceId: t1"}},
	{name: "no trace id", method: "POST", path: "/score", status: 200, header: []string{"!TraceId"}},
	{name: "no CORS", method: "POST", path: "/score", headers: []string{"Origin: http://a.example"}, status: 200, header: []string{"!Access-Control-Allow-Origin"}},
	{name: "timeout", method: "POST", path: "/score", body: "sleep", status: 504, message: "Scoring timeout after 1500 ms", header: []string{"X-Ms-Run-Function-Failed: True"}},
}

var headersCases = []contractCase{
	{name: "POST", method: "POST", path: "/score", body: "d", headers: []string{"x-custom: v", "Content-Type: text/plain"}, status: 200,
		want: `{"data": "d", "x": "v", "type": "text/plain", "plain": true, "host": true}`},
	{name: "GET", method: "GET", path: "/score?q=1", headers: []string{"X-CUSTOM: v"}, status: 200,
		want: `{"data": "{\"q\": 1}", "x": "v", "type": null, "plain": true, "host": true}`},
}

var rawCases = []contractCase{
	{name: "POST", method: "POST", path: "/score?a=1&a=2&b=", body: `{"k": [1]}`, headers: []string{"X-Custom: v", "Content-Type: application/json"}, status: 200,
		want: `{"method": "POST", "data": "{\"k\": [1]}", "raw": 10, "args": ["1", "2"], "header": "v", "json": {"k": [1]}, "path": "/score", "query": "a=1&a=2&b="}`},
	{name: "GET", method: "GET", path: "/score", status: 200,
		want: `{"method": "GET", "data": "", "raw": 0, "args": [], "header": null, "json": null, "path": "/score", "query": ""}`},
	{name: "OPTIONS reaches the script", method: "OPTIONS", path: "/score", status: 200,
		want: `{"method": "OPTIONS", "data": "", "raw": 0, "args": [], "header": null, "json": null, "path": "/score", "query": ""}`},
	{name: "PUT", method: "PUT", path: "/score", status: 405, message: saysMethod},
	{name: "own status and headers", method: "POST", path: "/score?status=418", status: 418, want: "made",
		header: []string{"Content-Type: text/x-made", "X-Made: a", "X-Ms-Run-Function-Failed: False", "X-Ms-Run-Fn-Exec-Ms: *"}},
	{name: "own failure", method: "POST", path: "/score?status=503", status: 503, want: "made", header: []string{"X-Ms-Run-Function-Failed: True"}},
	{name: "json_str", method: "POST", path: "/score?json=1", status: 201, want: `{"a": [1]}`, header: []string{"Content-Type: application/json"}},
	{name: "None", method: "POST", path: "/score?none=1", status: 200, want: `{}`},
	{name: "bytes", method: "POST", path: "/score?bytes=1", status: 200, want: "\x00\xff", header: []string{"Content-Type: image/x"}},
	{name: "stream", method: "POST", path: "/score?stream=1", status: 200, want: "onetwothree", header: []string{"Content-Type: text/html; charset=utf-8"}},
	{name: "binary in", method: "POST", path: "/score", body: "\xff\x00", status: 200},
}

var schemaCases = []contractCase{
	{name: "all", method: "POST", path: "/score", body: `{"a": 5, "b": "q"}`, headers: []string{"Content-Type: application/json"}, status: 200, want: `{"a": 5, "b": "q"}`},
	{name: "default", method: "POST", path: "/score", body: `{"a": 5}`, headers: []string{"Content-Type: application/json; charset=utf-8"}, status: 200, want: `{"a": 5, "b": "dflt"}`},
	{name: "json suffix", method: "POST", path: "/score", body: `{"a": 5}`, headers: []string{"Content-Type: application/x+json"}, status: 200},
	{name: "extra ignored", method: "POST", path: "/score", body: `{"a": 5, "z": 1}`, headers: []string{"Content-Type: application/json"}, status: 200},
	{name: "GET", method: "GET", path: "/score?a=5&b=q", status: 200, want: `{"a": 5, "b": "q"}`},
	{name: "missing", method: "POST", path: "/score", body: `{"b": "q"}`, headers: []string{"Content-Type: application/json"}, status: 400, message: "A value is not provided for the 'a' parameter."},
	{name: "GET missing", method: "GET", path: "/score", status: 400, message: "A value is not provided for the 'a' parameter."},
	{name: "empty", method: "POST", path: "/score", headers: []string{"Content-Type: application/json"}, status: 400, message: "POST body is empty. Expecting a JSON dictionary."},
	{name: "not JSON", method: "POST", path: "/score", body: "{", headers: []string{"Content-Type: application/json"}, status: 400, message: "POST body could not be decoded as JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"},
	{name: "not an object", method: "POST", path: "/score", body: "[1]", headers: []string{"Content-Type: application/json"}, status: 400, message: "POST body should be a JSON dictionary."},
	{name: "wrong content type", method: "POST", path: "/score", body: `{"a": 5}`, headers: []string{"Content-Type: text/plain"}, status: 415, message: "Expects Content-Type to be application/json"},
	{name: "no content type", method: "POST", path: "/score", body: `{"a": 5}`, status: 415, message: "Expects Content-Type to be application/json"},
	{name: "OPTIONS", method: "OPTIONS", path: "/score", status: 200, want: ""},
}

// asker sends a request to one of the servers that are compared.
type asker func(t testing.TB, method, path, body string, headers ...string) answer

func runCases(t *testing.T, cases []contractCase, ask asker) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := ask(t, c.method, c.path, c.body, c.headers...)
			require.Equal(t, c.status, got.status, got.body)
			if c.want != "" {
				require.Equal(t, c.want, strings.TrimSuffix(got.body, "\n"))
			}
			if c.message != "" {
				require.Equal(t, "application/json", got.header.Get("Content-Type"))
				var body map[string]string
				require.NoError(t, json.Unmarshal([]byte(got.body), &body), got.body)
				require.NotEmpty(t, body["message"])
				require.Len(t, body, 1)
				require.NotContains(t, got.body, "secret detail")
				if c.message != "*" {
					require.Equal(t, c.message, body["message"])
				}
			}
			checkHeaders(t, c.header, got.header)
		})
	}
}

func checkHeaders(t *testing.T, want []string, got http.Header) {
	for _, h := range want {
		name, value, _ := strings.Cut(h, ": ")
		if absent, ok := strings.CutPrefix(name, "!"); ok {
			require.Empty(t, got.Get(absent), absent)
			continue
		}
		if value == "*" {
			require.NotEmpty(t, got.Get(name), name)
			continue
		}
		require.Equal(t, value, got.Get(name), name)
	}
}

// contractConfig has the limits that the tables expect.
func contractConfig() options { return options{ScoringTimeout: 1500 * time.Millisecond} }

func TestContract(t *testing.T) {
	t.Parallel()
	for _, table := range []struct {
		name, script string
		cases        []contractCase
	}{{"plain", plainScript, plainCases}, {"request_headers", headersScript, headersCases}, {"rawhttp", rawScript, rawCases}} {
		t.Run(table.name, func(t *testing.T) {
			t.Parallel()
			p, log := startScript(t, table.script, nil)
			s := serve(t, contractConfig(), p)
			runCases(t, table.cases, s.ask)
			if table.name == "plain" {
				require.Contains(t, log.String(), "azml.print - init done\n")
				require.Contains(t, log.String(), "ValueError: secret detail")
				require.Contains(t, log.String(), "value.tolist()")
				require.NotContains(t, log.String(), "<azml_", "the worker's own frames are no help to the script's author")
				require.NotContains(t, s.requests.String(), `"path":"/"`)
				require.Contains(t, s.requests.String(), `"path":"/score","status":200,"ms":`)
			}
		})
	}
}

// TestRawImportNames: scripts import the raw HTTP names from either package.
func TestRawImportNames(t *testing.T) {
	t.Parallel()
	for _, imports := range []string{
		"from azureml.contrib.services.aml_request import AMLRequest, rawhttp\nfrom azureml.contrib.services.aml_response import AMLResponse\n",
		"from azureml.contrib.services import rawhttp\nfrom azureml.contrib.services.aml_response import AMLResponse\n",
	} {
		p, _ := startScript(t, imports+`
def init(): pass
@rawhttp
def run(request):
    response = AMLResponse(request.method, 200)
    response.headers["X-Later"] = "1"
    return response
`, nil)
		got := serve(t, options{}, p).ask(t, "OPTIONS", "/score", "")
		require.Equal(t, answer{200, got.header, "OPTIONS"}, got)
		require.Equal(t, "1", got.header.Get("X-Later"))
	}
}
