package endpoint

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// keyring holds what is accepted now. It is safe for concurrent use.
type keyring struct{ now atomic.Pointer[accepted] }

// accepted is what a process lets in.
type accepted struct {
	auth     string
	version  int
	endpoint string
	keys     []string
	hashes   []uint64 // of keys, by keySeed
	clock    func() time.Time
}

// load reads the keys.
func (k *keyring) load(ctx context.Context, h core.Handle, r *record.Endpoint) error {
	a := &accepted{auth: r.Auth, version: r.KeyVersion, endpoint: r.Name, clock: h.Now}
	if r.Auth == record.AuthNone {
		k.now.Store(a)
		return nil
	}
	for _, which := range []Key{PrimaryKey, SecondaryKey} {
		value, err := h.Secrets().Get(ctx, secretName(r, which))
		if err != nil {
			return fmt.Errorf("read the %s key: %w", which, err)
		}
		if value != "" {
			a.keys = append(a.keys, value)
			a.hashes = append(a.hashes, maphash.String(keySeed, value))
		}
	}
	k.now.Store(a)
	return nil
}

// outdated tells whether the endpoint's keys or kind of authentication are
// others now.
func (k *keyring) outdated(r *record.Endpoint) bool {
	a := k.now.Load()
	return a.auth != r.Auth || a.version != r.KeyVersion
}

// open says that nothing is asked for.
func (k *keyring) open() bool { return k.now.Load().auth == record.AuthNone }

// keySeed makes hashes that nobody outside of this process knows.
var keySeed = maphash.MakeSeed()

// authorize tells whether what the client sent lets it in. The time tells nothing of the
// keys, nor how long they are: a wrong key has another hash, by a seed that is drawn for
// this process, and only what has the same one is compared, by all its bytes.
func (k *keyring) authorize(sent string) bool {
	a := k.now.Load()
	if a.auth == record.AuthToken {
		return a.token(sent)
	}
	given := maphash.String(keySeed, sent)
	for i, key := range a.keys {
		if a.hashes[i] == given && subtle.ConstantTimeCompare([]byte(sent), []byte(key)) == 1 {
			return true
		}
	}
	return false
}

// A token is "aet_<seconds since 1970 at which it ends>_<HMAC-SHA-256 of that
// and the endpoint's name by one of the keys, in hexadecimal>". So it needs no
// record, any process can check it with the keys that it has anyway, and it ends
// when it says, or when its key is replaced.
const tokenPrefix = "aet_"

func sign(key, endpoint string, until int64) string {
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = fmt.Fprintf(mac, "azml endpoint token 1\n%s\n%d", endpoint, until) // it never fails
	return fmt.Sprintf("%s%d_%s", tokenPrefix, until, hex.EncodeToString(mac.Sum(nil)))
}

// token tells whether the token is good now.
func (a *accepted) token(sent string) bool {
	rest, ok := strings.CutPrefix(sent, tokenPrefix)
	text, _, cut := strings.Cut(rest, "_")
	until, err := strconv.ParseInt(text, 10, 64)
	if !ok || !cut || err != nil || !a.clock().Before(time.Unix(until, 0)) {
		return false
	}
	found := 0
	for _, key := range a.keys {
		found |= subtle.ConstantTimeCompare([]byte(sent), []byte(sign(key, a.endpoint, until)))
	}
	return found == 1
}

// AccessToken lets a client use an endpoint for a time. It is shown as "REDACTED"
// wherever it is printed whole.
type AccessToken struct {
	// Token is sent as "Authorization: Bearer <token>".
	Token string
	// RefreshAfter is when another one should be asked for.
	RefreshAfter time.Time
	// ExpiryOn is when it ends.
	ExpiryOn time.Time
}

// String gives "REDACTED".
func (AccessToken) String() string { return "REDACTED" }

// GoString gives "REDACTED".
func (AccessToken) GoString() string { return "REDACTED" }

// The life of tokens.
const (
	tokenLife     = 12 * time.Hour
	longestToken  = 90 * 24 * time.Hour
	refreshBefore = 5 // the last fifth of its life
)

// TokenOptions are the options of Endpoint.Token.
type TokenOptions struct {
	// Life is how long it is good, 12 hours when zero, 90 days at most.
	Life time.Duration
}

// Token makes a token for an endpoint with AuthToken. Whoever may read the
// endpoint's keys can; replacing the primary key ends all of them. Errors: ErrInvalid, also
// when the endpoint does not take tokens; ErrNotFound.
func (e *Endpoint) Token(ctx context.Context, opts *TokenOptions) (_ AccessToken, err error) {
	defer e.h.Operation(&ctx, &err, "make token for", kind, e.Name())()
	life := tokenLife
	if opts != nil && opts.Life != 0 {
		life = opts.Life
	}
	if life < time.Second || life > longestToken {
		return AccessToken{}, fmt.Errorf("%w: a token for %s: use 1 s to 90 days", azml.ErrInvalid, life)
	}
	if r := e.record(); r.Auth != record.AuthToken {
		return AccessToken{}, fmt.Errorf("%w: it takes no tokens; its authentication is %q", azml.ErrInvalid, r.Auth)
	}
	keys, err := e.Keys(ctx)
	if err != nil {
		return AccessToken{}, err
	}
	now := e.h.Now()
	until := now.Add(life).Truncate(time.Second)
	return AccessToken{Token: sign(keys.Primary, e.Name(), until.Unix()), RefreshAfter: until.Add(-life / refreshBefore), ExpiryOn: until}, nil
}
