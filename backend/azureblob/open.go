package azureblob

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/azml-go/azml"
)

// Credential is what a container is opened with. It shows nothing of itself when
// it is printed. The zero Credential is that of a container which anybody may
// use.
type Credential struct {
	token azcore.TokenCredential
	key   *container.SharedKeyCredential
	sas   string
}

// Token is a credential of Microsoft Entra ID, such as those of azidentity. It
// is sent by https alone.
func Token(credential azcore.TokenCredential) Credential { return Credential{token: credential} }

// SharedKey is a key of the storage account. Errors: ErrInvalid for a key that
// is no base64.
func SharedKey(account, key string) (Credential, error) {
	shared, err := container.NewSharedKeyCredential(account, key)
	if err != nil { // whose text may hold some of the key
		return Credential{}, fmt.Errorf("%w: the key of the storage account %q is not whole: it is base64 of 88 characters", azml.ErrInvalid, account)
	}
	return Credential{key: shared}, nil
}

// SAS is a shared access signature: the query of a signed URL, with or without
// "?". It should have the permissions racwdl on the container.
func SAS(signature string) Credential {
	return Credential{sas: strings.TrimPrefix(signature, "?")}
}

// String shows nothing.
func (Credential) String() string { return "REDACTED" }

// GoString shows nothing.
func (Credential) GoString() string { return "azureblob.Credential(REDACTED)" }

// Open makes a store of a container, such as
// https://ACCOUNT.blob.core.windows.net/CONTAINER. Nil options mean the
// defaults. It sends nothing. Close it. Errors: ErrInvalid.
func Open(containerURL string, credential Credential, opts *Options) (*Store, error) {
	if strings.Contains(containerURL, "?") {
		return nil, fmt.Errorf("%w: the container's URL has a query: give a shared access signature as a credential, so that nobody sees it", azml.ErrInvalid)
	}
	return open(opts, func(o *container.ClientOptions) (*container.Client, error) {
		switch {
		case credential.token != nil:
			return container.NewClient(containerURL, credential.token, o)
		case credential.key != nil:
			return container.NewClientWithSharedKeyCredential(containerURL, credential.key, o)
		case credential.sas != "":
			return container.NewClientWithNoCredential(containerURL+"?"+credential.sas, o)
		}
		return container.NewClientWithNoCredential(containerURL, o)
	})
}

// OpenConnectionString is Open by the connection string of a storage account.
func OpenConnectionString(connection, containerName string, opts *Options) (*Store, error) {
	return open(opts, func(o *container.ClientOptions) (*container.Client, error) {
		return container.NewClientFromConnectionString(connection, containerName, o)
	})
}

// open makes the client and its store.
func open(opts *Options, connect func(*container.ClientOptions) (*container.Client, error)) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	transport, idle := opts.Transport, func() {}
	if transport == nil {
		own := newTransport(opts.Stall)
		transport, idle = &http.Client{Transport: own, CheckRedirect: dontFollow}, own.CloseIdleConnections
	}
	client, err := connect(&container.ClientOptions{ClientOptions: policy.ClientOptions{
		Retry:     policy.RetryOptions{MaxRetries: 6, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 30 * time.Second, ShouldRetry: worthRetry},
		Telemetry: policy.TelemetryOptions{ApplicationID: "azml"},
		Transport: transport,
	}})
	if err != nil { // whose text may hold some of the connection string
		return nil, fmt.Errorf("%w: not the URL of a container, or not the connection string of a storage account", azml.ErrInvalid)
	}
	s, err := New(client, opts)
	if err != nil {
		return nil, err
	}
	s.idle = idle
	return s, nil
}

// dontFollow leaves redirections alone: the service sends none, and who follows
// one carries the credential along.
func dontFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// worthRetry tells whether a request may do better the next time: the SDK's own
// rule, but for bytes that were changed on their way, and for what stays wrong.
func worthRetry(answer *http.Response, err error) bool {
	if err != nil {
		dns, notFound := errors.AsType[*net.DNSError](err)
		_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
		return !untrusted && !(notFound && dns.IsNotFound)
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

// newTransport makes connections that are given up when nothing moves on them.
func newTransport(stall time.Duration) *http.Transport {
	if stall <= 0 {
		stall = time.Minute
	}
	dialer := net.Dialer{Timeout: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watched{conn, stall}, nil
		},
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     stall,
		ReadBufferSize:      64 << 10,
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
