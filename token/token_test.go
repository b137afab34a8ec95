package token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	made, secret, err := one.Create(t.Context(), "ci", RoleContributor, nil)
	require.NoError(t, err)
	require.Regexp(t, regexp.MustCompile(`^azml_[0-9a-f]{16}_[a-z2-7]{52}$`), string(secret))
	require.Equal(t, "REDACTED REDACTED REDACTED", fmt.Sprintf("%v %s %#v", secret, secret, secret))
	d := made.Details()
	require.Equal(t, RoleContributor, d.Role)
	require.Equal(t, d.Created.Add(DefaultLife), d.Expires)
	require.Equal(t, StateActive, d.State(d.Expires.Add(-1)))
	require.Equal(t, StateExpired, d.State(d.Expires))
	require.Equal(t, "ci@token:"+made.ID(), made.Who())

	data, _, err := one.h.Read(t.Context(), "tokens/"+made.ID()+".json")
	require.NoError(t, err)
	require.False(t, bytes.Contains(data, []byte(strings.Split(string(secret), "_")[2])), "the secret is not stored")

	found, err := one.Check(t.Context(), string(secret))
	require.NoError(t, err)
	require.Equal(t, made.ID(), found.ID())
	require.Equal(t, "ci", found.Name())
	require.Equal(t, RoleContributor, found.Role())
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	for name, tt := range map[string]struct {
		name string
		role Role
		life time.Duration
	}{
		"no name":       {"", RoleReader, 0},
		"odd name":      {"a b", RoleReader, 0},
		"at":            {"a@token:0123456789abcdef", RoleReader, 0},
		"long name":     {strings.Repeat("a", 65), RoleReader, 0},
		"no role":       {"a", "", 0},
		"other role":    {"a", "admin", 0},
		"negative life": {"a", RoleReader, -time.Second},
	} {
		_, secret, err := one.Create(t.Context(), tt.name, tt.role, &CreateOptions{Life: tt.life})
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.Empty(t, secret, name)
	}
	any, err := one.Any(t.Context())
	require.NoError(t, err)
	require.False(t, any)
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	made, secret := one.create(t, "ci", RoleOwner)
	other, _ := one.create(t, "other", RoleOwner)
	stranger := newSecret("0123456789abcdef")
	for name, wrong := range map[string]string{
		"nothing":                 "",
		"prefix only":             "azml_",
		"cut off":                 secret[:len(secret)-1],
		"longer":                  secret + "a",
		"in capitals":             strings.ToUpper(secret),
		"with a space":            secret + " ",
		"one digit changed":       secret[:40] + string(flip(secret[40])) + secret[41:],
		"another secret":          string(newSecret(made.ID())),
		"an ID that is not there": string(stranger),
		"secret of another ID":    strings.Replace(secret, made.ID(), other.ID(), 1),
		"the hash":                hash(secret),
		"a path":                  "azml_../../workspace_" + strings.Split(secret, "_")[2],
		"much":                    strings.Repeat("azml_", 1<<16),
		"no UTF-8":                "azml_\xff\xfe",
		"a secret in another one": secret + secret,
		"of the right length":     strings.Repeat("a", len(secret)),
	} {
		found, err := one.Check(t.Context(), wrong)
		require.ErrorIs(t, err, azml.ErrDenied, name)
		require.Nil(t, found, name)
		require.EqualError(t, errors.Unwrap(err.(*azml.Error).Cause), azml.ErrDenied.Error(), name)
		require.NotContains(t, err.Error(), made.ID(), name)
	}
}

func flip(b byte) byte {
	if b == 'a' {
		return 'b'
	}
	return 'a'
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	_, secret, err := one.Create(t.Context(), "short", RoleReader, &CreateOptions{Life: time.Minute})
	require.NoError(t, err)
	one.advance(time.Minute - 1)
	_, err = one.Check(t.Context(), string(secret))
	require.NoError(t, err)
	one.advance(1)
	_, err = one.Check(t.Context(), string(secret))
	require.ErrorIs(t, err, azml.ErrDenied)
	require.Contains(t, err.Error(), "expired at 20")
	any, err := one.Any(t.Context())
	require.NoError(t, err)
	require.True(t, any, "a workspace whose tokens have expired is not open again")
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	one, other := setup(t)
	made, secret := one.create(t, "ci", RoleReader)
	_, kept := one.create(t, "kept", RoleReader)
	for _, p := range []*process{one, other} {
		_, err := p.Check(ctx, secret)
		require.NoError(t, err)
	}
	revoked, err := one.Revoke(ctx, made.ID(), nil)
	require.NoError(t, err)
	require.Equal(t, StateRevoked, revoked.Details().State(one.h.Now()))
	_, err = one.Check(ctx, secret)
	require.ErrorIs(t, err, azml.ErrDenied, "at once in the process that revoked it")
	require.Contains(t, err.Error(), "was revoked")
	other.advance(maxAge)
	_, err = other.Check(ctx, secret)
	require.ErrorIs(t, err, azml.ErrDenied, "after a second in others")
	_, err = other.Check(ctx, kept)
	require.NoError(t, err)

	again, err := other.Revoke(ctx, made.ID(), nil)
	require.NoError(t, err)
	require.Equal(t, revoked.Details().Revoked, again.Details().Revoked)
	_, err = one.Revoke(ctx, "0123456789abcdef", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	for _, id := range []string{"", "../workspace", "ci", secret} {
		_, err = one.Revoke(ctx, id, nil)
		require.ErrorIs(t, err, azml.ErrInvalid, id)
	}
}

// Whoever begins a check after Revoke has returned is refused, whatever readings
// of the store were under way meanwhile.
func TestRevokedWhileOthersCheck(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	for range 50 {
		made, secret := one.create(t, "ci", RoleReader)
		ctx, stop := context.WithCancel(t.Context())
		var checking sync.WaitGroup
		for range 4 {
			checking.Go(func() {
				for ctx.Err() == nil {
					_, _ = one.Check(ctx, secret)
					one.forget()
				}
			})
		}
		_, err := one.Revoke(t.Context(), made.ID(), nil)
		require.NoError(t, err)
		for range 20 {
			_, err = one.Check(t.Context(), secret)
			require.ErrorIs(t, err, azml.ErrDenied)
		}
		stop()
		checking.Wait()
	}
}

func TestChecksCostTheStoreLittle(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	_, secret := one.create(t, "ci", RoleReader)
	one.create(t, "other", RoleReader)
	_, err := one.Check(t.Context(), secret)
	require.NoError(t, err)
	one.advance(maxAge)
	_, err = one.Check(t.Context(), secret) // what was written about the first use is read
	require.NoError(t, err)
	before := one.objects.Counts()
	for i := range 3000 {
		if i%1000 == 0 {
			one.advance(maxAge)
		}
		_, err := one.Check(t.Context(), secret)
		require.NoError(t, err)
		_, err = one.Check(t.Context(), string(newSecret("0123456789abcdef")))
		require.ErrorIs(t, err, azml.ErrDenied)
		_, err = one.Check(t.Context(), "rubbish")
		require.ErrorIs(t, err, azml.ErrDenied)
	}
	after := one.objects.Counts()
	require.Equal(t, before.List+3, after.List, "one request a second")
	require.Equal(t, before.Get, after.Get, "tokens that have not changed are not read again")
	require.Equal(t, before.Writes, after.Writes)
}

func TestLastUse(t *testing.T) {
	t.Parallel()
	one, other := setup(t)
	made, secret := one.create(t, "ci", RoleReader)
	lastUsed := func() time.Time {
		for found, err := range other.List(t.Context(), nil) {
			require.NoError(t, err)
			return found.Details().LastUsed
		}
		return time.Time{}
	}
	require.True(t, lastUsed().IsZero())
	first := one.h.Now()
	for range 100 {
		_, err := one.Check(t.Context(), secret)
		require.NoError(t, err)
		one.advance(time.Second)
	}
	require.True(t, lastUsed().Equal(first))
	one.advance(useGrain)
	second := one.h.Now()
	writes := one.objects.Counts().Writes + other.objects.Counts().Writes
	for range 10 {
		for _, p := range []*process{one, other} {
			_, err := p.Check(t.Context(), secret)
			require.NoError(t, err)
		}
	}
	require.True(t, lastUsed().Equal(second))
	require.Equal(t, writes+1, one.objects.Counts().Writes+other.objects.Counts().Writes, "two processes note it once")
	_, err := one.Revoke(t.Context(), made.ID(), nil)
	require.NoError(t, err)
}

// A store that can't be asked lets nobody in for longer than what is known holds.
func TestStoreOut(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	_, secret := one.create(t, "ci", RoleReader)
	_, err := one.Check(t.Context(), secret)
	require.NoError(t, err)
	one.objects.Stop()
	_, err = one.Check(t.Context(), secret)
	require.NoError(t, err)
	one.advance(maxAge)
	for range 3 {
		_, err = one.Check(t.Context(), secret)
		require.ErrorIs(t, err, azml.ErrClosed)
		require.NotErrorIs(t, err, azml.ErrDenied)
		_, err = one.Any(t.Context())
		require.ErrorIs(t, err, azml.ErrClosed)
	}
}

// Who waits for another's question to the store can give up.
func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	ring, err := one.keyring()
	require.NoError(t, err)
	ring.asking <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = one.Any(ctx)
	require.ErrorIs(t, err, context.Canceled)
	<-ring.asking
	_, err = one.Any(t.Context())
	require.NoError(t, err)
}

func TestDamagedTokenKeepsNobodyElseOut(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	bad, lost := one.create(t, "bad", RoleOwner)
	_, kept := one.create(t, "kept", RoleReader)
	_, err := one.objects.Put(t.Context(), key(bad.ID()), bytes.NewReader([]byte(`{"schema":"azml.access-token/1","role":"owner"}`)), &backend.PutOptions{})
	require.NoError(t, err)
	one.forget()
	_, err = one.Check(t.Context(), kept)
	require.NoError(t, err)
	_, err = one.Check(t.Context(), lost)
	require.ErrorIs(t, err, azml.ErrDenied)
	any, err := one.Any(t.Context())
	require.NoError(t, err)
	require.True(t, any)
}

func TestList(t *testing.T) {
	t.Parallel()
	one, other := setup(t)
	for _, name := range []string{"a", "b", "a"} {
		one.create(t, name, RoleReader)
	}
	count := func(opts *ListOptions) (n int) {
		last := ""
		for found, err := range other.List(t.Context(), opts) {
			require.NoError(t, err)
			require.Greater(t, found.ID(), last)
			last = found.ID()
			n++
		}
		return n
	}
	require.Equal(t, 3, count(nil))
	require.Equal(t, 2, count(&ListOptions{Name: "a"}))
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for i, have := range Roles() {
		for j, want := range Roles() {
			require.Equal(t, i >= j, have.Includes(want), "%s %s", have, want)
		}
		require.False(t, have.Includes("admin"))
		require.False(t, Role("admin").Includes(have))
		require.False(t, Role("").Includes(have))
	}
	require.False(t, Role("").Includes(""))
}

// FuzzSecret checks anything as a token: nothing but a token is one.
func FuzzSecret(f *testing.F) {
	clock := &atomic.Int64{}
	one := open(f, memory.NewObjects(), clock)
	_, secret, err := one.Create(f.Context(), "ci", RoleReader, nil)
	require.NoError(f, err)
	for _, seed := range []string{"", "azml_", "azml_0123456789abcdef_", string(newSecret("0123456789abcdef")), string(secret), string(secret) + "\n",
		strings.ToUpper(string(secret)), strings.Repeat("x", secretLen), strings.Repeat("\xff", secretLen)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := one.Check(t.Context(), text)
		if text == string(secret) {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, azml.ErrDenied)
		require.Nil(t, found)
	})
}
