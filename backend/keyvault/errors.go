package keyvault

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/internal/notoken"
)

// failure is an error of the SDK in words of ours: its own are pages long and
// hold whatever the vault, or a proxy before it, has answered.
type failure struct {
	text  string
	cause error
}

// Error implements error.
func (f *failure) Error() string { return f.text }

// Unwrap gives the SDK's error.
func (f *failure) Unwrap() error { return f.cause }

// explain gives an error of the SDK its class, and says what to do. An empty
// name means all secrets.
func (s *Store) explain(verb, name string, err error) error {
	if err == nil || azml.ClassOf(err) != nil {
		return s.about(verb, name, err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return s.about(verb, name, &failure{"the caller's context ended", err})
	}
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return s.about(verb, name, without(err))
	}
	advice, class := judge(answer.StatusCode, innerCode(err))
	if changing(err) {
		return s.about(verb, name, errChanging)
	}
	said := fmt.Sprintf("the vault answered %d", answer.StatusCode)
	for _, code := range []string{answer.ErrorCode, innerCode(err)} {
		if isCode(code) {
			said += " " + code
		}
	}
	return s.about(verb, name, fmt.Errorf("%w: %w%s", class, &failure{said, err}, advice))
}

// about says what an error is about.
func (s *Store) about(verb, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case name == "":
		return fmt.Errorf("%s secrets of the key vault %s: %w", verb, s.vault, err)
	}
	return fmt.Errorf("%s secret %q in the key vault %s: %w", verb, name, s.vault, err)
}

// judge says what to do about an answer, and gives its class.
func judge(status int, inner string) (advice string, class error) {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong:
		return ": the vault takes names of 1 to 127 letters, digits and \"-\", and values of up to 25,000 bytes", azml.ErrInvalid
	case http.StatusUnauthorized:
		return ": the token was not accepted: sign in to the tenant that the vault belongs to (az login --tenant …)", azml.ErrDenied
	case http.StatusForbidden:
		return forbidden(inner), azml.ErrDenied
	case http.StatusNotFound:
		return ": set it, or recover it in the vault if it was deleted", azml.ErrNotFound
	case http.StatusConflict:
		return ": the secret belongs to a certificate, or is being changed by others", azml.ErrConflict
	case http.StatusTooManyRequests:
		return ": too many requests are sent to the vault: try again later", azml.ErrUnavailable
	}
	if status >= http.StatusInternalServerError || status == http.StatusRequestTimeout {
		return "", azml.ErrUnavailable
	}
	return ": is this the URL of a key vault?", azml.ErrInvalid
}

// forbidden says what to do when the vault refuses.
func forbidden(inner string) string {
	switch inner {
	case "SecretDisabled":
		return ": the secret is disabled: enable it in the vault, or set it again"
	case "ForbiddenByFirewall", "ForbiddenByConnection":
		return ": the vault's firewall does not let this machine in: add its address, or use the vault's private endpoint"
	case "VaultDisabled":
		return ": the vault is disabled: enable it, or name another"
	}
	return `: ask for the role "Key Vault Secrets Officer" on the vault, or "Key Vault Secrets User" to read alone (access policies: the permissions Get, List, Set, Delete and Recover of secrets)`
}

// without gives an error its class that is no answer of the vault.
func without(err error) error {
	cause := err
	if broken, ok := errors.AsType[*url.Error](err); ok { // whose text has the whole request's URL
		cause = &failure{broken.Err.Error(), err}
	}
	var network *unanswered
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%w: the vault's certificate is not trusted: is the URL right, and is a proxy between here and the vault? (SSL_CERT_FILE names more authorities): %w", azml.ErrDenied, cause)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return fmt.Errorf("%w: there is no such vault, or no network: look at the URL: %w", azml.ErrUnavailable, cause)
	}
	if errors.As(err, &network) {
		return fmt.Errorf("%w: the vault did not answer: look at the URL, at the network, and whether a proxy is needed (HTTPS_PROXY): %w", azml.ErrUnavailable, cause)
	}
	var final interface{ NonRetriable() }
	if errors.As(err, &final) {
		return fmt.Errorf("%w: no token for the vault could be had: sign in (az login), or look at the credential: %w", azml.ErrDenied, &failure{notoken.Reason(err), err})
	}
	return fmt.Errorf("%w: the vault's answer could not be used: %w", azml.ErrUnavailable, cause)
}

// innerCode gives the vault's more exact code, empty when there is none.
func innerCode(err error) string {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || answer.RawResponse == nil {
		return ""
	}
	body, err := runtime.Payload(answer.RawResponse)
	if err != nil {
		return ""
	}
	var parsed struct {
		Error struct {
			Inner struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &parsed) != nil {
		return ""
	}
	return parsed.Error.Inner.Code
}

// isCode tells a word that is safe to show from anything else that a server may
// have answered with.
func isCode(text string) bool {
	const longest = 64
	return text != "" && len(text) <= longest && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	})
}
