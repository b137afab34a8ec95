package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/token"
)

// caller is who has sent a request.
type caller struct {
	// name is who it is to the audit log, empty for who opened the workspace.
	name string
	role token.Role
}

type callerKey struct{}

// callerOf gives the caller that the request was admitted for.
func callerOf(ctx context.Context) *caller {
	if c, ok := ctx.Value(callerKey{}).(*caller); ok {
		return c
	}
	return &caller{} // who may nothing
}

func principal(r *http.Request) string { return callerOf(r.Context()).name }

// needs is the least role for what a request does.
var needs = map[mlflow.Access]token.Role{mlflow.Read: token.RoleReader, mlflow.Write: token.RoleContributor, mlflow.Delete: token.RoleOwner}

func authorize(r *http.Request, access mlflow.Access) error {
	if role, need := callerOf(r.Context()).role, needs[access]; !role.Includes(need) {
		return fmt.Errorf("%w: the token has the role %s, and this needs the role %s", azml.ErrDenied, role, need)
	}
	return nil
}

// healthPath is answered to everybody: it tells only that the server lives.
const healthPath = "/health"

// admit finds out who sends the request, or refuses it.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, who *caller) bool {
	if r.URL.Path == healthPath {
		who.role = token.RoleReader
		return true
	}
	found, err := s.identify(r)
	switch {
	case err == nil:
		*who = found
		return true
	case errors.Is(err, azml.ErrDenied):
		w.Header()["Www-Authenticate"] = []string{`Bearer realm="azml"`, `Basic realm="azml"`}
		mlflow.Refuse(w, http.StatusUnauthorized, codeUnauthenticated, err.Error())
	default:
		s.log.WarnContext(r.Context(), "a token could not be checked", "error", err)
		mlflow.Refuse(w, http.StatusServiceUnavailable, codeUnavailable, "The token can't be checked at the moment: try again")
	}
	return false
}

var errNoToken = fmt.Errorf("%w: give a token, as MLFLOW_TRACKING_TOKEN or as the password with any user name; azml token create makes one", azml.ErrDenied)

// identify finds out who sends the request. Errors: ErrDenied, ErrUnavailable.
func (s *Server) identify(r *http.Request) (caller, error) {
	needed, err := s.TokenNeeded(r.Context())
	if err != nil {
		return caller{}, err
	}
	if !needed {
		return anonymous(r)
	}
	secret := secretOf(r)
	if secret == "" {
		return caller{}, errNoToken
	}
	if s.static != nil {
		if sum := digest(secret); subtle.ConstantTimeCompare(sum[:], s.static[:]) == 1 {
			return caller{role: token.RoleOwner}, nil
		}
	}
	t, err := s.tokens.Check(r.Context(), secret)
	if err != nil {
		return caller{}, err
	}
	return caller{t.Who(), t.Role()}, nil
}

// TokenNeeded tells whether nobody gets in without a token at the moment. Errors:
// ErrUnavailable.
func (s *Server) TokenNeeded(ctx context.Context) (bool, error) {
	switch {
	case s.opts.NoAuth:
		return false, nil
	case s.static != nil:
		return true, nil
	}
	return s.tokens.Any(ctx)
}

// anonymous is who needs no token: somebody on this machine. What a program
// mounts on an address that others reach is closed to all until there is a
// token.
func anonymous(r *http.Request) (caller, error) {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && isLocal(addr) {
		return caller{role: token.RoleOwner}, nil
	}
	return caller{}, fmt.Errorf("%w: without tokens, only clients on the machine of the server are answered; azml token create makes one", azml.ErrDenied)
}

// isLocal tells whether only this machine reaches the address.
func isLocal(addr net.Addr) bool {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		return addr.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// secretOf gives the token that a request carries, as MLflow's clients send it:
// as the bearer's or as a password.
func secretOf(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(rest)
}

const digestSize = sha256.Size

// digest makes secrets of one length, so that the time of comparing two tells
// nothing.
func digest(secret string) [digestSize]byte { return sha256.Sum256([]byte(secret)) }
