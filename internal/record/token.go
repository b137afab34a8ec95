package record

import "time"

// AccessToken is the record of a token that lets a client of a server in, at
// "tokens/<id>.json". It stays for a while when the token was revoked or has
// expired, so that it can be asked about; the last one stays for ever: a workspace
// that once had tokens never answers without one again.
type AccessToken struct {
	Meta
	// ID is 16 random hexadecimal digits, a part of the token.
	ID string `json:"id"`
	// Name says what the token is for; several may have the same.
	Name string `json:"name"`
	// Role is "reader", "contributor" or "owner".
	Role string `json:"role"`
	// Hash is the SHA-256 of the token, in hexadecimal.
	Hash string `json:"hash"`
	// Expires is from when on it is refused.
	Expires time.Time `json:"expires"`
	// Revoked is when it was revoked, zero when it was not.
	Revoked time.Time `json:"revoked,omitzero"`
	// LastUsed is when it was used; uses within an hour after that are not noted.
	// Zero for never.
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

// Schema implements Record.
func (*AccessToken) Schema() string { return "azml.access-token/1" }
