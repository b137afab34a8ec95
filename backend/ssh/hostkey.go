package ssh

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"github.com/azml-go/azml"
)

// HostKey says how a machine proves that it is the one that is meant.
type HostKey struct {
	// Known is the machine's public key, as a line such as "ssh-ed25519 AAAA…", or
	// its fingerprint, "SHA256:…". When it is set, nothing else counts.
	Known string
	// Files are files of known hosts, in OpenSSH's format. Nil means those of this
	// machine and its user that are there.
	Files []string
}

func (h HostKey) check() error {
	if h.Known == "" || isFingerprint(h.Known) {
		return nil
	}
	_, err := parseKey(h.Known)
	return err
}

func isFingerprint(known string) bool { return strings.HasPrefix(known, "SHA256:") }

func parseKey(line string) (ssh.PublicKey, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, fmt.Errorf("%w: host key %.100q: want a line such as \"ssh-ed25519 AAAA…\", or a fingerprint, \"SHA256:…\"", azml.ErrInvalid, line)
	}
	return key, nil
}

// keyTypes are the kinds of host keys, the best first.
var keyTypes = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA}

// algorithms gives what a key of the type signs with.
func algorithms(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

func allAlgorithms() []string {
	var all []string
	for _, t := range keyTypes {
		all = append(all, algorithms(t)...)
	}
	return all
}

// proof is one way to ask a machine for its key: a machine has several, and
// shows the one that it is asked for.
type proof struct {
	algorithms []string
	callback   ssh.HostKeyCallback
}

// proofs gives the ways to ask, of which one must do.
func (h HostKey) proofs(hostPort string) ([]proof, error) {
	if isFingerprint(h.Known) {
		var all []proof
		for _, t := range keyTypes {
			all = append(all, proof{algorithms(t), h.sameFingerprint})
		}
		return all, nil
	}
	if h.Known != "" {
		key, err := parseKey(h.Known)
		if err != nil {
			return nil, err
		}
		return []proof{{algorithms(key.Type()), sameKey(key)}}, nil
	}
	db, err := knownhosts.NewDB(h.files()...)
	if err != nil {
		return nil, fmt.Errorf("%w: known hosts: %w", azml.ErrInvalid, err)
	}
	known := db.HostKeyAlgorithms(hostPort)
	if len(known) == 0 {
		known = allAlgorithms()
	}
	return []proof{{known, h.inFiles(db)}}, nil
}

func (h HostKey) files() []string {
	if h.Files != nil {
		return h.Files
	}
	all := []string{"/etc/ssh/ssh_known_hosts"}
	if home, err := os.UserHomeDir(); err == nil {
		all = append(all, filepath.Join(home, ".ssh", "known_hosts"))
	}
	var there []string
	for _, path := range all {
		if _, err := os.Stat(path); err == nil {
			there = append(there, path)
		}
	}
	return there
}

func (h HostKey) sameFingerprint(host string, _ net.Addr, key ssh.PublicKey) error {
	if got := ssh.FingerprintSHA256(key); got != h.Known {
		return changed(host, got, h.Known, "configured")
	}
	return nil
}

func sameKey(want ssh.PublicKey) ssh.HostKeyCallback {
	return func(host string, _ net.Addr, key ssh.PublicKey) error {
		if !bytes.Equal(key.Marshal(), want.Marshal()) {
			return changed(host, ssh.FingerprintSHA256(key), ssh.FingerprintSHA256(want), "configured")
		}
		return nil
	}
}

// inFiles checks the key by the files.
func (h HostKey) inFiles(db *knownhosts.HostKeyDB) ssh.HostKeyCallback {
	return func(host string, remote net.Addr, key ssh.PublicKey) error {
		err := db.HostKeyCallback()(host, remote, key)
		if err == nil {
			return nil
		}
		got := ssh.FingerprintSHA256(key)
		mismatch, ok := errors.AsType[*xknownhosts.KeyError](err)
		switch {
		case ok && len(mismatch.Want) > 0:
			known := mismatch.Want[0]
			return changed(host, got, ssh.FingerprintSHA256(known.Key), fmt.Sprintf("in %s, line %d", known.Filename, known.Line))
		case ok:
			return hostKeyError{fmt.Errorf("%w: the host key of %s is not known: compare %s with what the machine's owner says, "+
				"then configure it, or add it to the known hosts", azml.ErrDenied, host, got)}
		}
		return hostKeyError{fmt.Errorf("%w: the host key %s of %s: %w", azml.ErrDenied, got, host, err)}
	}
}

// hostKeyError is why a machine was not trusted.
type hostKeyError struct{ error }

// Unwrap gives the error within.
func (e hostKeyError) Unwrap() error { return e.error }

func changed(host, got, want, where string) error {
	return hostKeyError{fmt.Errorf("%w: the host key of %s is %s, but %s is %s: the machine was set up anew, or something in between pretends to be it; "+
		"find out, then replace the key", azml.ErrDenied, host, got, want, where)}
}

// errSeen ends a connection that was made for the host key.
var errSeen = errors.New("the host key is known now")

// KeyOf asks a machine for its public key, for HostKey.Known, without logging in:
// trust at first use. Whoever is in between at that time is trusted, too, so
// compare its fingerprint where there is something to compare it with. A zero
// port is 22. Errors: ErrUnavailable.
func KeyOf(ctx context.Context, address string, port int) (line string, err error) {
	m := &machine{config: Config{Address: address, Port: cmp.Or(port, DefaultPort), User: "nobody"}}
	_, err = m.handshake(ctx, nil, proof{allAlgorithms(), func(_ string, _ net.Addr, key ssh.PublicKey) error {
		line = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		return errSeen
	}})
	if line != "" {
		err = nil
	}
	return line, err
}

// Fingerprint gives the fingerprint of a public key, a line as KeyOf gives it.
// Errors: ErrInvalid.
func Fingerprint(line string) (string, error) {
	key, err := parseKey(line)
	if err != nil {
		return "", err
	}
	return ssh.FingerprintSHA256(key), nil
}
