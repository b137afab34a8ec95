package scoring

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

var echo = Handler(func(_ context.Context, input json.RawMessage) (any, error) { return input, nil })

func TestGoHandler(t *testing.T) {
	t.Parallel()
	log := &syncBuffer{}
	score := func(_ context.Context, input json.RawMessage) (any, error) {
		switch string(input) {
		case `"bad"`:
			return nil, fmt.Errorf("%w: the row has 3 columns, it must have 30", azml.ErrInvalid)
		case `"fail"`:
			return nil, errors.New("secret detail")
		case `"panic"`:
			panic("secret detail")
		case `"chan"`:
			return make(chan int), nil
		case `"down"`:
			return nil, fmt.Errorf("%w: secret detail", azml.ErrUnavailable)
		case `"late"`:
			return nil, fmt.Errorf("secret detail: %w", context.DeadlineExceeded)
		case `"closed"`:
			return nil, fmt.Errorf("secret detail: %w", azml.ErrClosed)
		case `"both"`:
			return nil, fmt.Errorf("%w: the row's key: %w", azml.ErrInvalid, context.DeadlineExceeded)
		}
		return map[string]json.RawMessage{"got": input}, nil
	}
	failed := []string{"X-Ms-Run-Function-Failed: True", "!Retry-After"}
	cases := []contractCase{
		{name: "JSON", method: "POST", path: "/score", body: ` [1, {"a": 2}]`, status: 200, want: `{"got":[1,{"a":2}]}`,
			header: []string{"Content-Type: application/json", "X-Ms-Run-Fn-Exec-Ms: *", "X-Ms-Run-Function-Failed: False"}},
		{name: "GET", method: "GET", path: "/score?b=[1]&a=x&a=2&c=&d=%22q%22", status: 200, want: `{"got":{"a":["x",2],"b":[1],"c":"","d":"q"}}`},
		{name: "bad query", method: "GET", path: "/score?a=%zz", status: 400, message: "*"},
		{name: "empty", method: "POST", path: "/score", status: 400, message: "the request's body is empty; send a JSON value"},
		{name: "not JSON", method: "POST", path: "/score", body: "{x", status: 400, message: "*"},
		{name: "client's fault", method: "POST", path: "/score", body: `"bad"`, status: 400, message: "the row has 3 columns, it must have 30", header: []string{"X-Ms-Run-Function-Failed: False"}},
		{name: "failure", method: "POST", path: "/score", body: `"fail"`, status: 500, message: "*", header: []string{"X-Ms-Run-Function-Failed: True"}},
		{name: "panic", method: "POST", path: "/score", body: `"panic"`, status: 500, message: "*", header: []string{"X-Ms-Run-Function-Failed: True"}},
		{name: "not JSON out", method: "POST", path: "/score", body: `"chan"`, status: 500, message: "*"},
		{name: "unavailable", method: "POST", path: "/score", body: `"down"`, status: 500, message: "*", header: failed},
		{name: "late", method: "POST", path: "/score", body: `"late"`, status: 500, message: "*", header: failed},
		{name: "closed", method: "POST", path: "/score", body: `"closed"`, status: 500, message: "*", header: failed},
		{name: "invalid and late", method: "POST", path: "/score", body: `"both"`, status: 400, message: "the row's key: context deadline exceeded"},
		{name: "OPTIONS", method: "OPTIONS", path: "/score", status: 200},
		{name: "HEAD", method: "HEAD", path: "/score", status: 405},
		{name: "PATCH", method: "PATCH", path: "/score", status: 405, message: saysMethod, header: []string{"Allow: *"}},
		{name: "PUT health", method: "PUT", path: "/", status: 405, message: saysMethod},
	}
	for name, scorer := range map[string]Scorer{"one": Handler(score), "together": BatchHandler(func(ctx context.Context, inputs []json.RawMessage) ([]any, error) {
		value, err := score(ctx, inputs[0]) // they come one by one
		if string(inputs[0]) == `"late"` {
			return []any{err}, nil
		}
		return []any{value}, err
	}, Batching{})} {
		t.Run(name, func(t *testing.T) {
			runCases(t, cases, serve(t, options{Logger: slog.New(slog.NewTextHandler(log, nil))}, scorer).ask)
		})
	}
	require.Contains(t, log.String(), "secret detail")
}

func TestGoHandlerTimeout(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	var ended atomic.Bool
	s := serve(t, options{ScoringTimeout: 50 * time.Millisecond}, Handler(func(context.Context, json.RawMessage) (any, error) {
		<-end // it doesn't look at its context
		ended.Store(true)
		return nil, nil
	}))
	got := s.ask(t, "POST", "/score", "1")
	require.Equal(t, answer{504, got.header, `{"message":"Scoring timeout after 50 ms"}`}, got)
	require.Equal(t, 1, s.deployment.Stats().Calls, "the handler still runs, so it counts")
	close(end)
	require.NoError(t, s.deployment.Close(t.Context()))
	require.True(t, ended.Load())
	require.Equal(t, http.StatusServiceUnavailable, s.ask(t, "POST", "/score", "1").status)
	require.Equal(t, http.StatusServiceUnavailable, s.ask(t, "GET", "/", "").status)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	var keys atomic.Value
	keys.Store([]string{"primary", "secondary", ""})
	var seen atomic.Value
	s := serve(t, options{Keys: func() []string { return keys.Load().([]string) }}, HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"))
	})))
	check := func(status int, headers ...string) {
		t.Helper()
		for _, path := range []string{"/score", "/swagger.json"} {
			got := s.ask(t, "GET", path, "", headers...)
			require.Equal(t, status, got.status)
			if status == 401 {
				require.Equal(t, "Bearer", got.header.Get("WWW-Authenticate"))
				require.Contains(t, got.body, `{"message":"`)
			}
		}
	}
	check(200, "Authorization: Bearer primary")
	check(200, "Authorization: bearer secondary")
	require.Equal(t, "", seen.Load(), "the key is not the script's business")
	for _, header := range []string{"X: y", "Authorization: Bearer", "Authorization: Bearer ", "Authorization: Bearer other", "Authorization: Basic primary",
		"Authorization: primary", "Authorization: Bearer primaryx", "Authorization: Bearer primar"} {
		check(401, header)
	}
	require.Equal(t, 200, s.ask(t, "GET", "/", "").status, "the probe needs no key")
	keys.Store([]string{"new"})
	check(401, "Authorization: Bearer primary")
	check(200, "Authorization: Bearer new")
	keys.Store([]string(nil))
	check(401, "Authorization: Bearer ")
}

func TestCORS(t *testing.T) {
	t.Parallel()
	keys := func() []string { return []string{"k"} }
	for _, c := range []struct {
		name    string
		origins []string
		origin  string
		want    string
	}{
		{"off", nil, "http://a.example", ""}, {"listed", []string{"http://a.example", "http://b.example"}, "http://b.example", "http://b.example"},
		{"other", []string{"http://a.example"}, "http://b.example", ""}, {"all", []string{"*"}, "http://b.example", "*"}, {"none sent", []string{"*"}, "", ""},
		{"listed in capitals", []string{"http://A.example"}, "http://a.example", "http://a.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, options{CORSOrigins: c.origins, Keys: keys}, echo)
			got := s.ask(t, "POST", "/score", "1", "Origin: "+c.origin, "Authorization: Bearer k")
			require.Equal(t, 200, got.status)
			require.Equal(t, c.want, got.header.Get("Access-Control-Allow-Origin"))
			got = s.ask(t, "OPTIONS", "/score", "", "Origin: "+c.origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")
			require.Equal(t, 200, got.status)
			require.Equal(t, c.want, got.header.Get("Access-Control-Allow-Origin"))
			if c.want != "" {
				require.Equal(t, "GET, POST", got.header.Get("Access-Control-Allow-Methods"))
				require.Equal(t, "authorization", got.header.Get("Access-Control-Allow-Headers"))
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, options{MaxBody: 10}, echo)
	require.Equal(t, 200, s.ask(t, "POST", "/score", "1234567890").status)
	got := s.ask(t, "POST", "/score", "12345678901")
	require.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	require.Contains(t, got.body, "10 bytes")
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/score", io.MultiReader(strings.NewReader("12345678901")))
	require.NoError(t, err)
	resp, err := s.Client().Do(req) // chunked: the length isn't told
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
}

func TestServerVersion(t *testing.T) {
	t.Parallel()
	require.Equal(t, "azml/9", serve(t, options{ServerVersion: "azml/9"}, echo).ask(t, "GET", "/", "").header.Get(headerServerVersion))
	require.Empty(t, serve(t, options{HideServerVersion: true}, echo).ask(t, "GET", "/", "").header.Get(headerServerVersion))
}

func TestRawGoHandler(t *testing.T) {
	t.Parallel()
	resume := make(chan struct{})
	s := serve(t, options{}, HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("do") {
		case "status":
			w.Header().Set("X-Own", "1")
			w.Header().Set("X-Request-Id", "forged")
			w.Header().Set("Content-Length", "99")
			w.WriteHeader(http.StatusTeapot)
			w.Header().Set("X-Late", "1")
		case "odd":
			w.WriteHeader(777)
		case "panic":
			panic("oh")
		case "stream":
			_, _ = io.WriteString(w, "first\n")
			w.(http.Flusher).Flush()
			<-resume
			_, _ = io.WriteString(w, "last\n")
		case "break":
			_, _ = io.WriteString(w, "first\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "endless":
			for {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					close(resume)
					return
				}
			}
		default:
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
		}
	})))
	got := s.ask(t, "POST", "/score?x=1", "body")
	require.Equal(t, "POST /score?x=1 body", got.body)
	require.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"))
	require.Equal(t, "OPTIONS /score ", s.ask(t, "OPTIONS", "/score", "").body)
	got = s.ask(t, "GET", "/score?do=status", "", "X-Request-Id: mine")
	require.Equal(t, http.StatusTeapot, got.status)
	require.Equal(t, "1", got.header.Get("X-Own"))
	require.Equal(t, "mine", got.header.Get("X-Request-Id"))
	require.Empty(t, got.header.Get("X-Late"))
	require.Equal(t, 500, s.ask(t, "GET", "/score?do=odd", "").status)
	require.Equal(t, 500, s.ask(t, "GET", "/score?do=panic", "").status)
	require.Equal(t, 405, s.ask(t, "PUT", "/score", "").status)

	resp, err := s.Client().Get(s.URL + "/score?do=stream")
	require.NoError(t, err)
	lines := bufio.NewReader(resp.Body)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "first\n", first)
	resume <- struct{}{}
	last, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "last\n", string(last))

	resp, err = s.Client().Get(s.URL + "/score?do=break")
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_ = resp.Body.Close()

	resp, err = s.Client().Get(s.URL + "/score?do=endless")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	<-resume // the handler saw that nobody reads any more
}

func TestSwagger(t *testing.T) {
	t.Parallel()
	version := func(s *service, v string) (int, map[string]any) {
		got := s.ask(t, "GET", "/swagger.json?version="+v, "")
		var doc map[string]any
		require.NoError(t, json.Unmarshal([]byte(got.body), &doc))
		return got.status, doc
	}
	s := serve(t, options{Name: "svc", Version: "3", PathPrefix: "/a/b/", Schema: &Schema{
		Input: json.RawMessage(`{"type":"array"}`), Versions: []string{"3.0", "3.1"},
	}}, echo)
	status, refused := version(s, "2")
	require.Equal(t, 404, status)
	require.Equal(t, "Swagger version [2] is not supported for the scoring script. Supported swagger versions: [3, 3.1].", refused["message"])
	_, doc := version(s, "3")
	require.Equal(t, "3.0.3", doc["openapi"])
	require.Equal(t, "svc", dig(doc, "info", "title"))
	require.Equal(t, "3", dig(doc, "info", "version"))
	require.Contains(t, doc["paths"], "/a/b/score")
	require.Equal(t, "array", dig(doc, "components", "schemas", "ServiceInput", "type"))
	require.Equal(t, "object", dig(doc, "components", "schemas", "ServiceOutput", "type"))
	_, doc = version(s, "3.1")
	require.Equal(t, "3.1.0", doc["openapi"])

	s = serve(t, options{SwaggerFiles: fstest.MapFS{
		"swagger2.json": {Data: []byte(`{"mine": 2}`)}, "swagger3.1.json": {Data: []byte(`{"mine": 3.1}`)},
	}}, echo)
	_, doc = version(s, "2.0")
	require.Equal(t, map[string]any{"mine": 2.0}, doc)
	_, doc = version(s, "3.1")
	require.Equal(t, map[string]any{"mine": 3.1}, doc)
	_, doc = version(s, "3")
	require.Equal(t, "3.0.3", doc["openapi"])

	s = serve(t, options{SwaggerFiles: fstest.MapFS{
		"swagger2.json": {Data: []byte(`{"mine": 2}`)}, "swagger.json": {Data: []byte(`{"mine": "first"}`)},
	}}, echo)
	_, doc = version(s, "2")
	require.Equal(t, map[string]any{"mine": "first"}, doc)

	_, err := (&options{SwaggerFiles: fstest.MapFS{"swagger3.json": {Data: []byte(`{`)}}}).deployment(t.Context(), "main", echo)
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = (&options{Schema: &Schema{Input: json.RawMessage(`{`)}}).deployment(t.Context(), "main", echo)
	require.ErrorIs(t, err, azml.ErrInvalid)
}
