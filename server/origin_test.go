package server

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	s := serve(t, &Options{AllowedHosts: []string{"ML.example.com", "inner"}}, nil)
	for host, status := range map[string]int{
		"localhost":               200,
		"LOCALHOST:5000":          200,
		"localhost.":              200,
		"127.0.0.1":               200,
		"127.0.0.1:1":             200,
		"[::1]":                   200,
		"[::1]:5000":              200,
		"10.1.2.3:80":             200, // no name, so none can be bent
		"ml.example.com":          200,
		"ml.Example.com:8080":     200,
		"inner":                   200,
		"evil.com":                403,
		"evil.com:5000":           403,
		"localhost.evil.com":      403,
		"127.0.0.1.evil.com":      403,
		"evil.ml.example.com":     403,
		"ml.example.com.evil.com": 403,
		"127.1":                   403,
		"2130706433":              403,
		"0x7f000001":              403,
		"[::1":                    403,
		"localhost:5000:80":       403,
		"inner:80:80":             403,
	} {
		for _, path := range []string{search, "/health"} {
			a := s.send("GET", path, "", "Host: "+host)
			require.Equal(t, status, a.status, "%s %s", host, a.body)
			if status != http.StatusOK {
				require.Equal(t, "PERMISSION_DENIED", a.code())
			}
		}
	}
	require.Contains(t, s.raw("GET /health HTTP/1.0\r\n\r\n"), "403 Forbidden", "no host at all")
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	const page = "https://pages.example.com:8443"
	s := serve(t, &Options{CORSOrigins: []string{page}}, nil)
	for origin, status := range map[string]int{
		"http://" + s.addr:                     200,
		page:                                   200,
		"https://Pages.example.com:8443":       200,
		"https://pages.example.com":            403,
		"http://pages.example.com:8443":        403,
		"https://evil.com":                     403,
		"http://127.0.0.1:1":                   403, // another server on this machine is a stranger, too
		"http://localhost":                     403,
		"null":                                 403,
		"file://":                              403,
		"http://" + s.addr + ".evil.com":       403,
		"http://evil.com#" + s.addr:            403,
		"http://" + s.addr + "@evil.com":       403,
		"chrome-extension://abcdefghijklmnopq": 403,
		"://":                                  403,
	} {
		for _, tt := range [][3]string{{"GET", search, ""}, {"POST", search, "{}"}, {"PUT", "/api/2.0/mlflow-artifacts/artifacts/x", "x"}} {
			a := s.send(tt[0], tt[1], tt[2], "Origin: "+origin)
			if status == http.StatusForbidden {
				require.Equal(t, status, a.status, "%s %s", origin, a.body)
				require.Empty(t, a.header.Get("Access-Control-Allow-Origin"), origin)
			} else {
				require.NotEqual(t, http.StatusForbidden, a.status, "%s %s", origin, a.body)
			}
			require.Equal(t, "Origin", a.header.Get("Vary"))
		}
	}
	require.Equal(t, page, s.send("GET", search, "", "Origin: "+page).header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, s.send("GET", search, "", "Origin: http://"+s.addr).header.Get("Access-Control-Allow-Origin"))
}

// A browser asks before it lets a page call, without a token.
func TestPreflight(t *testing.T) {
	t.Parallel()
	const page = "https://pages.example.com"
	s := serve(t, &Options{CORSOrigins: []string{page}}, nil)
	secret := s.token("reader")
	ask := func(origin string) answered {
		return s.send("OPTIONS", create, "", "Origin: "+origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type")
	}
	a := ask(page)
	require.Equal(t, http.StatusNoContent, a.status)
	require.Equal(t, page, a.header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, a.header.Get("Access-Control-Allow-Methods"), "PATCH")
	require.Equal(t, "authorization,content-type", a.header.Get("Access-Control-Allow-Headers"))
	require.Equal(t, http.StatusForbidden, ask("https://evil.com").status)
	require.Equal(t, http.StatusUnauthorized, s.send("GET", search, "", "Origin: "+page).status)
	require.Equal(t, http.StatusUnauthorized, s.send("OPTIONS", create, "", "Origin: "+page).status, "no preflight")
	a = s.send("GET", search, "", "Origin: "+page, bearer(secret))
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, page, a.header.Get("Access-Control-Allow-Origin"))
}
