package filesecrets_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/filesecrets"
)

func open(t *testing.T, dir, keyFile string) *filesecrets.Store {
	t.Helper()
	s, err := filesecrets.New(dir, &filesecrets.Options{KeyFile: keyFile})
	require.NoError(t, err)
	return s
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	backendtest.Secrets(t, func(t *testing.T) backendtest.SecretsHarness {
		dir := t.TempDir()
		keyFile := filepath.Join(t.TempDir(), "new", "key")
		return backendtest.SecretsHarness{
			Secrets: open(t, dir, keyFile),
			Reopen: func() (backend.Secrets, error) {
				return filesecrets.New(dir, &filesecrets.Options{KeyFile: keyFile})
			},
		}
	})
}

func TestNothingPlain(t *testing.T) {
	t.Parallel()
	dir, keyFile := t.TempDir(), filepath.Join(t.TempDir(), "key")
	const value = "correct horse battery staple"
	require.NoError(t, open(t, dir, keyFile).Set(t.Context(), "Pass", value))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range append(files, keyFile) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotContains(t, string(data), value)
		require.NotContains(t, string(data), base64.StdEncoding.EncodeToString([]byte(value))[:30])
		fi, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), fi.Mode().Perm(), path)
	}
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, open(t, dir, filepath.Join(t.TempDir(), "key")).Set(t.Context(), "a", "hidden"))
	for name, opts := range map[string]filesecrets.Options{
		"another key":      {Key: make([]byte, 32)},
		"missing key file": {KeyFile: filepath.Join(t.TempDir(), "key")},
	} {
		s, err := filesecrets.New(dir, &opts)
		require.NoError(t, err)
		_, err = s.Get(t.Context(), "a")
		require.ErrorIs(t, err, azml.ErrDenied, name)
		require.NotContains(t, err.Error(), "hidden")
		for _, secret := range []string{"a", "b"} {
			require.ErrorIs(t, s.Set(t.Context(), secret, "other"), azml.ErrDenied, "%s must not mix keys", name)
		}
		if opts.KeyFile != "" {
			require.NoFileExists(t, opts.KeyFile, "a new key would not open the old secrets")
		}
	}
}

func TestKeyFileReadableByOthers(t *testing.T) {
	t.Parallel()
	dir, keyFile := t.TempDir(), filepath.Join(t.TempDir(), "key")
	require.NoError(t, open(t, dir, keyFile).Set(t.Context(), "a", "1"))
	require.NoError(t, os.Chmod(keyFile, 0o644))
	_, err := open(t, dir, keyFile).Get(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrDenied)
	require.ErrorContains(t, err, "chmod 600")
}

func TestDamagedKeyFile(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "short": "c2hvcnQ=", "no base64": "?", "long": strings.Repeat("x", 5000)} {
		keyFile := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(keyFile, []byte(text), 0o600))
		err := open(t, t.TempDir(), keyFile).Set(t.Context(), "a", "1")
		require.ErrorIs(t, err, azml.ErrDamaged, name)
		if text != "" {
			require.NotContains(t, err.Error(), `"`+text)
		}
	}
}

func TestOneKeyOfMany(t *testing.T) {
	t.Parallel()
	keyFile := filepath.Join(t.TempDir(), "key")
	dirs := make([]string, 8)
	var wg sync.WaitGroup
	for i := range dirs {
		dirs[i] = t.TempDir()
		s := open(t, dirs[i], keyFile)
		wg.Go(func() {
			if err := s.Set(t.Context(), "a", "1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, dir := range dirs {
		value, err := open(t, dir, keyFile).Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, "1", value)
	}
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	dir, keyFile := t.TempDir(), filepath.Join(t.TempDir(), "key")
	s := open(t, dir, keyFile)
	require.NoError(t, s.Set(t.Context(), "a", "1"))
	require.NoError(t, s.Set(t.Context(), "b", "2"))
	path := filepath.Join(dir, "secret-a.json")
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	other, err := os.ReadFile(filepath.Join(dir, "secret-b.json"))
	require.NoError(t, err)
	for name, data := range map[string]string{
		"cut":         string(good[:len(good)-10]),
		"empty":       "",
		"swapped":     string(other),
		"renamed":     strings.Replace(string(other), `"name":"b"`, `"name":"a"`, 1),
		"other case":  strings.Replace(string(good), `"name":"a"`, `"name":"A"`, 1),
		"no nonce":    strings.Replace(string(good), `"nonce"`, `"x"`, 1),
		"no sealed":   strings.Replace(string(good), `"sealed"`, `"x"`, 1),
		"old version": strings.Replace(string(good), `"version":1`, `"version":0`, 1),
	} {
		require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
		_, err = s.Get(t.Context(), "a")
		require.ErrorIs(t, err, azml.ErrDamaged, name)
	}
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(good), `"version":1`, `"version":2`, 1)), 0o600))
	_, err = s.Get(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrUnsupported)
	require.ErrorIs(t, s.Set(t.Context(), "a", "x"), azml.ErrUnsupported, "a newer format is not overwritten")
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := filesecrets.New("", nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = filesecrets.New(file, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = filesecrets.New(t.TempDir(), &filesecrets.Options{Key: []byte("short")})
	require.ErrorIs(t, err, azml.ErrInvalid)
	s := open(t, t.TempDir(), filepath.Join(t.TempDir(), "key"))
	for _, name := range []string{"", "../a", "a/b", "a_b", "é", strings.Repeat("a", 128)} {
		require.ErrorIs(t, s.Set(t.Context(), name, "x"), azml.ErrInvalid, name)
		_, err = s.Get(t.Context(), name)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.ErrorIs(t, s.Delete(t.Context(), name), azml.ErrInvalid, name)
	}
}

func TestKeyFromEnv(t *testing.T) { // not parallel: it sets the environment
	t.Setenv(filesecrets.KeyEnv, "")
	key, err := filesecrets.KeyFromEnv()
	require.NoError(t, err)
	require.Nil(t, key)
	t.Setenv(filesecrets.KeyEnv, base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))))
	key, err = filesecrets.KeyFromEnv()
	require.NoError(t, err)
	require.Len(t, key, 32)
	s, err := filesecrets.New(t.TempDir(), &filesecrets.Options{Key: key})
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "a", "1"))
	t.Setenv(filesecrets.KeyEnv, "c2hvcnQ=")
	_, err = filesecrets.KeyFromEnv()
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.NotContains(t, err.Error(), "c2hvcnQ=")
}

func TestDefaultKeyFile(t *testing.T) { // not parallel: it sets the environment
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	s, err := filesecrets.New(t.TempDir(), nil)
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "a", "1"))
	require.FileExists(t, filepath.Join(config, "azml", "secrets.key"))
}
