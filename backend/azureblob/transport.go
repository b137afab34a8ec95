package azureblob

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// dontFollow leaves redirections alone: the service sends none, and who follows
// one carries the credential along.
func dontFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// worthRetry tells whether a request may do better the next time: the SDK's own
// rule, but for bytes that were changed on their way, and for what stays wrong.
func worthRetry(answer *http.Response, err error) bool {
	if err != nil {
		dns, notFound := errors.AsType[*net.DNSError](err)
		_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
		return !untrusted && (!notFound || !dns.IsNotFound)
	}
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusBadRequest:
		code := bloberror.Code(answer.Header.Get("x-ms-error-code"))
		return code == bloberror.MD5Mismatch || code == bloberror.CRC64Mismatch
	}
	return false
}

// readBuffer is how much of an answer is read ahead of who asks for it. A longer read of
// a connection without TLS is one of a body that has as much left, or ends with the
// connection.
const readBuffer = 64 << 10

// NewHTTPClient makes the client, with its connections, that Open makes for a container,
// for who counts requests, or trusts other certificates (its Transport is an
// *http.Transport), and gives it as Options.Transport. A connection on which nothing
// moves for the time stall is given up; 0 means one minute. It follows no redirection.
func NewHTTPClient(containerURL string, stall time.Duration) *http.Client {
	return &http.Client{Transport: newTransport(containerURL, stall), CheckRedirect: dontFollow}
}

func newTransport(containerURL string, stall time.Duration) *http.Transport {
	if stall <= 0 {
		stall = time.Minute
	}
	plain := strings.HasPrefix(containerURL, "http://")
	dialer := net.Dialer{Timeout: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if plain {
				return gather(&watched{conn, stall}), nil
			}
			return &watched{conn, stall}, nil
		},
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     stall,
		ReadBufferSize:      readBuffer,
		WriteBufferSize:     64 << 10,
	}
}

// watched is a connection on which something must move. Writing puts off the
// end of reading, too: the answer to a long request is waited for all the while.
type watched struct {
	net.Conn
	stall time.Duration
}

// Read implements net.Conn.
func (w *watched) Read(p []byte) (int, error) {
	if err := w.SetReadDeadline(time.Now().Add(w.stall)); err != nil {
		return 0, err
	}
	return w.Conn.Read(p)
}

// Write implements net.Conn. It writes piece by piece, so that a slow line is
// none on which nothing moves.
func (w *watched) Write(p []byte) (n int, err error) {
	const piece = 256 << 10
	for first := true; err == nil && (first || n < len(p)); first = false {
		if err = w.SetDeadline(time.Now().Add(w.stall)); err == nil {
			var m int
			m, err = w.Conn.Write(p[n:min(n+piece, len(p))])
			n += m
		}
	}
	return n, err
}
