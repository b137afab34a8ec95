package filesecrets

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/azml-go/azml"
)

// KeyEnv is the environment variable that KeyFromEnv reads.
const KeyEnv = "AZML_SECRETS_KEY"

// keySize is the size of keys in bytes.
const keySize = 32

// KeyFromEnv reads the key for Options.Key from the environment variable
// AZML_SECRETS_KEY, 32 bytes in base64. It gives nil, which means the key
// file, when the variable is not set or empty. Errors: ErrInvalid.
func KeyFromEnv() ([]byte, error) {
	text := os.Getenv(KeyEnv)
	if text == "" {
		return nil, nil
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%w: environment variable %s %w", azml.ErrInvalid, KeyEnv, err)
	}
	return key, nil
}

// parseKey never puts the text into its error.
func parseKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("is not a key of %d bytes in base64 (make one with: head -c %d /dev/urandom | base64)", keySize, keySize)
	}
	return key, nil
}

// keyID tells keys apart without giving anything away.
func keyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("azml secret key\n"), key...))
	return hex.EncodeToString(sum[:8])
}

// defaultKeyFile is in the user's configuration folder.
func defaultKeyFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("%w: there is no folder for the key of secrets: set %s or name a key file: %w", azml.ErrInvalid, KeyEnv, err)
	}
	return filepath.Join(dir, "azml", "secrets.key"), nil
}

// readKey reads the key file. It refuses one that others can read.
func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError("open key file", path, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fileError("look at key file", path, err)
	}
	if mode := fi.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: key file %q can be read by others (mode %04o): chmod 600 it, and change the secrets if somebody may have seen it", azml.ErrDenied, path, mode)
	}
	if !fi.Mode().IsRegular() || fi.Size() > 1024 {
		return nil, fmt.Errorf("%w: key file %q is not a file of one line", azml.ErrDamaged, path)
	}
	text := make([]byte, fi.Size())
	if _, err = f.ReadAt(text, 0); err != nil && fi.Size() > 0 {
		return nil, fileError("read key file", path, err)
	}
	key, err := parseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w: key file %q %w", azml.ErrDamaged, path, err)
	}
	return key, nil
}

// makeKey makes the key file, create-only: of processes that start at once one
// wins, and all read its key.
func makeKey(path string) ([]byte, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fileError("make folder of key file", path, err)
	}
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	temp, err := writeTemp(dir, []byte(base64.StdEncoding.EncodeToString(key)+"\n"))
	if err != nil {
		return nil, fileError("write key file", path, err)
	}
	defer os.Remove(temp)
	if err = os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fileError("make key file", path, err)
	}
	if err = syncDir(dir); err != nil {
		return nil, fileError("make key file", path, err)
	}
	return readKey(path)
}
