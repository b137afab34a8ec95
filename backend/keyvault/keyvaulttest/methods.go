package keyvaulttest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"time"

	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
)

// answer turns what a method of the vault gives into the SDK's form.
func answer[T any](status int, do func() (T, *refusal)) (ok azfake.Responder[T], failed azfake.ErrorResponder) {
	response, refused := do()
	if refused != nil {
		failed.SetError(refused)
		return ok, failed
	}
	ok.SetResponse(status, response, nil)
	return ok, failed
}

// methods gives what the vault does for each request.
func (v *Vault) methods() *fake.Server {
	return &fake.Server{
		SetSecret: func(_ context.Context, name string, params azsecrets.SetSecretParameters, _ *azsecrets.SetSecretOptions) (azfake.Responder[azsecrets.SetSecretResponse], azfake.ErrorResponder) {
			return answer(http.StatusOK, func() (azsecrets.SetSecretResponse, *refusal) { return v.set(name, params) })
		},
		GetSecret: func(_ context.Context, name, version string, _ *azsecrets.GetSecretOptions) (azfake.Responder[azsecrets.GetSecretResponse], azfake.ErrorResponder) {
			return answer(http.StatusOK, func() (azsecrets.GetSecretResponse, *refusal) { return v.get(name, version) })
		},
		UpdateSecretProperties: func(_ context.Context, name, version string, params azsecrets.UpdateSecretPropertiesParameters, _ *azsecrets.UpdateSecretPropertiesOptions) (azfake.Responder[azsecrets.UpdateSecretPropertiesResponse], azfake.ErrorResponder) {
			return answer(http.StatusOK, func() (azsecrets.UpdateSecretPropertiesResponse, *refusal) { return v.update(name, version, params) })
		},
		DeleteSecret: func(_ context.Context, name string, _ *azsecrets.DeleteSecretOptions) (azfake.Responder[azsecrets.DeleteSecretResponse], azfake.ErrorResponder) {
			return answer(http.StatusOK, func() (azsecrets.DeleteSecretResponse, *refusal) { return v.delete(name) })
		},
		GetDeletedSecret: func(_ context.Context, name string, _ *azsecrets.GetDeletedSecretOptions) (azfake.Responder[azsecrets.GetDeletedSecretResponse], azfake.ErrorResponder) {
			return answer(http.StatusOK, func() (azsecrets.GetDeletedSecretResponse, *refusal) { return v.getDeleted(name) })
		},
		RecoverDeletedSecret: func(_ context.Context, name string, _ *azsecrets.RecoverDeletedSecretOptions) (azfake.Responder[azsecrets.RecoverDeletedSecretResponse], azfake.ErrorResponder) {
			return answer(http.StatusOK, func() (azsecrets.RecoverDeletedSecretResponse, *refusal) { return v.recover(name) })
		},
		PurgeDeletedSecret: func(_ context.Context, name string, _ *azsecrets.PurgeDeletedSecretOptions) (azfake.Responder[azsecrets.PurgeDeletedSecretResponse], azfake.ErrorResponder) {
			return answer(http.StatusNoContent, func() (azsecrets.PurgeDeletedSecretResponse, *refusal) { return v.purge(name) })
		},
	}
}

func (v *Vault) set(name string, params azsecrets.SetSecretParameters) (r azsecrets.SetSecretResponse, _ *refusal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case params.Value == nil || *params.Value == "":
		return r, badParameter("The property \"value\" is missing or empty.")
	case len(*params.Value) > maxValue:
		return r, badParameter("The property \"value\" has invalid length.")
	}
	if _, refused := v.changeable(name); refused != nil {
		return r, refused
	}
	r.Secret = *v.put(name, params)
	return r, nil
}

func (v *Vault) get(name, version string) (r azsecrets.GetSecretResponse, _ *refusal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, refused := v.live(name)
	if refused != nil {
		return r, refused
	}
	found, refused := s.version(version)
	if refused != nil {
		return r, refused
	}
	if !*found.Attributes.Enabled {
		return r, &refusal{http.StatusForbidden, "Forbidden", "SecretDisabled", "Operation get is not allowed on a disabled secret."}
	}
	r.Secret = *found
	return r, nil
}

func (v *Vault) update(name, version string, params azsecrets.UpdateSecretPropertiesParameters) (r azsecrets.UpdateSecretPropertiesResponse, _ *refusal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, refused := v.changeable(name)
	if s == nil || refused != nil {
		return r, notFound(name)
	}
	found, refused := s.version(version)
	if refused != nil {
		return r, refused
	}
	// Answers that are being written share what was there before.
	changed, attributes := *found, *found.Attributes
	merge(&attributes, params.SecretAttributes)
	attributes.Updated = new(time.Now().UTC().Truncate(time.Second))
	changed.Attributes = &attributes
	if params.ContentType != nil {
		changed.ContentType = params.ContentType
	}
	if params.Tags != nil {
		changed.Tags = params.Tags
	}
	*found = changed
	r.Secret = changed
	r.Value = nil
	return r, nil
}

func (v *Vault) delete(name string) (r azsecrets.DeleteSecretResponse, _ *refusal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, refused := v.changeable(name)
	switch {
	case refused != nil && refused.inner == "ObjectIsDeletedButRecoverable", s == nil && refused == nil:
		return r, notFound(name)
	case refused != nil:
		return r, refused
	}
	s.deleted = time.Now()
	s.settled = s.deleted.Add(v.opts.SettleTime)
	r.DeletedSecret = v.tombstone(s)
	return r, nil
}

// tombstone describes a deleted secret.
func (v *Vault) tombstone(s *secret) azsecrets.DeletedSecret {
	newest := s.newest()
	deleted := s.deleted.UTC().Truncate(time.Second)
	return azsecrets.DeletedSecret{ID: newest.ID, ContentType: newest.ContentType, Tags: newest.Tags, Attributes: newest.Attributes,
		RecoveryID: new(v.URL() + "/deletedsecrets/" + s.name), DeletedDate: &deleted, ScheduledPurgeDate: new(deleted.AddDate(0, 0, retention))}
}

func (v *Vault) getDeleted(name string) (r azsecrets.GetDeletedSecretResponse, _ *refusal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, refused := v.gone(name)
	if refused != nil {
		return r, refused
	}
	r.DeletedSecret = v.tombstone(s)
	return r, nil
}

func (v *Vault) recover(name string) (r azsecrets.RecoverDeletedSecretResponse, _ *refusal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, refused := v.gone(name)
	if refused != nil {
		return r, refused
	}
	s.deleted, s.settled = time.Time{}, time.Now().Add(v.opts.SettleTime)
	r.Secret = *s.newest()
	r.Value = nil
	return r, nil
}

func (v *Vault) purge(name string) (r azsecrets.PurgeDeletedSecretResponse, _ *refusal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, refused := v.gone(name); refused != nil {
		return r, refused
	}
	if v.opts.PurgeProtection {
		return r, &refusal{http.StatusForbidden, "Forbidden", "ForbiddenByPolicy", "Operation \"purge\" is not allowed because purge protection is enabled for this vault."}
	}
	delete(v.secrets, key(name))
	return r, nil
}

func newVersion() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
