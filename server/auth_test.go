package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/token"
	"github.com/azml-go/azml/workspace"
)

func TestOpenUntilThereIsAToken(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil)
	require.Equal(t, http.StatusOK, s.send("POST", create, `{"name":"e"}`).status)
	require.Equal(t, http.StatusOK, s.send("POST", remove, `{"experiment_id":"e"}`).status, "who is on this machine may all")
	secret := s.token(token.RoleReader)
	for _, path := range []string{search, "/version", "/", "/nothing", "/api/3.0/mlflow/server-info", "/get-artifact", "/health/", "/health%2f..%2fversion"} {
		a := s.send("GET", path, "")
		require.Equal(t, http.StatusUnauthorized, a.status, path)
		require.Equal(t, "UNAUTHENTICATED", a.code())
		require.Len(t, a.header.Values("WWW-Authenticate"), 2)
	}
	require.Equal(t, http.StatusOK, s.send("GET", search, "", bearer(secret)).status)
	a := s.send("GET", "/health", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "OK", a.body)
	require.Equal(t, http.StatusNotFound, s.send("POST", "/health", "{}").status, "health is for reading")
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil)
	reader, contributor, owner := s.token(token.RoleReader), s.token(token.RoleContributor), s.token(token.RoleOwner)
	id := s.run(bearer(contributor))
	artifact := "/api/2.0/mlflow-artifacts/artifacts/e/" + id + "/artifacts/a.txt"
	require.Equal(t, http.StatusOK, s.send("PUT", artifact, "hello", bearer(contributor)).status)
	ref := `{"run_id":"` + id + `"}`
	for _, tt := range []struct {
		method, path, body string
		least              token.Role
	}{
		{"GET", search, "", token.RoleReader},
		{"POST", search, "{}", token.RoleReader},
		{"GET", "/api/2.0/mlflow/runs/get?run_id=" + id, "", token.RoleReader},
		{"POST", "/ajax-api/2.0/mlflow/runs/search", `{"experiment_ids":["e"]}`, token.RoleReader},
		{"GET", artifact, "", token.RoleReader},
		{"HEAD", artifact, "", token.RoleReader},
		{"POST", "/api/2.0/mlflow/runs/log-metric", `{"run_id":"` + id + `","key":"m","value":1,"timestamp":1}`, token.RoleContributor},
		{"POST", "/ajax-api/2.0/mlflow/runs/set-tag", `{"run_id":"` + id + `","key":"k","value":"v"}`, token.RoleContributor},
		{"POST", "/api/2.0/mlflow/runs/delete-tag", `{"run_id":"` + id + `","key":"k"}`, token.RoleContributor},
		{"PUT", artifact, "hello again", token.RoleContributor},
		{"POST", "/api/2.0/mlflow/runs/update", `{"run_id":"` + id + `","status":"FINISHED"}`, token.RoleContributor},
		{"POST", "/api/2.0/mlflow/runs/delete", ref, token.RoleOwner},
		{"POST", "/api/2.0/mlflow/runs/restore", ref, token.RoleContributor},
		{"DELETE", artifact, "", token.RoleOwner},
		{"POST", remove, `{"experiment_id":"e"}`, token.RoleOwner},
	} {
		// The one who may least comes first, so that nothing is done before it may be.
		for _, who := range []struct {
			role   token.Role
			secret string
		}{{token.RoleReader, reader}, {token.RoleContributor, contributor}, {token.RoleOwner, owner}} {
			a := s.send(tt.method, tt.path, tt.body, bearer(who.secret))
			if !who.role.Includes(tt.least) {
				require.Equal(t, http.StatusForbidden, a.status, "%s %s as %s", tt.method, tt.path, who.role)
				require.Equal(t, "PERMISSION_DENIED", a.code())
				continue
			}
			require.Equal(t, http.StatusOK, a.status, "%s %s as %s: %s", tt.method, tt.path, who.role, a.body)
			if tt.least == token.RoleOwner || tt.path == "/api/2.0/mlflow/runs/delete-tag" {
				break // once is all it can be done
			}
		}
	}
}

func TestHowTokensAreSent(t *testing.T) {
	t.Parallel()
	static := strings.Repeat("s3cret-", 6)
	s := serve(t, &Options{Token: token.Secret(static)}, nil)
	secret := s.token(token.RoleReader)
	basic := func(user, password string) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(user, password)
		return "Authorization: " + r.Header.Get("Authorization")
	}
	for name, tt := range map[string]struct {
		line   string
		status int
	}{
		"bearer":                   {bearer(secret), 200},
		"scheme in small letters":  {"Authorization: bearer " + secret, 200},
		"password":                 {basic("anybody", secret), 200},
		"password without a user":  {basic("", secret), 200},
		"the server's own":         {bearer(static), 200},
		"the server's as password": {basic("x", static), 200},
		"as a user":                {basic(secret, ""), 401},
		"nothing":                  {"Authorization: ", 401},
		"no scheme":                {"Authorization: " + secret, 401},
		"another scheme":           {"Authorization: Digest " + secret, 401},
		"wrong":                    {bearer(secret[:len(secret)-1]), 401},
		"part of the server's":     {bearer(static[:len(static)-1]), 401},
		"the server's and more":    {bearer(static + "x"), 401},
		"no base 64":               {"Authorization: Basic !!!", 401},
		"no colon":                 {"Authorization: Basic YWJj", 401},
		"two":                      {"Authorization: Bearer " + secret + " " + secret, 401},
		"a long one":               {bearer(strings.Repeat("x", 20_000)), 401},
		"not ASCII":                {bearer("äöü\xff"), 401},
		"in the query":             {"X: y", 401},
	} {
		require.Equal(t, tt.status, s.send("GET", search+"?token="+secret, "", tt.line).status, name)
	}
	require.Equal(t, http.StatusOK, s.send("POST", create, `{"name":"e"}`, bearer(static)).status, "the server's own is an owner's")
}

func TestTokensThatEnd(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	s := serveWorkspace(t, workspacetest.Reopen(t, dir), nil, nil)
	made, secret, err := s.ws.Tokens().Create(ctx, "mine", token.RoleReader, nil)
	require.NoError(t, err)
	theirs, other, err := workspacetest.Reopen(t, dir).Tokens().Create(ctx, "theirs", token.RoleReader, nil)
	require.NoError(t, err)
	_, brief, err := s.ws.Tokens().Create(ctx, "brief", token.RoleReader, &token.CreateOptions{Life: time.Millisecond})
	require.NoError(t, err)
	status := func(secret token.Secret) int { return s.send("GET", search, "", bearer(string(secret))).status }

	require.Equal(t, http.StatusOK, status(secret))
	require.Eventually(t, func() bool { return status(other) == http.StatusOK }, 5*time.Second, 50*time.Millisecond, "what another process made is taken soon")
	require.Eventually(t, func() bool { return status(brief) == http.StatusUnauthorized }, 5*time.Second, time.Millisecond)
	_, err = s.ws.Tokens().Revoke(ctx, made.ID(), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, status(secret), "at once")
	_, err = workspacetest.Reopen(t, dir).Tokens().Revoke(ctx, theirs.ID(), nil)
	require.NoError(t, err)
	revoked := time.Now()
	require.Eventually(t, func() bool { return status(other) == http.StatusUnauthorized }, 5*time.Second, 10*time.Millisecond)
	t.Logf("a token that another process revoked was taken for %s more", time.Since(revoked))
	require.Equal(t, http.StatusUnauthorized, s.send("GET", search, "").status, "a workspace without any good token is not open again")
}

func TestNoAuth(t *testing.T) {
	t.Parallel()
	s := serve(t, &Options{NoAuth: true}, nil)
	s.token(token.RoleReader)
	require.Equal(t, http.StatusOK, s.send("POST", create, `{"name":"e"}`, bearer("rubbish")).status)
}

// others is a listener that says that other machines reach it.
type others struct {
	net.Listener
	addr net.Addr
}

func (l others) Addr() net.Addr { return l.addr }

func TestAddressesOfOthers(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	for _, opts := range []*Options{nil, {NoAuth: true}} {
		srv, err := New(ws, opts)
		require.NoError(t, err)
		for _, ip := range []string{"0.0.0.0", "::", "10.1.2.3", "192.0.2.1", "fe80::1"} {
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			err = srv.Serve(t.Context(), others{l, &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}, &ServeOptions{Ready: func() { t.Error("it is not ready") }})
			require.ErrorIs(t, err, azml.ErrDenied, ip)
			_, err = l.Accept()
			require.ErrorIs(t, err, net.ErrClosed)
		}
	}
	srv, err := New(ws, &Options{Token: token.Secret(strings.Repeat("x", 32))})
	require.NoError(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, srv.Serve(ctx, others{l, &net.TCPAddr{IP: net.IPv4zero, Port: 1}}, &ServeOptions{Ready: cancel}))
}

// A program may mount the handler anywhere: it sees by itself whether others can
// have come.
func TestMountedForOthers(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	srv, err := New(ws, nil)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		addr   any
		status int
	}{
		"loopback":    {&net.TCPAddr{IP: net.IPv6loopback}, 200},
		"unix socket": {&net.UnixAddr{Name: "x"}, 200},
		"network":     {&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, 401},
		"not known":   {nil, 401},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost"+search, nil)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, tt.addr)))
		require.Equal(t, tt.status, w.Code, name)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	for name, opts := range map[string]Options{
		"short token":     {Token: "secret"},
		"host with port":  {AllowedHosts: []string{"a:1"}},
		"empty host":      {AllowedHosts: []string{""}},
		"host pattern":    {AllowedHosts: []string{"*.example.com"}},
		"host as URL":     {AllowedHosts: []string{"http://a"}},
		"origin *":        {CORSOrigins: []string{"*"}},
		"origin pattern":  {CORSOrigins: []string{"https://*.example.com"}},
		"origin a host":   {CORSOrigins: []string{"example.com"}},
		"origin a page":   {CORSOrigins: []string{"https://example.com/"}},
		"origin null":     {CORSOrigins: []string{"null"}},
		"origin's port":   {CORSOrigins: []string{"https://example.com:443"}},
		"origin, no port": {CORSOrigins: []string{"https://example.com:"}},
	} {
		_, err := New(ws, &opts)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
	gone := workspacetest.Reopen(t, t.TempDir())
	require.NoError(t, gone.Close(t.Context()))
	_, err := New(gone, nil)
	require.ErrorIs(t, err, azml.ErrClosed)
}

// Every change through the server is in the audit log, by who made it.
func TestWritesAreAudited(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil)
	who := map[string]string{}
	for _, name := range []string{"anna", "ben"} {
		made, secret, err := s.ws.Tokens().Create(t.Context(), name, token.RoleOwner, nil)
		require.NoError(t, err)
		who[name] = made.Who()
		require.Equal(t, http.StatusOK, s.send("POST", create, `{"name":"of-`+name+`"}`, bearer(string(secret))).status)
		require.Equal(t, http.StatusOK, s.send("POST", remove, `{"experiment_id":"of-`+name+`"}`, bearer(string(secret))).status)
	}
	ops := map[string][]string{}
	for e, err := range s.ws.Audit(t.Context(), &workspace.AuditOptions{Kind: "experiment"}) {
		require.NoError(t, err)
		ops[e.Who] = append(ops[e.Who], e.Op+" "+e.Name)
	}
	require.Equal(t, map[string][]string{who["anna"]: {"create of-anna", "update of-anna"}, who["ben"]: {"create of-ben", "update of-ben"}}, ops)
	report, err := s.ws.Fsck(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}
