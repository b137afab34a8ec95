package ssh

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// TypeSSH is the type of the targets of this package: Azure ML's RemoteCompute.
const TypeSSH = "SSH"

// Machine is a machine to be attached to a workspace: a configuration for
// compute.Client.Create. Where it is stands in the target's record, which anybody
// may see; the credential goes to the secret store.
type Machine struct {
	// Address is the machine's name or IP address. It is required.
	Address string
	// Port is the server's port, DefaultPort when zero.
	Port int
	// Username is who logs in, the user of the connecting program when empty.
	Username string
	// Credential is what he proves himself by.
	Credential Credential
	// HostKey is the machine's public key or its fingerprint, as HostKey.Known.
	// When empty, the known hosts of whoever connects must have it.
	HostKey string
	// Dir is the folder on the machine for programs and jobs, by default ".azml"
	// below the user's home folder.
	Dir string
}

// Source implements compute.Config.
func (m Machine) Source() (backend.ComputeSource, error) {
	source := backend.ComputeSource{Type: TypeSSH, Connection: map[string]string{"address": m.Address, "port": strconv.Itoa(cmp.Or(m.Port, DefaultPort))}}
	for name, value := range map[string]string{"username": m.Username, "hostKey": m.HostKey, "dir": m.Dir} {
		if value != "" {
			source.Connection[name] = value
		}
	}
	if m.Credential.Agent {
		source.Connection["agent"] = "true"
	}
	for name, value := range map[string]string{"password": m.Credential.Password, "privateKey": string(m.Credential.PrivateKey), "passphrase": m.Credential.Passphrase} {
		if value == "" {
			continue
		}
		if source.Credentials == nil {
			source.Credentials = backend.Credentials{}
		}
		source.Credentials[name] = value
	}
	// The program is known when the target is opened only.
	config := m.config(source)
	config.Program = func(context.Context, backend.Platform) (string, error) { return "", azml.ErrUnsupported }
	_, err := config.check()
	return source, err
}

// Kind opens the targets of type SSH that a workspace has in its records.
type Kind struct{}

var _ backend.ComputeDriver = Kind{}

// Type implements backend.ComputeDriver.
func (Kind) Type() string { return TypeSSH }

// Open implements backend.ComputeDriver. The connection has address, port,
// username, hostKey, dir and agent ("true"), the credentials password, privateKey
// and passphrase, as Machine.Source gives them.
func (Kind) Open(_ context.Context, source backend.ComputeSource) (backend.OpenedCompute, error) {
	at := source.Connection
	port, err := strconv.Atoi(cmp.Or(at["port"], "0"))
	if err != nil {
		return nil, fmt.Errorf("%w: port %q", azml.ErrInvalid, at["port"])
	}
	m := Machine{Address: at["address"], Port: port, Username: at["username"], HostKey: at["hostKey"], Dir: at["dir"],
		Credential: Credential{Password: source.Credentials["password"], PrivateKey: []byte(source.Credentials["privateKey"]),
			Passphrase: source.Credentials["passphrase"], Agent: at["agent"] == "true"}}
	return New(m.config(source))
}

// config is for the driver.
func (m Machine) config(source backend.ComputeSource) Config {
	return Config{Address: m.Address, Port: m.Port, User: m.Username, HostKey: HostKey{Known: m.HostKey}, Dir: m.Dir, Program: source.Program,
		Credential: func(context.Context) (Credential, error) { return m.Credential, nil }}
}
