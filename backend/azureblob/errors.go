package azureblob

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/internal/notoken"
)

// said is an error of the SDK in few words: its own are pages long, and hold
// URLs with their signatures and whatever a proxy has answered.
type said struct {
	text  string
	cause error
}

// Error implements error.
func (s *said) Error() string { return s.text }

// Unwrap gives the SDK's error.
func (s *said) Unwrap() error { return s.cause }

// failure says in few words what went wrong.
func failure(err error) error {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		text := fmt.Sprintf("Azure answered %d", answer.StatusCode)
		if codeForm().MatchString(answer.ErrorCode) {
			text += " " + answer.ErrorCode
		}
		return &said{text, answer}
	}
	if broken, ok := errors.AsType[*url.Error](err); ok { // which has the URL with the signature
		return broken.Err
	}
	if final, ok := errors.AsType[refusal](err); ok {
		return &said{notoken.Reason(final), err}
	}
	return err
}

// refusal is an error of the SDK's that no further try mends, such as that of a credential
// without a token.
type refusal interface {
	error
	NonRetriable()
}

// codeForm is that of the service's codes; other servers may answer anything.
var codeForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]{1,80}$`) })

// status gives the status of an answer, 0 when err is none.
func status(err error) int {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.StatusCode
	}
	return 0
}

// noContainer tells whether an answer of 404 is about the container.
func noContainer(err error) bool {
	return bloberror.HasCode(err, bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled)
}

// explain gives an error its class, and says what it is about and what to do.
func (s *Store) explain(ctx context.Context, op, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case azml.ClassOf(err) != nil:
		return fmt.Errorf("%s %q: %w", op, key, err)
	case ctx.Err() != nil:
		return fmt.Errorf("%s %q: %w", op, key, context.Cause(ctx))
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s %q: %w", op, key, failure(err))
	}
	v := s.judge(err)
	if v.class == azml.ErrDenied { //nolint:errorlint // a class itself
		v.advice = cmp.Or(s.credential.outdated(time.Now()), v.advice)
	}
	if from := s.credential.from; from != "" && v.class == azml.ErrDenied { //nolint:errorlint // a class itself
		v.advice += " (the credential is of " + from + ")"
	}
	return fmt.Errorf("%w: %s %q: %w%s", v.class, op, key, failure(err), v.advice)
}

// judge gives the class of an error, and what to do about it.
func (s *Store) judge(err error) verdict {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return s.unanswered(err)
	}
	if known, ok := codes[bloberror.Code(answer.ErrorCode)]; ok {
		return verdict{known.class, strings.ReplaceAll(known.advice, "CONTAINER", s.place)}
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return verdict{azml.ErrNotFound, ""}
	case http.StatusPreconditionFailed, http.StatusConflict:
		return verdict{azml.ErrConflict, ""}
	case http.StatusUnauthorized, http.StatusForbidden:
		return verdict{azml.ErrDenied, s.denied(answer)}
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return verdict{azml.ErrUnavailable, ""}
	}
	if answer.StatusCode >= http.StatusInternalServerError {
		return verdict{azml.ErrUnavailable, ""}
	}
	return verdict{azml.ErrUnsupported, ": is " + s.place + " a container of Azure Blob Storage?"}
}

// verdict is what an error means for us.
type verdict struct {
	class  error
	advice string // what to do about it
}

// codes are the codes that mean something else than their status says, or that
// there is something to do about.
var codes = map[bloberror.Code]verdict{
	bloberror.ContainerNotFound:     {azml.ErrUnavailable, ": there is no container CONTAINER: create it, or look at the URL"},
	bloberror.ContainerBeingDeleted: {azml.ErrUnavailable, ": the container CONTAINER is being deleted"},
	bloberror.ContainerDisabled:     {azml.ErrDenied, ": the container CONTAINER is disabled: ask its administrator"},
	bloberror.AccountIsDisabled:     {azml.ErrDenied, ": the storage account is disabled: ask its administrator"},
	bloberror.AccountBeingCreated:   {azml.ErrUnavailable, ": the storage account is being created: try again later"},

	bloberror.AuthorizationPermissionMismatch: {azml.ErrDenied, ": ask for the role \"Storage Blob Data Contributor\" on CONTAINER, or for a shared access signature with the permissions racwdl"},
	bloberror.InsufficientAccountPermissions:  {azml.ErrDenied, ": ask for a shared access signature with the permissions racwdl"},
	bloberror.AuthorizationFailure:            {azml.ErrDenied, ": the credential is not of this storage account, has expired or may not do this on CONTAINER, or the account's firewall does not let this machine in: look at the credential, ask for the role \"Storage Blob Data Contributor\", or add the machine's address"},
	bloberror.AuthorizationSourceIPMismatch:   {azml.ErrDenied, ": the shared access signature is not for this machine's address"},
	bloberror.AuthorizationProtocolMismatch:   {azml.ErrDenied, ": the shared access signature is for https alone"},
	bloberror.InvalidAuthenticationInfo:       {azml.ErrDenied, signIn},
	bloberror.NoAuthenticationInformation:     {azml.ErrDenied, signIn},
	"PublicAccessNotPermitted":                {azml.ErrDenied, signIn},
	"KeyBasedAuthenticationNotPermitted":      {azml.ErrDenied, ": the storage account takes no account keys: use a token (az login) instead"},

	bloberror.LeaseIDMissing:           {azml.ErrDenied, ": somebody holds a lease on it: break the lease"},
	bloberror.SnapshotsPresent:         {azml.ErrDenied, ": it has snapshots, which would go with it: delete them first"},
	bloberror.BlobImmutableDueToPolicy: {azml.ErrDenied, ": a policy of the container forbids changes: use a container without one"},
	bloberror.BlobArchived:             {azml.ErrUnsupported, ": it was moved to the archive tier: rehydrate it"},
	bloberror.BlobBeingRehydrated:      {azml.ErrUnavailable, ": it is being brought back from the archive tier: try again in some hours"},

	bloberror.InvalidBlobType:           {azml.ErrUnsupported, ": only what Append made can be appended to, and what Append made can't be replaced by a large object"},
	bloberror.BlockCountExceedsLimit:    {azml.ErrUnsupported, ": it was appended to 50,000 times, which is all that the service takes: go on in another object"},
	bloberror.RequestBodyTooLarge:       {azml.ErrInvalid, ": it is too large for the service"},
	bloberror.MD5Mismatch:               {azml.ErrUnavailable, ": the bytes were changed on their way"},
	bloberror.CRC64Mismatch:             {azml.ErrUnavailable, ": the bytes were changed on their way"},
	bloberror.InvalidBlockList:          {azml.ErrConflict, ": others write the same object all the time"},
	bloberror.InvalidHeaderValue:        {azml.ErrUnsupported, ": the server does not know this version of the service's interface: use a newer one (Azurite: with --skipApiVersionCheck)"},
	bloberror.FeatureVersionMismatch:    {azml.ErrUnsupported, ""},
	bloberror.UnsupportedHeader:         {azml.ErrUnsupported, ""},
	bloberror.UnsupportedQueryParameter: {azml.ErrUnsupported, ""},
	bloberror.OutOfRangeInput:           {azml.ErrInvalid, ": Azure does not take such a name"},
	bloberror.InvalidResourceName:       {azml.ErrInvalid, ": " + containerNames + ": look at the URL"},
}

const signIn = ": sign in (az login), or give an account key, a connection string or a shared access signature"

// denied says what to do about an answer of 403, by what the service says of it.
func (s *Store) denied(answer *azcore.ResponseError) string {
	text := answer.Error()
	switch {
	case strings.Contains(text, "Request date header too old"):
		return ": this machine's clock is wrong by more than 15 minutes: set it"
	case strings.Contains(text, "not valid in the specified time frame"), strings.Contains(text, "Signature not valid"):
		return ": the shared access signature has expired, or is not valid yet, or this machine's clock is wrong: get a new one"
	case strings.Contains(text, "Signature did not match"):
		return ": the shared access signature is not of this account or container, or is not whole: get a new one"
	}
	return ": the key, the token or the shared access signature is not one of the account of " + s.place + ", or has expired; or this machine's clock is wrong"
}

// unanswered is judge for an error that is no answer of the service.
func (s *Store) unanswered(err error) verdict {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return verdict{azml.ErrDenied, ": the server's certificate is not trusted: is the URL right, and is a proxy between here and Azure? (SSL_CERT_FILE names more authorities)"}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return verdict{azml.ErrUnavailable, ": there is no such storage account, or no network: look at " + s.place}
	}
	if final, ok := errors.AsType[refusal](err); ok {
		return verdict{azml.ErrDenied, ": no token could be had: sign in (az login), or look at the credential" + unencrypted(final)}
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return verdict{azml.ErrUnavailable, ": no connection to " + s.place + ": look at the URL, at the network, and whether a proxy is needed (HTTPS_PROXY)"}
	}
	return verdict{azml.ErrUnavailable, ""}
}

// unencrypted explains the SDK's refusal to send tokens in the open.
func unencrypted(err error) string {
	if strings.Contains(err.Error(), "TLS") {
		return "; tokens are sent by https alone"
	}
	return ""
}
