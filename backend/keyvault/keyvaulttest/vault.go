package keyvaulttest

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
)

// Options are the options of Start.
type Options struct {
	// SettleTime is how long the vault is at work with a secret that was deleted
	// or recovered. Meanwhile it answers that it is. Not at all when zero.
	SettleTime time.Duration
	// PurgeProtection refuses purging, whatever the permissions say.
	PurgeProtection bool
	// Permissions are what the credential may do; all when nil.
	Permissions []Permission
	// Wrap, when not nil, gives the handler that is served instead of the
	// vault's own, which it gets: for faults of the network, for instance.
	Wrap func(vault http.Handler) http.Handler
}

// Permission is what a caller may do with secrets, by the names that access
// policies of vaults have.
type Permission string

// The permissions.
const (
	// PermissionGet lets read values.
	PermissionGet Permission = "get"
	// PermissionList lets list names.
	PermissionList Permission = "list"
	// PermissionSet lets write values and change attributes.
	PermissionSet Permission = "set"
	// PermissionDelete lets delete.
	PermissionDelete Permission = "delete"
	// PermissionRecover lets recover what was deleted.
	PermissionRecover Permission = "recover"
	// PermissionPurge lets remove for good what was deleted.
	PermissionPurge Permission = "purge"
)

const (
	// host is the vault's name, and domain that of the service that it belongs
	// to. ClientOptions leads there.
	host, domain = "vault.example.com", "example.com"
	tenant       = "f1f7e5a8-5d5a-4a8e-9f0e-3f2d1c0b9a87"
)

// Vault is a running vault. It is safe for concurrent use.
type Vault struct {
	server *httptest.Server
	token  string
	opts   Options
	sdk    *fake.ServerTransport

	mu       sync.Mutex
	secrets  map[string]*secret // by lower-case name, deleted ones too
	requests map[string]int
	throttle int
	after    time.Duration
}

// Start starts an empty vault on a free port of 127.0.0.1. Close it. It panics
// when there is no port, as httptest does.
func Start(opts *Options) *Vault {
	if opts == nil {
		opts = &Options{}
	}
	v := &Vault{token: rand.Text(), opts: *opts, secrets: map[string]*secret{}, requests: map[string]int{}}
	v.sdk = fake.NewServerTransport(v.methods())
	var handler http.Handler = v
	if opts.Wrap != nil {
		handler = opts.Wrap(v)
	}
	v.server = httptest.NewUnstartedServer(handler)
	v.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	v.server.StartTLS()
	return v
}

// Close ends the server. It waits for requests that are under way.
func (v *Vault) Close() { v.server.Close() }

// URL gives the vault's URL, which the transport of ClientOptions leads to this
// machine.
func (v *Vault) URL() string { return "https://" + host }

// LocalURL gives the vault's URL for other processes, which must trust
// CertificatePEM and not verify the resource of the challenge.
func (v *Vault) LocalURL() string { return v.server.URL }

// CertificatePEM gives the certificate of the vault, which is its own authority.
func (v *Vault) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.server.Certificate().Raw})
}

// Token gives the token that lets callers in.
func (v *Vault) Token() string { return v.token }

// Credential gives a credential that the vault accepts.
func (v *Vault) Credential() azcore.TokenCredential { return credential{v.token} }

type credential struct{ token string }

// GetToken implements azcore.TokenCredential.
func (c credential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: c.token, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// ClientOptions gives options of the SDK's client that lead to this vault and
// trust it. Retries come quickly.
func (v *Vault) ClientOptions() azsecrets.ClientOptions {
	return azsecrets.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: v.server.Client(),
		Retry:     policy.RetryOptions{MaxRetries: 8, RetryDelay: time.Millisecond, MaxRetryDelay: 5 * time.Second},
	}}
}

// Throttle makes the vault refuse the next requests, as many as times says, and
// ask for a pause in whole seconds; the last value counts.
func (v *Vault) Throttle(times int, retryAfter time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.throttle, v.after = times, retryAfter
}

// Requests gives how many requests there were since the start, by the names of
// the SDK's methods, such as "GetSecret". Requests without a good token and
// throttled ones are counted as "Unauthorized" and "Throttled".
func (v *Vault) Requests() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.requests)
}

// AddManaged adds a secret that belongs to a certificate: the vault refuses to
// change and delete such.
func (v *Vault) AddManaged(name, value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.put(name, azsecrets.SetSecretParameters{Value: &value})
	v.secrets[key(name)].managed = true
}
