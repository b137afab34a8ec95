package filesecrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/azml-go/azml"
)

// version is the version of the format of files.
const version = 1

// sealedSecret is a file.
type sealedSecret struct {
	Version int    `json:"version"`
	Name    string `json:"name"` // as spelled by the first Set
	KeyID   string `json:"key_id"`
	Nonce   []byte `json:"nonce"`
	Sealed  []byte `json:"sealed"`
}

// seal encrypts the value of the secret spelled name.
func seal(key []byte, name, value string) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	sealed := gcm.Seal(nil, nonce, []byte(value), bound(name))
	data, err := json.Marshal(sealedSecret{version, name, keyID(key), nonce, sealed})
	return append(data, '\n'), err
}

// open decrypts the value.
func (s sealedSecret) open(key []byte) (string, error) {
	if s.KeyID != keyID(key) {
		return "", fmt.Errorf("%w: secret %q was written with the key %s, and this is the key %s: give the right key file or %s",
			azml.ErrDenied, s.Name, s.KeyID, keyID(key), KeyEnv)
	}
	gcm, err := newGCM(key)
	if err != nil {
		return "", err
	}
	if len(s.Nonce) != gcm.NonceSize() {
		return "", damaged(s.Name, "its nonce has the wrong length")
	}
	value, err := gcm.Open(nil, s.Nonce, s.Sealed, bound(s.Name))
	if err != nil {
		return "", damaged(s.Name, "its bytes were changed")
	}
	return string(value), nil
}

// decode reads a file of the secret with the lower-case name id.
func decode(id string, data []byte) (sealedSecret, error) {
	var s sealedSecret
	switch err := json.Unmarshal(data, &s); {
	case err != nil:
		return sealedSecret{}, damaged(id, "its file is not the JSON it should be")
	case s.Version > version:
		return sealedSecret{}, fmt.Errorf("%w: secret %q is of the newer format %d: use a newer azml", azml.ErrUnsupported, id, s.Version)
	case s.Version < 1 || strings.ToLower(s.Name) != id || checkName(s.Name) != nil:
		return sealedSecret{}, damaged(id, "its file is that of another secret")
	}
	return s, nil
}

func damaged(name, what string) error {
	return fmt.Errorf("%w: secret %q: %s: set it again", azml.ErrDamaged, name, what)
}

// bound is the data that the value is bound to.
func bound(name string) []byte {
	return []byte("azml secret 1\n" + strings.ToLower(name) + "\n" + name)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
