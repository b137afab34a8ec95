package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/azml-go/azml"
)

const (
	maxRedirects = 10
	dialTime     = 30 * time.Second
	answerTime   = time.Minute // until an answer begins; what follows may take hours
	retries      = 3
	leastWait    = 200 * time.Millisecond
	mostWait     = 5 * time.Second
)

// newClient makes a client for the files of one server, and the function that
// ends its idle connections.
func newClient(base *url.URL) (*http.Client, func()) {
	trusted, guarded := newTransport(nil), newTransport(refusePrivate)
	retrying := retryablehttp.NewClient()
	retrying.RetryMax, retrying.RetryWaitMin, retrying.RetryWaitMax, retrying.Logger = retries, leastWait, mostWait, nil
	retrying.CheckRetry = func(ctx context.Context, response *http.Response, err error) (bool, error) {
		if azml.ClassOf(err) != nil { // ours, about a redirect
			return false, err
		}
		return retryablehttp.DefaultRetryPolicy(ctx, response, err)
	}
	retrying.ErrorHandler = retryablehttp.PassthroughErrorHandler
	retrying.HTTPClient = &http.Client{Transport: router{base, trusted, guarded}, CheckRedirect: checkRedirect}
	return retrying.StandardClient(), func() {
		trusted.CloseIdleConnections()
		guarded.CloseIdleConnections()
	}
}

func newTransport(control func(network, address string, _ syscall.RawConn) error) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTime, Control: control}
	return &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: dialTime, ResponseHeaderTimeout: answerTime, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 16}
}

// router lets requests to the registered server go anywhere and those that a
// redirect sends to another one to public addresses only.
type router struct {
	base             *url.URL
	trusted, guarded *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (r router) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Host == r.base.Host {
		return r.trusted.RoundTrip(request)
	}
	if proxy, err := http.ProxyFromEnvironment(request); err != nil || proxy != nil {
		return r.trusted.RoundTrip(request)
	}
	return r.guarded.RoundTrip(request)
}

// checkRedirect bounds redirects, and keeps credentials from plain HTTP and
// from other servers; net/http does the latter for other names only.
func checkRedirect(request *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d redirects", azml.ErrUnavailable, maxRedirects)
	case request.URL.Scheme != "https" && first.Scheme == "https":
		return fmt.Errorf("%w: the server redirects from https to %s", azml.ErrDenied, request.URL.Scheme)
	case request.URL.Host != first.Host:
		request.Header.Del("Authorization")
	}
	return nil
}

// refusePrivate is the control of a dialer: it sees the address that a name
// has, so a name can't get around it.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: address %q", azml.ErrDenied, address)
	}
	ip := at.Addr().Unmap()
	shared := netip.MustParsePrefix("100.64.0.0/10") // of carriers, and of clouds for their own services
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || shared.Contains(ip) {
		return fmt.Errorf("%w: the server redirects to the private address %s", azml.ErrDenied, ip)
	}
	return nil
}
