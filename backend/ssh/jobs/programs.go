package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/azml-go/azml"
)

const (
	// ProgramPrefix and the content's SHA-256 in hexadecimal digits name a
	// program in the folder "bin".
	ProgramPrefix = "azml-"
	// ScratchPrefix begins the names of programs that are on their way.
	ScratchPrefix = ".new-"

	// unused is how long a program stays that nobody asks for, scratch how long
	// one that may be on its way does.
	unused  = 30 * 24 * time.Hour
	scratch = 24 * time.Hour
)

// programs are what was installed. Each content is there once, whatever names it
// has: who installs this very program under another one moves no bytes.
type programs struct{ dir string }

// Digest gives the SHA-256 of a program in hexadecimal digits. Errors: ErrInvalid.
func Digest(program io.Reader) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, program); err != nil {
		return "", fmt.Errorf("%w: read the program: %w", azml.ErrInvalid, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Verify tells whether the file has the SHA-256, in hexadecimal digits. Errors:
// ErrDamaged, and those of the file system.
func Verify(path, digest string) error {
	f, err := os.Open(path)
	if err != nil {
		return classify(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return classify(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest {
		return fmt.Errorf("%w: %s has the digest %s, want %s", azml.ErrDamaged, path, got, digest)
	}
	return nil
}

// program answers where a program is, which makes it one of the name when its
// content is there.
func (s *server) program(w *answer, r *http.Request) error {
	name, digest := r.URL.Query().Get("name"), r.URL.Query().Get("digest")
	path, err := s.programs.find(name)
	if errors.Is(err, azml.ErrNotFound) && digest != "" {
		path, err = s.programs.link(name, digest)
	}
	if err == nil {
		path, err = s.seen(r.Context(), name, path)
	}
	if err != nil {
		return err
	}
	return w.say(located{path})
}

// install takes the bytes of a program. It is one only when all of them are there.
func (s *server) install(w *answer, r *http.Request) error {
	name, digest := r.URL.Query().Get("name"), r.URL.Query().Get("digest")
	if err := checkName(name); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.programs.dir, ScratchPrefix+"*")
	if err != nil {
		return classify(err)
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, r.Body)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o700)
	}
	if err == nil {
		err = Verify(f.Name(), digest)
	}
	if err == nil {
		// A child that is just being forked has the file open for writing, until its
		// own exec; the system would refuse to run it.
		syscall.ForkLock.RLock()
		err = os.Rename(f.Name(), filepath.Join(s.programs.dir, ProgramPrefix+digest))
		syscall.ForkLock.RUnlock()
	}
	if err != nil {
		return classify(err)
	}
	path, err := s.programs.link(name, digest)
	if err == nil {
		path, err = s.seen(r.Context(), name, path)
	}
	if err != nil {
		return err
	}
	return w.say(located{path})
}

func checkName(name string) error {
	const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	if name == "" || name[0] == '.' || strings.Trim(name, legal) != "" || len(name) > 200 {
		return fmt.Errorf("%w: program name %.300q: want 1 to 200 letters, digits, \"-\", \"_\" and \".\", not beginning with \".\"", azml.ErrInvalid, name)
	}
	return nil
}

// find gives the path of a program, and notes that it is used.
func (p programs) find(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	path := filepath.Join(p.dir, name)
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		return "", classify(err)
	}
	return path, nil
}

// link gives a content that is there the name.
func (p programs) link(name, digest string) (string, error) {
	content := ProgramPrefix + digest
	if _, err := p.find(content); err != nil || name == content {
		return filepath.Join(p.dir, name), err
	}
	path := filepath.Join(p.dir, name)
	err := os.Symlink(content, path)
	if errors.Is(err, fs.ErrExist) {
		if _, err = p.find(name); err != nil { // its content was deleted long ago
			err = errors.Join(os.Remove(path), os.Symlink(content, path))
		}
	}
	if err != nil {
		return "", classify(err)
	}
	return path, nil
}

// used notes that this very program is used.
func (p programs) used() {
	if path, err := os.Executable(); err == nil && filepath.Dir(path) == p.dir {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // at worst it is installed anew some day
	}
}

// sweep deletes what nobody uses: programs, the names of deleted ones, and what
// never arrived.
func (p programs) sweep() error {
	p.used()
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return classify(err)
	}
	for _, e := range entries {
		path, age := filepath.Join(p.dir, e.Name()), unused
		if to, err := os.Readlink(path); err == nil && filepath.IsAbs(to) {
			continue // it is kept elsewhere, as in an image
		}
		if strings.HasPrefix(e.Name(), ScratchPrefix) {
			age = scratch
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(info.ModTime()) > age {
			_ = os.Remove(path) // somebody else may have, or the next sweep will
		}
	}
	return nil
}
