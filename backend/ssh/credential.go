package ssh

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/azml-go/azml"
)

// Credential is what a user proves himself by; what is set is tried, agent and
// key first. It shows nothing of itself, whatever writes it.
type Credential struct {
	// Password is the user's.
	Password string
	// PrivateKey is the content of a private key file, as ssh-keygen makes them.
	PrivateKey []byte
	// Passphrase opens the private key when that is encrypted.
	Passphrase string
	// Agent asks the ssh-agent that SSH_AUTH_SOCK names for its keys.
	Agent bool
}

// Format implements fmt.Formatter, for every verb.
func (Credential) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }

// MarshalText gives "REDACTED".
func (Credential) MarshalText() ([]byte, error) { return []byte("REDACTED"), nil }

// methods gives the ways to log in, and what closes them when that is over.
func (c Credential) methods() (methods []ssh.AuthMethod, done func(), err error) {
	var signers []ssh.Signer
	done = func() {}
	if c.Agent {
		keys, conn, err := agentKeys()
		if err != nil {
			return nil, done, err
		}
		done = func() { _ = conn.Close() }
		signers = append(signers, keys...)
	}
	if len(c.PrivateKey) > 0 {
		signer, err := c.signer()
		if err != nil {
			done()
			return nil, func() {}, err
		}
		signers = append(signers, signer)
	}
	if len(signers) > 0 {
		methods = append(methods, ssh.PublicKeys(signers...))
	}
	if c.Password != "" {
		methods = append(methods, ssh.Password(c.Password), ssh.KeyboardInteractive(c.answer))
	}
	if len(methods) == 0 {
		done()
		if c.Agent {
			return nil, func() {}, fmt.Errorf("%w: the ssh-agent has no keys", azml.ErrDenied)
		}
		return nil, func() {}, fmt.Errorf("%w: no password, no private key and no ssh-agent to log in with", azml.ErrInvalid)
	}
	return methods, done, nil
}

func (c Credential) signer() (ssh.Signer, error) {
	if c.Passphrase != "" {
		signer, err := ssh.ParsePrivateKeyWithPassphrase(c.PrivateKey, []byte(c.Passphrase))
		if err != nil {
			return nil, fmt.Errorf("%w: the private key does not open with this passphrase: %w", azml.ErrInvalid, err)
		}
		return signer, nil
	}
	signer, err := ssh.ParsePrivateKey(c.PrivateKey)
	if _, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		return nil, fmt.Errorf("%w: the private key is encrypted, give its passphrase", azml.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: this is no private key: %w", azml.ErrInvalid, err)
	}
	return signer, nil
}

// answer gives the password when that is what is asked for: some servers ask so.
func (c Credential) answer(_, _ string, questions []string, echos []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i := range questions {
		if echos[i] || len(questions) > 1 {
			return nil, fmt.Errorf("%w: the server asks for more than a password", azml.ErrUnsupported)
		}
		answers[i] = c.Password
	}
	return answers, nil
}

func agentKeys() ([]ssh.Signer, net.Conn, error) {
	path := os.Getenv("SSH_AUTH_SOCK")
	if path == "" {
		return nil, nil, fmt.Errorf("%w: no ssh-agent: SSH_AUTH_SOCK is not set", azml.ErrInvalid)
	}
	conn, err := net.Dial("unix", path) //nolint:gosec // whoever sets the variable says which agent
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the ssh-agent: %w", azml.ErrUnavailable, err)
	}
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("%w: the ssh-agent: %w", azml.ErrUnavailable, err)
	}
	return signers, conn, nil
}
