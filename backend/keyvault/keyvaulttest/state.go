package keyvaulttest

import (
	"maps"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

const (
	// maxValue is the greatest size of a value.
	maxValue = 25_000
	// retention is how long deleted secrets are kept.
	retention = 90
)

// secret is a secret with its versions, the newest last. Vault.mu guards it.
type secret struct {
	name     string // as first spelled
	versions []*azsecrets.Secret
	managed  bool
	deleted  time.Time // zero when it is not
	settled  time.Time // until then the vault is at work with it
}

var legalName = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)

// key is what names that differ in case only have in common.
func key(name string) string { return strings.ToLower(name) }

// refusal is an error answer of the vault.
type refusal struct {
	status               int
	code, inner, message string
}

// Error implements error.
func (r *refusal) Error() string { return r.message }

func notFound(name string) *refusal {
	return &refusal{http.StatusNotFound, "SecretNotFound", "", "A secret with (name/id) " + name + " was not found in this key vault."}
}

func conflict(inner, message string) *refusal {
	return &refusal{http.StatusConflict, "Conflict", inner, message}
}

func badParameter(message string) *refusal {
	return &refusal{http.StatusBadRequest, "BadParameter", "", message}
}

// live finds a secret that is neither deleted nor being recovered.
func (v *Vault) live(name string) (*secret, *refusal) {
	s := v.secrets[key(name)]
	if s == nil || !s.deleted.IsZero() || time.Now().Before(s.settled) {
		return nil, notFound(name)
	}
	return s, nil
}

// gone finds a secret whose deletion is over.
func (v *Vault) gone(name string) (*secret, *refusal) {
	s := v.secrets[key(name)]
	if s == nil || s.deleted.IsZero() || time.Now().Before(s.settled) {
		return nil, notFound(name)
	}
	return s, nil
}

// changeable finds what may be changed: a secret, or a name that nothing holds,
// for which it gives nil.
func (v *Vault) changeable(name string) (*secret, *refusal) {
	s := v.secrets[key(name)]
	busy := s != nil && time.Now().Before(s.settled)
	switch {
	case s == nil:
		return nil, nil
	case busy && s.deleted.IsZero():
		return nil, conflict("ObjectIsBeingRecovered", "Secret "+name+" is currently being recovered and cannot be re-created; retry later.")
	case busy:
		return nil, conflict("ObjectIsBeingDeleted", "Secret "+name+" is currently being deleted and cannot be re-created; retry later.")
	case !s.deleted.IsZero():
		return nil, conflict("ObjectIsDeletedButRecoverable", "Secret "+name+" is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.")
	case s.managed:
		return nil, &refusal{http.StatusConflict, "Conflict", "", "The secret belongs to a certificate."}
	}
	return s, nil
}

// put adds a version, and gives it.
func (v *Vault) put(name string, params azsecrets.SetSecretParameters) *azsecrets.Secret {
	s := v.secrets[key(name)]
	if s == nil {
		s = &secret{name: name}
		v.secrets[key(name)] = s
	}
	now := time.Now().UTC().Truncate(time.Second)
	id := azsecrets.ID(v.URL() + "/secrets/" + s.name + "/" + newVersion())
	version := &azsecrets.Secret{ID: &id, Value: params.Value, ContentType: params.ContentType, Tags: maps.Clone(params.Tags),
		Attributes: &azsecrets.SecretAttributes{Enabled: new(true), Created: &now, Updated: &now, RecoverableDays: new(int32(retention)), RecoveryLevel: new(v.recoveryLevel())}}
	merge(version.Attributes, params.SecretAttributes)
	s.versions = append(s.versions, version)
	return version
}

func (v *Vault) recoveryLevel() string {
	if v.opts.PurgeProtection {
		return "Recoverable"
	}
	return "Recoverable+Purgeable"
}

// merge puts the attributes that a caller may set into those of a version.
func merge(into, from *azsecrets.SecretAttributes) {
	if from == nil {
		return
	}
	if from.Enabled != nil {
		into.Enabled = from.Enabled
	}
	if from.Expires != nil {
		into.Expires = from.Expires
	}
	if from.NotBefore != nil {
		into.NotBefore = from.NotBefore
	}
}

func (s *secret) newest() *azsecrets.Secret { return s.versions[len(s.versions)-1] }

// version finds a version, the newest for "".
func (s *secret) version(version string) (*azsecrets.Secret, *refusal) {
	if version == "" {
		return s.newest(), nil
	}
	for _, found := range s.versions {
		if found.ID.Version() == version {
			return found, nil
		}
	}
	return nil, notFound(s.name + "/" + version)
}

// properties gives what lists show of a version.
func (s *secret) properties(version *azsecrets.Secret, id azsecrets.ID) *azsecrets.SecretProperties {
	p := &azsecrets.SecretProperties{ID: &id, ContentType: version.ContentType, Tags: version.Tags, Attributes: version.Attributes}
	if s.managed {
		p.Managed = new(true)
	}
	return p
}
