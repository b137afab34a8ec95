package endpoint_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/internal/testenv"
)

// TestHTTPS: with a certificate an endpoint speaks HTTPS alone, by HTTP/1.1 and HTTP/2, and
// who does not trust it sends neither key nor request.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	certificate := testenv.NewCertificate(t)
	ep := deploy(t, open(t), "secure", endpoint.Config{}, &endpoint.DeployOptions{PrimaryKey: "first-key", Serve: &endpoint.ServeOptions{Certificate: &certificate.Pair}})
	require.True(t, strings.HasPrefix(ep.ScoringURI(), "https://127.0.0.1:"), ep.ScoringURI())
	answer, err := ep.Invoke(t.Context(), []byte("1"), &endpoint.InvokeOptions{RootCAs: certificate.Pool})
	require.NoError(t, err)
	require.JSONEq(t, "1", string(answer))
	_, err = ep.Invoke(t.Context(), []byte("1"), nil)
	require.ErrorAs(t, err, new(x509.UnknownAuthorityError))

	for _, proto := range []int{1, 2} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certificate.Pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: proto == 2, MaxConnsPerHost: 1}
		defer transport.CloseIdleConnections()
		for range 3 { // on one connection
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ep.ScoringURI(), strings.NewReader("2"))
			require.NoError(t, err)
			request.Header.Set("Authorization", "Bearer first-key")
			response, err := transport.RoundTrip(request)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, proto, response.ProtoMajor)
			require.Equal(t, "2", string(body))
		}
	}
	code, _, _ := ask(t, http.MethodPost, strings.Replace(ep.ScoringURI(), "https://", "http://", 1), "first-key", "1")
	require.Equal(t, http.StatusBadRequest, code, "what is not encrypted is not answered")
	require.Eventually(t, func() bool {
		log, err := ep.Logs(t.Context(), nil)
		if err != nil { // nothing was written yet
			return false
		}
		defer log.Close()
		text, _ := io.ReadAll(log)
		return strings.Contains(string(text), "TLS handshake error")
	}, time.Minute, 50*time.Millisecond, "the service's log tells of it, not this program's")
}
