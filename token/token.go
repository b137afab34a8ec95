package token

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
)

// Role says what a token may do.
type Role string

// The roles, each of which may all that those before it may.
const (
	// RoleReader reads everything but secrets.
	RoleReader Role = "reader"
	// RoleContributor adds and changes: it creates experiments and runs, logs,
	// uploads files and registers models.
	RoleContributor Role = "contributor"
	// RoleOwner deletes, too.
	RoleOwner Role = "owner"
)

// Roles lists the roles, the one that may least first.
func Roles() []Role { return []Role{RoleReader, RoleContributor, RoleOwner} }

// Includes tells whether the role may all that other may. An unknown role may
// nothing, and nobody what takes an unknown one.
func (r Role) Includes(other Role) bool {
	have, want := slices.Index(Roles(), r), slices.Index(Roles(), other)
	return want >= 0 && have >= want
}

func (r Role) check() error {
	if slices.Contains(Roles(), r) {
		return nil
	}
	return fmt.Errorf("%w: role %q: use reader, contributor or owner", azml.ErrInvalid, r)
}

// State says whether a token lets anybody in.
type State string

// The states of a token.
const (
	// StateActive is that of a token that is taken.
	StateActive State = "active"
	// StateExpired is that of a token whose time is over.
	StateExpired State = "expired"
	// StateRevoked is that of a token that was revoked.
	StateRevoked State = "revoked"
)

// Token is an access token, without its secret. It is safe for concurrent use.
type Token struct{ record record.AccessToken }

// Details is what the workspace keeps of a token, but for the hash.
type Details struct {
	// ID is 16 hexadecimal digits. It stands in the token, too.
	ID string `json:"id"`
	// Name says what the token is for.
	Name string `json:"name"`
	// Role says what it may do.
	Role Role `json:"role"`
	// Created is when it was created.
	Created time.Time `json:"creationTime"`
	// CreatedBy is who created it, as user@host.
	CreatedBy string `json:"createdBy"`
	// Expires is from when on it is refused.
	Expires time.Time `json:"expires"`
	// Revoked is when it was revoked, zero when it was not.
	Revoked time.Time `json:"revoked,omitzero"`
	// LastUsed is when it was used; uses within an hour after that are not noted.
	// Zero for never.
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

// ID gives the token's ID.
func (t *Token) ID() string { return t.record.ID }

// Name says what the token is for.
func (t *Token) Name() string { return t.record.Name }

// Role says what the token may do.
func (t *Token) Role() Role { return Role(t.record.Role) }

// Who names the token as the author of changes and in the audit log.
func (t *Token) Who() string { return t.record.Name + "@token:" + t.record.ID }

// Details gives a copy of the record as it was read.
func (t *Token) Details() Details {
	r := t.record
	return Details{ID: r.ID, Name: r.Name, Role: Role(r.Role), Created: r.Created, CreatedBy: r.CreatedBy,
		Expires: r.Expires, Revoked: r.Revoked, LastUsed: r.LastUsed}
}

// State tells whether the token is taken at that time.
func (d Details) State(now time.Time) State {
	switch {
	case !d.Revoked.IsZero():
		return StateRevoked
	case !now.Before(d.Expires):
		return StateExpired
	}
	return StateActive
}

// key gives the key of the token's record.
func key(id string) string { return keys + id + ".json" }

// keys is the beginning of the keys of tokens.
const keys = "tokens/"

// keyID gives the ID that is in a key.
func keyID(key string) string { return strings.TrimSuffix(key[len(keys):], ".json") }
