// Package certificate has the certificates of servers in files that are renewed while
// the servers run.
package certificate

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml"
)

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// Files are a certificate, with those of its authorities behind it, and its key, each as
// PEM in a file.
type Files struct {
	// Certificate is the file of the certificate.
	Certificate string
	// Key is the file of its key.
	Key string
}

// Config gives what servers need. When a connection begins and the files have changed,
// it gets what they have then; a pair that can't be read, or is half written, is told to
// the log once, and connections get the one before it until the files are whole.
// Errors: ErrInvalid when there is no pair to begin with.
func (f Files) Config(log *slog.Logger) (*tls.Config, error) {
	r := &reader{files: f, log: log}
	pair, now, err := f.read()
	if err != nil {
		return nil, err
	}
	r.took(pair, now)
	return &tls.Config{GetCertificate: r.get, MinVersion: tls.VersionTLS12}, nil
}

// stamps tell both files from what they were before.
type stamps [2]os.FileInfo

func (s stamps) same(others stamps) bool {
	for i, info := range s {
		if !os.SameFile(info, others[i]) || !info.ModTime().Equal(others[i].ModTime()) || info.Size() != others[i].Size() {
			return false
		}
	}
	return true
}

// stamps gives those of both files.
func (f Files) stamps() (now stamps, err error) {
	for i, name := range []string{f.Certificate, f.Key} {
		info, err := os.Stat(name)
		if err != nil {
			return now, f.wrong(err)
		}
		now[i] = info
	}
	return now, nil
}

// read gives the pair with the stamps from before it was read: what is written meanwhile
// has others.
func (f Files) read() (*tls.Certificate, stamps, error) {
	if f.Certificate == "" || f.Key == "" {
		return nil, stamps{}, fmt.Errorf("%w: certificate %q with key %q: both files are needed", azml.ErrInvalid, f.Certificate, f.Key)
	}
	now, err := f.stamps()
	if err != nil {
		return nil, now, err
	}
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil, now, f.wrong(err)
	}
	return &pair, now, nil
}

func (f Files) wrong(err error) error {
	return fmt.Errorf("%w: certificate %s with key %s: %w", azml.ErrInvalid, f.Certificate, f.Key, err)
}

// reader gives connections the newest pair.
type reader struct {
	files Files
	log   *slog.Logger
	pair  atomic.Pointer[tls.Certificate]

	looking sync.Mutex // who holds it has what follows
	looked  time.Time
	stamps  stamps // of the pair
	told    bool   // that the files have no pair now
}

// get implements tls.Config.GetCertificate. Nobody waits for who looks at the files.
func (r *reader) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if r.looking.TryLock() {
		if time.Since(r.looked) >= lookEvery {
			r.look()
		}
		r.looking.Unlock()
	}
	return r.pair.Load(), nil
}

// look takes what the files have, if it is another pair than before.
func (r *reader) look() {
	r.looked = time.Now()
	if now, err := r.files.stamps(); err == nil && now.same(r.stamps) {
		r.told = false
		return
	}
	pair, now, err := r.files.read()
	if err == nil {
		r.took(pair, now)
		r.log.Info("the certificate was renewed", "file", r.files.Certificate, "expires", pair.Leaf.NotAfter)
		return
	}
	if !r.told {
		r.told = true
		r.log.Warn("the certificate can't be renewed, the one before it stays: write both files whole", "error", err)
	}
}

func (r *reader) took(pair *tls.Certificate, now stamps) {
	r.pair.Store(pair)
	r.stamps, r.told, r.looked = now, false, time.Now()
}
