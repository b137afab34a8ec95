package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/workspace"
)

func echo(_ context.Context, input json.RawMessage) (any, error) { return input, nil }

func deploy(t *testing.T, ws *workspace.Workspace, name string, config endpoint.Config, opts *endpoint.DeployOptions) *endpoint.Endpoint {
	t.Helper()
	if config.Handler == nil && config.BatchHandler == nil && config.HTTP == nil && config.Script == nil && config.Model == nil {
		config.Handler = echo
	}
	ep, err := ws.Endpoints().Deploy(t.Context(), name, config, opts)
	require.NoError(t, err)
	return ep
}

// ask sends a request and gives status and body.
func ask(t *testing.T, method, url, key, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(data), response.Header
}

func TestHandler(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	ep := deploy(t, ws, "double", endpoint.Config{Handler: func(_ context.Context, input json.RawMessage) (any, error) {
		var n float64
		if err := json.Unmarshal(input, &n); err != nil {
			return nil, fmt.Errorf("%w: give a number", azml.ErrInvalid)
		}
		if n < 0 {
			panic("the secret of the service")
		}
		return n * 2, nil
	}}, &endpoint.DeployOptions{PrimaryKey: "first-key", Settings: &endpoint.Settings{CORSOrigins: []string{"https://example.org"}}})
	require.Equal(t, endpoint.StateHealthy, ep.State())
	require.Equal(t, ep.URL()+"/score", ep.ScoringURI())
	require.Contains(t, logOf(t, ep), "serving on "+ep.URL(), "who is told that it is Healthy finds that in the log")
	d := ep.Details()
	require.Equal(t, endpoint.AuthKey, d.Auth)
	require.Equal(t, "handler", d.Current.Deployments[0].Kind)
	require.Equal(t, endpoint.MainDeployment, d.Current.Deployments[0].Name)
	require.Equal(t, 100, d.Current.Deployments[0].Traffic)
	var answer float64
	require.NoError(t, ep.InvokeJSON(ctx, 21, &answer, nil))
	require.Equal(t, 42.0, answer)
	for name, test := range map[string]struct {
		in    any
		opts  *endpoint.InvokeOptions
		class error
		code  int
	}{
		"bad input": {"x", nil, azml.ErrInvalid, 400},
		"panic":     {-1, nil, azml.ErrFailed, 500},
		"wrong key": {1, &endpoint.InvokeOptions{Key: "wrong"}, azml.ErrDenied, 401},
	} {
		err := ep.InvokeJSON(ctx, test.in, &answer, test.opts)
		require.ErrorIs(t, err, test.class, name)
		response, ok := errors.AsType[*endpoint.ResponseError](err)
		require.True(t, ok, name)
		require.Equal(t, test.code, response.StatusCode, name)
		require.NotContains(t, err.Error(), "secret", name)
	}
	require.ErrorIs(t, ep.InvokeJSON(ctx, func() {}, &answer, nil), azml.ErrInvalid)

	code, body, _ := ask(t, "GET", ep.URL()+"/", "", "")
	require.Equal(t, "200 Healthy", fmt.Sprint(code, " ", body))
	code, body, _ = ask(t, "GET", ep.Details().SwaggerURI, "first-key", "")
	require.Equal(t, 200, code)
	require.Contains(t, body, `"swagger"`)
	code, _, header := ask(t, "POST", ep.ScoringURI(), "first-key", "1", "Origin", "https://example.org")
	require.Equal(t, 200, code)
	require.Equal(t, "https://example.org", header.Get("Access-Control-Allow-Origin"))
	_, _, header = ask(t, "POST", ep.ScoringURI(), "first-key", "1", "Origin", "https://elsewhere.org")
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
	code, body, _ = ask(t, "POST", ep.ScoringURI(), "", "1")
	require.Equal(t, 401, code)
	require.Contains(t, body, `"message"`)
	code, _, _ = ask(t, "GET", ep.URL()+"/none", "first-key", "")
	require.Equal(t, 404, code)

	require.NoError(t, ep.Stop(ctx))
	text := logOf(t, ep)
	for _, line := range []string{"serving on", "the secret of the service", "stopped"} {
		require.Contains(t, text, line)
	}
	require.NotContains(t, text, "first-key", "keys are in no log")
}

// logOf reads the log of the service.
func logOf(t *testing.T, ep *endpoint.Endpoint) string {
	t.Helper()
	log, err := ep.Logs(t.Context(), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(log)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	return string(text)
}

func TestHTTPHandler(t *testing.T) {
	t.Parallel()
	ep := deploy(t, open(t), "raw", endpoint.Config{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Query().Get("q"))
	})}, &endpoint.DeployOptions{PrimaryKey: "test-key"})
	code, body, _ := ask(t, "PUT", ep.ScoringURI()+"?q=x", "test-key", "")
	if code != http.StatusMethodNotAllowed { // the contract allows GET, POST and OPTIONS only
		require.Equal(t, "418 PUT x", fmt.Sprint(code, " ", body))
	}
	code, body, _ = ask(t, "POST", ep.ScoringURI()+"?q=x", "test-key", "")
	require.Equal(t, "418 POST x", fmt.Sprint(code, " ", body))
	_, err := ep.Invoke(t.Context(), nil, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}

// at serves at an address.
func at(address string) *endpoint.DeployOptions {
	return &endpoint.DeployOptions{Serve: &endpoint.ServeOptions{Address: address}}
}

func TestConfigsThatAreRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	dir := t.TempDir()
	file(t, dir, "score.py", "")
	file(t, dir, "score.txt", "")
	script := func(entry string) *endpoint.Script { return &endpoint.Script{Source: dir, EntryScript: entry} }
	variables := func(name string) endpoint.Config {
		return endpoint.Config{Script: &endpoint.Script{Source: dir, EntryScript: "score.py", Variables: map[string]string{name: "x"}}}
	}
	_, err := ws.Environments().Register(ctx, environment.Spec{Name: "clash", Variables: map[string]string{"AZUREML_MODEL_DIR": "x"}}, nil)
	require.NoError(t, err)
	in := func(spec environment.Spec) endpoint.Config {
		return endpoint.Config{Script: &endpoint.Script{Source: dir, EntryScript: "score.py", Environment: spec}}
	}
	for name, test := range map[string]struct {
		name   string
		config endpoint.Config
		opts   *endpoint.DeployOptions
		class  error
	}{
		"name":              {"Bad_Name", endpoint.Config{Handler: echo}, nil, azml.ErrInvalid},
		"nothing":           {"abc", endpoint.Config{}, nil, azml.ErrInvalid},
		"two":               {"abc", endpoint.Config{Handler: echo, Script: script("score.py")}, nil, azml.ErrInvalid},
		"negative":          {"abc", endpoint.Config{Handler: echo, MaxConcurrent: -1}, nil, azml.ErrInvalid},
		"replicas of Go":    {"abc", endpoint.Config{Handler: echo, Replicas: 2}, nil, azml.ErrInvalid},
		"scaling of Go":     {"abc", endpoint.Config{Handler: echo, Scaling: &endpoint.Scaling{Max: 2}}, nil, azml.ErrInvalid},
		"both":              {"abc", endpoint.Config{Script: script("score.py"), Replicas: 2, Scaling: &endpoint.Scaling{}}, nil, azml.ErrInvalid},
		"scaling":           {"abc", endpoint.Config{Script: script("score.py"), Scaling: &endpoint.Scaling{Min: 3, Max: 2}}, nil, azml.ErrInvalid},
		"target":            {"abc", endpoint.Config{Script: script("score.py"), Scaling: &endpoint.Scaling{TargetPercent: 101}}, nil, azml.ErrInvalid},
		"too many":          {"abc", endpoint.Config{Script: script("score.py"), Replicas: 1001}, nil, azml.ErrInvalid},
		"sample":            {"abc", endpoint.Config{Handler: echo, Sample: make([]byte, 1<<21)}, nil, azml.ErrInvalid},
		"concurrent script": {"abc", endpoint.Config{Script: script("score.py"), MaxConcurrent: 2}, nil, azml.ErrInvalid},
		"deployment":        {"abc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Deployment: "A_b"}, azml.ErrInvalid},
		"traffic":           {"abc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Traffic: new(101)}, azml.ErrInvalid},
		"part of none":      {"abc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Traffic: new(10)}, azml.ErrInvalid},
		"authentication":    {"abc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Settings: &endpoint.Settings{Auth: "x"}}, azml.ErrInvalid},
		"body":              {"abc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Settings: &endpoint.Settings{MaxBody: -1}}, azml.ErrInvalid},
		"short time":        {"abc", endpoint.Config{Handler: echo, ScoringTimeout: 1}, nil, azml.ErrInvalid},
		"short wait":        {"abc", endpoint.Config{Handler: echo, MaxBatchWait: 1}, nil, azml.ErrInvalid},
		"period":            {"abc", endpoint.Config{Script: script("score.py"), Scaling: &endpoint.Scaling{Period: 1500 * time.Microsecond}}, nil, azml.ErrInvalid},
		"short key":         {"abc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{SecondaryKey: "x"}, azml.ErrInvalid},
		"same keys":         {"abc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{PrimaryKey: "the-same-key", SecondaryKey: "the-same-key"}, azml.ErrInvalid},
		"origin":            {"abc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Settings: &endpoint.Settings{CORSOrigins: []string{"*", "https://a.example/"}}}, azml.ErrInvalid},
		"tags":              {"abc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Settings: &endpoint.Settings{Tags: map[string]string{"": ""}}}, azml.ErrInvalid},
		"address":           {"abc", endpoint.Config{Handler: echo}, at("127.0.0.1"), azml.ErrInvalid},
		"no script":         {"abc", endpoint.Config{Script: script("none.py")}, nil, azml.ErrNotFound},
		"script outside":    {"abc", endpoint.Config{Script: script("../score.py")}, nil, azml.ErrInvalid},
		"no Python":         {"abc", endpoint.Config{Script: script("score.txt")}, nil, azml.ErrInvalid},
		"no variable":       {"abc", variables(""), nil, azml.ErrInvalid},
		"variable 1A":       {"abc", variables("1A"), nil, azml.ErrInvalid},
		"variable A-B":      {"abc", variables("A-B"), nil, azml.ErrInvalid},
		"own variable":      {"abc", variables("AZUREML_MODEL_DIR"), nil, azml.ErrInvalid},
		"own, registered":   {"abc", in(environment.Spec{Name: "clash"}), nil, azml.ErrInvalid},
		"own, new":          {"abc", in(environment.Spec{Name: "new", Variables: map[string]string{"SERVICE_NAME": "x"}}), nil, azml.ErrInvalid},
	} {
		_, err := ws.Endpoints().Deploy(ctx, test.name, test.config, test.opts)
		require.ErrorIs(t, err, test.class, name)
	}
	for _, err := range ws.Endpoints().List(ctx, nil) {
		require.NoError(t, err)
		t.Fatal("a refused deployment left a record")
	}
	_, err = ws.Environments().Get(ctx, "new", "", nil)
	require.ErrorIs(t, err, azml.ErrNotFound, "nor an environment")
}

func TestAuthOff(t *testing.T) {
	t.Parallel()
	ws := open(t)
	none := &endpoint.Settings{Auth: endpoint.AuthNone}
	_, err := ws.Endpoints().Deploy(t.Context(), "for-all", endpoint.Config{Handler: echo},
		&endpoint.DeployOptions{Settings: none, Serve: &endpoint.ServeOptions{Address: "0.0.0.0:0"}})
	require.ErrorIs(t, err, azml.ErrInvalid, "it would be open to all machines")
	ep := deploy(t, ws, "open", endpoint.Config{}, &endpoint.DeployOptions{Settings: none, Serve: &endpoint.ServeOptions{Address: "localhost:0"}})
	code, body, _ := ask(t, "POST", ep.ScoringURI(), "", "[1]")
	require.Equal(t, "200 [1]", fmt.Sprint(code, " ", strings.TrimSpace(body)))
	require.Equal(t, endpoint.AuthNone, ep.Details().Auth)
	_, err = ep.Invoke(t.Context(), []byte("1"), nil)
	require.NoError(t, err)
}

func TestKeysAreRotatedByAnotherHandle(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ep := deploy(t, reopen(t, dir), "keys", endpoint.Config{}, nil)
	other, err := reopen(t, dir).Endpoints().Get(ctx, "keys", nil)
	require.NoError(t, err)
	keys, err := other.Keys(ctx)
	require.NoError(t, err)
	require.NotEqual(t, keys.Primary, keys.Secondary)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", keys, keys, keys, &keys), keys.Primary)
	accepted := func(key string) bool {
		code, _, _ := ask(t, "POST", ep.ScoringURI(), key, "1")
		return code == 200
	}
	require.True(t, accepted(keys.Primary))
	require.True(t, accepted(keys.Secondary))
	fresh, err := other.RegenerateKey(ctx, endpoint.PrimaryKey, "")
	require.NoError(t, err)
	require.True(t, accepted(fresh))
	require.True(t, accepted(keys.Secondary))
	require.False(t, accepted(keys.Primary), "the old key is no longer accepted")
	chosen, err := ep.RegenerateKey(ctx, endpoint.SecondaryKey, "chosen-by-me")
	require.NoError(t, err)
	require.Equal(t, "chosen-by-me", chosen)
	require.True(t, accepted(chosen))
	_, err = ep.RegenerateKey(ctx, "Third", "")
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = other.Invoke(ctx, []byte("1"), nil)
	require.NoError(t, err, "Invoke takes the key of now")
}

func TestDeployAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	first := deploy(t, ws, "again", endpoint.Config{}, nil)
	keys, err := first.Keys(ctx)
	require.NoError(t, err)
	_, err = other.Endpoints().Deploy(ctx, "again", endpoint.Config{Handler: echo}, nil)
	require.ErrorIs(t, err, azml.ErrExists)
	_, err = ws.Endpoints().Serve(ctx, "again", &endpoint.ServeOptions{Handler: echo})
	require.ErrorIs(t, err, azml.ErrConflict)
	second := deploy(t, other, "again", endpoint.Config{Handler: func(context.Context, json.RawMessage) (any, error) { return "second", nil }},
		&endpoint.DeployOptions{Overwrite: true})
	same, err := second.Keys(ctx)
	require.NoError(t, err)
	require.Equal(t, keys, same, "an endpoint that is deployed anew keeps its keys")
	require.Eventually(t, func() bool { return first.Refresh(ctx) == nil && len(first.Details().Hosts) == 1 }, 10*time.Second, 10*time.Millisecond,
		"who has not the function of what is served now ends")
	require.Equal(t, second.URL(), first.URL())
	answer, err := first.Invoke(ctx, []byte("1"), nil)
	require.NoError(t, err)
	require.JSONEq(t, `"second"`, string(answer))
}

// The address of an endpoint that is replaced is free for the next one.
func TestDeployAgainOnTheSameAddress(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	first := deploy(t, ws, "fixed", endpoint.Config{}, nil)
	address := strings.TrimPrefix(first.URL(), "http://")
	require.NoError(t, first.Stop(ctx))
	deploy(t, ws, "fixed", endpoint.Config{}, at(address))
	again, err := ws.Endpoints().Deploy(ctx, "fixed", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Overwrite: true})
	require.NoError(t, err)
	require.Equal(t, "http://"+address, again.URL())
}

// TestKeysThatAreRefused: a key that can't be sent, or that can't be replaced alone.
func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	ep, err := ws.Endpoints().Create(ctx, "keys", &endpoint.CreateOptions{PrimaryKey: "the-first-key", SecondaryKey: "the-second-key"})
	require.NoError(t, err)
	for name, value := range map[string]string{"short": "x", "spaces": "a key of words", "lines": "the-key\nof-two-lines", "not ASCII": "schlüsselwort",
		"long": strings.Repeat("x", 1025), "the other": "the-second-key"} {
		_, err := ep.RegenerateKey(ctx, endpoint.PrimaryKey, value)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.NotContains(t, err.Error(), value, "it may be a secret")
	}
	_, err = ws.Endpoints().Propose(ctx, "keys", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{SecondaryKey: "the-first-key"})
	require.ErrorIs(t, err, azml.ErrInvalid)
	keys, err := ep.Keys(ctx)
	require.NoError(t, err)
	require.Equal(t, endpoint.Keys{Primary: "the-first-key", Secondary: "the-second-key"}, keys)
	_, err = ws.Endpoints().Create(ctx, "other", &endpoint.CreateOptions{PrimaryKey: "x"})
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = ws.Endpoints().Get(ctx, "other", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// refuses tells whether nobody listens at the URL.
func refuses(url string) bool {
	connection, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err == nil {
		connection.Close()
	}
	return err != nil
}

func TestStopAndServeFromAnotherHandle(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	ep := deploy(t, ws, "moved", endpoint.Config{}, nil)
	url := ep.URL()
	remote, err := other.Endpoints().Get(ctx, "moved", nil)
	require.NoError(t, err)
	require.NoError(t, remote.Stop(ctx))
	require.Eventually(t, func() bool { return refuses(url) }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, remote.Stop(ctx), "stopping twice does nothing")
	require.NoError(t, ep.Refresh(ctx))
	require.Equal(t, endpoint.StateStopped, ep.State())
	_, err = ep.Invoke(ctx, []byte("1"), nil)
	require.ErrorIs(t, err, azml.ErrUnavailable)
	_, err = other.Endpoints().Serve(ctx, "moved", nil)
	require.ErrorIs(t, err, azml.ErrUnsupported)
	_, err = other.Endpoints().Serve(ctx, "moved", &endpoint.ServeOptions{Handler: echo})
	require.NoError(t, err)
	_, err = ep.Invoke(ctx, []byte("1"), nil)
	require.NoError(t, err)
	_, err = other.Endpoints().Serve(ctx, "none", &endpoint.ServeOptions{Handler: echo})
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestDelete(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	ep := deploy(t, ws, "gone", endpoint.Config{}, nil)
	url := ep.URL()
	require.NoError(t, other.Endpoints().Delete(ctx, "gone", nil))
	require.ErrorIs(t, other.Endpoints().Delete(ctx, "gone", nil), azml.ErrNotFound)
	require.ErrorIs(t, ep.Refresh(ctx), azml.ErrNotFound)
	require.Eventually(t, func() bool { return refuses(url) }, 10*time.Second, 10*time.Millisecond)
	for name, err := range other.Secrets().List(ctx) {
		require.NoError(t, err)
		t.Errorf("secret %s was left", name)
	}
}

// TestDeleteWhileAnotherIsMade: who deletes an endpoint waits for its processes, and
// leaves what has got the name meanwhile alone.
func TestDeleteWhileAnotherIsMade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	begun, release := make(chan struct{}), make(chan struct{})
	old := deploy(t, ws, "svc", endpoint.Config{Handler: func(context.Context, json.RawMessage) (any, error) {
		close(begun)
		<-release
		return "old", nil
	}}, nil)
	answered := make(chan error, 1)
	go func() {
		_, err := old.Invoke(ctx, []byte("1"), nil)
		answered <- err
	}()
	<-begun
	deleted := make(chan error, 1)
	go func() { deleted <- other.Endpoints().Delete(ctx, "svc", nil) }()
	eventually(t, func() bool { return errors.Is(old.Refresh(ctx), azml.ErrNotFound) }, "it is deleted")
	another := deploy(t, reopen(t, dir), "svc", endpoint.Config{Handler: text("new")}, nil)
	close(release)
	require.NoError(t, <-answered)
	require.NoError(t, <-deleted)
	require.NoError(t, another.Refresh(ctx))
	require.Equal(t, endpoint.StateHealthy, another.State())
	answer, err := another.Invoke(ctx, []byte("1"), nil)
	require.NoError(t, err)
	require.JSONEq(t, `"new"`, string(answer))
	said := ""
	eventually(t, func() bool {
		log, err := another.Logs(ctx, nil)
		if err != nil {
			return false
		}
		defer log.Close()
		text, err := io.ReadAll(log)
		said = string(text)
		return err == nil && strings.Contains(said, "serving on")
	}, "it has a log")
	require.Equal(t, 1, strings.Count(said, "serving on"), "the log is its own: %s", said)
}

// TestKeysOfWorkspacesThatShareAVault: endpoints of one name have keys of their own.
func TestKeysOfWorkspacesThatShareAVault(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	secrets := memory.NewSecrets()
	var endpoints []*endpoint.Endpoint
	var keys []endpoint.Keys
	for range 2 {
		ws, err := workspace.Create(ctx, workspace.Config{Objects: memory.NewObjects(), Secrets: secrets, Name: "test", CacheDir: t.TempDir()})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, ws.Close(context.WithoutCancel(ctx))) })
		ep := deploy(t, ws, "svc", endpoint.Config{}, nil)
		has, err := ep.Keys(ctx)
		require.NoError(t, err)
		endpoints, keys = append(endpoints, ep), append(keys, has)
		if len(keys) == 2 {
			require.NoError(t, ws.Endpoints().Delete(ctx, "svc", nil))
		}
	}
	require.NotEqual(t, keys[0], keys[1])
	still, err := endpoints[0].Keys(ctx)
	require.NoError(t, err)
	require.Equal(t, keys[0], still)
}

// TestSettingsOfADeployment: those that are given change, the others stay.
func TestSettingsOfADeployment(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	_, err := ws.Endpoints().Create(ctx, "svc", &endpoint.CreateOptions{Settings: &endpoint.Settings{Auth: endpoint.AuthToken,
		CORSOrigins: []string{"https://a.example"}, Description: "hello", Tags: map[string]string{"a": "b"}}})
	require.NoError(t, err)
	d := deploy(t, ws, "svc", endpoint.Config{}, &endpoint.DeployOptions{Settings: &endpoint.Settings{MaxBody: 1e6, Tags: map[string]string{"c": "d"}}}).Details()
	require.Equal(t, []any{endpoint.AuthToken, []string{"https://a.example"}, "hello", int64(1e6), map[string]string{"a": "b", "c": "d"}},
		[]any{d.Auth, d.CORSOrigins, d.Description, d.MaxBody, d.Tags})
}

func TestList(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	m, err := ws.Models().Register(ctx, "m", file(t, t.TempDir(), "m.txt", "x"), nil)
	require.NoError(t, err)
	deploy(t, ws, "bbb", endpoint.Config{Handler: echo, Model: m}, &endpoint.DeployOptions{Settings: &endpoint.Settings{Tags: map[string]string{"team": "a"}}})
	_, err = ws.Endpoints().Create(ctx, "aaa", nil)
	require.NoError(t, err)
	names := func(opts *endpoint.ListOptions) []string {
		list := []string{}
		for ep, err := range ws.Endpoints().List(ctx, opts) {
			require.NoError(t, err)
			list = append(list, ep.Name()+" "+string(ep.State()))
		}
		return list
	}
	require.Equal(t, []string{"aaa Stopped", "bbb Healthy"}, names(nil))
	require.Equal(t, []string{"bbb Healthy"}, names(&endpoint.ListOptions{ModelID: "m:1"}))
	require.Equal(t, []string{"bbb Healthy"}, names(&endpoint.ListOptions{Tags: map[string]string{"team": ""}}))
	require.Empty(t, names(&endpoint.ListOptions{ModelID: "m:1", Tags: map[string]string{"team": "b"}}))
	require.Equal(t, []string{"bbb Healthy"}, names(&endpoint.ListOptions{ModelName: "m"}))
	require.Empty(t, names(&endpoint.ListOptions{ModelName: "m", ModelID: "m:2"}))
	require.Empty(t, names(&endpoint.ListOptions{ModelName: "other"}))
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws := reopen(t, dir)
	ep := deploy(t, ws, "eee", endpoint.Config{}, &endpoint.DeployOptions{Settings: &endpoint.Settings{Description: "before", Tags: map[string]string{"a": "1", "b": "2"}}})
	other, err := reopen(t, dir).Endpoints().Get(ctx, "eee", nil)
	require.NoError(t, err)
	require.NoError(t, other.Update(ctx, endpoint.Update{SetTags: map[string]string{"a": "3"}, RemoveTags: []string{"b", "none"}}))
	require.Equal(t, map[string]string{"a": "3"}, other.Details().Tags)
	require.Equal(t, "before", other.Details().Description)
	require.NoError(t, other.Update(ctx, endpoint.Update{Description: new("after")}))
	for _, change := range []endpoint.Update{{SetTags: map[string]string{"": "x"}}, {Description: new(strings.Repeat("x", 5001))}} {
		require.ErrorIs(t, other.Update(ctx, change), azml.ErrInvalid)
	}
	var answer any
	require.NoError(t, ep.InvokeJSON(ctx, 1, &answer, nil), "it is served all the while")
	require.NoError(t, ep.Refresh(ctx))
	require.Equal(t, "after", ep.Details().Description)
	require.Equal(t, endpoint.StateHealthy, ep.State())
	require.NoError(t, ws.Endpoints().Delete(ctx, "eee", nil))
	require.ErrorIs(t, other.Update(ctx, endpoint.Update{Description: new("x")}), azml.ErrNotFound)
}

// A service that is too busy is asked again; one that fails is not.
func TestInvokeTriesAgainWhenBusy(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var calls atomic.Int32
	status := http.StatusServiceUnavailable
	ep := deploy(t, open(t), "busy", endpoint.Config{HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			w.WriteHeader(status)
			return
		}
		fmt.Fprint(w, "done")
	})}, nil)
	answer, err := ep.Invoke(ctx, []byte("1"), nil)
	require.NoError(t, err)
	require.Equal(t, "done", string(answer))
	require.EqualValues(t, 3, calls.Load())
	calls.Store(0)
	status = http.StatusInternalServerError
	_, err = ep.Invoke(ctx, []byte("1"), nil)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.EqualValues(t, 1, calls.Load())
	calls.Store(-100)
	status = http.StatusServiceUnavailable
	_, err = ep.Invoke(ctx, []byte("1"), nil)
	require.ErrorIs(t, err, azml.ErrUnavailable)
}

// A deployment that comes while the workspace is closed leaves nothing behind.
func TestDeployIntoAClosedWorkspace(t *testing.T) {
	t.Parallel()
	ws, err := workspace.Create(t.Context(), workspace.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), Name: "test", CacheDir: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, ws.Close(context.Background()))
	_, err = ws.Endpoints().Deploy(t.Context(), "late", endpoint.Config{Handler: echo}, nil)
	require.ErrorIs(t, err, azml.ErrClosed)
}
