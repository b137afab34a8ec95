package keyvault

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// answers is the policy of the pipeline that is next to the network: it marks
// what fails there, and tells callers of watchAnswers when nobody knows whether
// the vault did what was asked for.
type answers struct{}

// unanswered is a failure of the network, where everything else that fails in a
// pipeline, such as a credential, fails before.
type unanswered struct{ error }

// Unwrap gives the cause.
func (u *unanswered) Unwrap() error { return u.error }

// lasting is a failure that no further try mends.
type lasting struct{ error }

// Unwrap gives the cause.
func (l lasting) Unwrap() error { return l.error }

// NonRetriable keeps the pipeline from trying again.
func (lasting) NonRetriable() {}

// lasts tells whether a failure of the network stays: a name that nobody knows, a
// certificate that is not trusted.
func lasts(err error) bool {
	dns, unknown := errors.AsType[*net.DNSError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted || unknown && dns.IsNotFound
}

type lostKey struct{}

// watchAnswers gives a context whose requests set lost when an answer of theirs
// was lost.
func watchAnswers(ctx context.Context) (watched context.Context, lost *atomic.Bool) {
	lost = new(atomic.Bool)
	return context.WithValue(ctx, lostKey{}, lost), lost
}

// Do sends one try.
func (answers) Do(req *policy.Request) (*http.Response, error) {
	answer, err := req.Next()
	if lost, ok := req.Raw().Context().Value(lostKey{}).(*atomic.Bool); ok {
		if err != nil || answer.StatusCode >= http.StatusInternalServerError || answer.StatusCode == http.StatusRequestTimeout {
			lost.Store(true)
		}
	}
	if err != nil && lasts(err) {
		return answer, lasting{&unanswered{err}}
	}
	if err != nil {
		return answer, &unanswered{err}
	}
	return answer, nil
}
