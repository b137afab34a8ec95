package filesecrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Store is a secret store in a folder. It is safe for concurrent use, and any
// number of stores in any number of processes may share a folder. It starts
// no goroutines and needs no closing.
type Store struct {
	dir     string
	keyFile string

	mu  sync.Mutex
	key []byte // nil until it is needed
}

// Options are the options of New.
type Options struct {
	// Key is the key, 32 bytes, instead of one in a file; see KeyFromEnv.
	Key []byte
	// KeyFile is the path of the key file, which is made on first use, with
	// its folder. Default: azml/secrets.key in the user's configuration
	// folder. It is not used when Key is set.
	KeyFile string
}

var _ backend.Secrets = (*Store)(nil)

// New opens the store in the folder dir, which is made (with mode 0700) when
// it is not there. The key file is read, and made if needed, when the first
// value is. Errors: ErrInvalid, ErrDenied, ErrUnavailable.
func New(dir string, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if dir == "" {
		return nil, fmt.Errorf("%w: the folder of the secrets has no name", azml.ErrInvalid)
	}
	if opts.Key != nil && len(opts.Key) != keySize {
		return nil, fmt.Errorf("%w: the key of the secrets has %d bytes, not %d", azml.ErrInvalid, len(opts.Key), keySize)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fileError("open folder of secrets", dir, err)
	}
	sweep(dir)
	return &Store{dir: dir, keyFile: opts.KeyFile, key: bytes.Clone(opts.Key)}, nil
}

// Set stores the value; the name keeps its first spelling. Errors: ErrInvalid
// for an illegal name, ErrDenied when the secrets in the folder were written
// with another key, ErrDamaged, ErrUnavailable.
func (s *Store) Set(ctx context.Context, name, value string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		key, err := s.keyFor()
		if err != nil {
			return err
		}
		switch old, err := s.load(strings.ToLower(name)); {
		case err == nil:
			name = old.Name
		case errors.Is(err, azml.ErrDamaged), errors.Is(err, azml.ErrNotFound):
		default:
			return err
		}
		data, err := seal(key, name, value)
		if err != nil {
			return fmt.Errorf("%w: secret %q: %w", azml.ErrInvalid, name, err)
		}
		path := s.path(strings.ToLower(name))
		if err = replaceFile(path, data); err != nil {
			return fileError("write secret", path, err)
		}
		return nil
	})
}

// Get gives the value. Errors: ErrNotFound, ErrDenied for a wrong key,
// ErrDamaged, ErrUnavailable.
func (s *Store) Get(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("get secret %q: %w", name, err)
	}
	if err := checkName(name); err != nil {
		return "", err
	}
	sealed, err := s.load(strings.ToLower(name))
	if err != nil {
		return "", err
	}
	key, err := s.existingKey()
	if err != nil {
		return "", err
	}
	return sealed.open(key)
}

// List yields the names, sorted by their lower-case form. It needs no key and
// reads every file. Errors: ErrDamaged, ErrUnavailable.
func (s *Store) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ids, err := s.ids()
		for i := 0; err == nil; i++ {
			if err = ctx.Err(); err != nil {
				err = fmt.Errorf("list secrets: %w", err)
				break
			}
			if i == len(ids) {
				return
			}
			sealed, loadErr := s.load(ids[i])
			if errors.Is(loadErr, azml.ErrNotFound) {
				continue // deleted meanwhile
			}
			if err = loadErr; err == nil && !yield(sealed.Name, nil) {
				return
			}
		}
		yield("", err)
	}
}

// Delete removes the secret. It needs no key. Errors: ErrNotFound, ErrDenied,
// ErrUnavailable.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		path := s.path(strings.ToLower(name))
		err := os.Remove(path)
		if err == nil {
			err = syncDir(s.dir)
		}
		if err != nil {
			return fileError("delete secret", path, err)
		}
		return nil
	})
}

func (s *Store) path(id string) string {
	return filepath.Join(s.dir, "secret-"+id+".json")
}

// load reads the file of a secret.
func (s *Store) load(id string) (sealedSecret, error) {
	data, err := os.ReadFile(s.path(id))
	if err != nil {
		return sealedSecret{}, fileError("read secret", s.path(id), err)
	}
	return decode(id, data)
}

// ids gives the lower-case names of all secrets, sorted.
func (s *Store) ids() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fileError("list secrets in", s.dir, err)
	}
	ids := []string{}
	for _, e := range entries {
		id, ok := strings.CutPrefix(e.Name(), "secret-")
		id, json := strings.CutSuffix(id, ".json")
		if ok && json && checkName(id) == nil && id == strings.ToLower(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// existingKey gives the key, which must be there since secrets are.
func (s *Store) existingKey() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil {
		return s.key, nil
	}
	path, err := s.keyPath()
	if err != nil {
		return nil, err
	}
	key, err := readKey(path)
	if errors.Is(err, azml.ErrNotFound) {
		return nil, fmt.Errorf("%w: the secrets in %q need their key, and the key file %q is not there: put it back, or set %s", azml.ErrDenied, s.dir, path, KeyEnv)
	}
	s.key = key
	return key, err
}

func (s *Store) keyPath() (string, error) {
	if s.keyFile != "" {
		return s.keyFile, nil
	}
	return defaultKeyFile()
}

// keyFor gives the key for writing: a new one when there are no secrets yet,
// else the one they were written with. The caller holds the lock.
func (s *Store) keyFor() ([]byte, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		sealed, err := s.load(id)
		if err != nil {
			continue // a damaged one does not tell the key
		}
		key, err := s.existingKey()
		if err == nil && keyID(key) != sealed.KeyID {
			_, err = sealed.open(key)
		}
		return key, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil {
		return s.key, nil
	}
	path, err := s.keyPath()
	if err != nil {
		return nil, err
	}
	key, err := readKey(path)
	if errors.Is(err, azml.ErrNotFound) {
		key, err = makeKey(path)
	}
	s.key = key
	return key, err
}

// locked runs f under the lock of the folder. A lock is polled, for one that
// blocks could not be given up when the context ends.
func (s *Store) locked(ctx context.Context, f func() error) error {
	path := filepath.Join(s.dir, ".lock")
	lock := flock.New(path, flock.SetPermissions(0o600))
	ok, err := lock.TryLockContext(ctx, 2*time.Millisecond)
	if ctx.Err() != nil {
		if ok {
			_ = lock.Unlock()
		}
		return fmt.Errorf("waiting for the lock of the secrets: %w", ctx.Err())
	}
	if err != nil {
		return fileError("lock secrets by", path, err)
	}
	defer lock.Close()
	return f()
}

// checkName refuses what could be a path.
func checkName(name string) error {
	legal := len(name) >= 1 && len(name) <= 127
	for _, c := range []byte(name) {
		legal = legal && (c == '-' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z')
	}
	if !legal {
		return fmt.Errorf("%w: name of secret %q: 1 to 127 letters, digits and \"-\" are allowed", azml.ErrInvalid, name)
	}
	return nil
}
