package ssh

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// TypeTarget is the type of the compute targets of ComputeDriver: Azure ML's RemoteCompute.
const TypeTarget = "SSH"

// Target is a machine to be attached to a workspace: a configuration for
// compute.Client.Create. Where it is stands in the target's record, which anybody
// may see; the credential goes to the secret store.
type Target struct {
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
	// CacheDir is the folder on the machine for environments and working folders,
	// an absolute path; the user's cache folder when empty.
	CacheDir string
}

// Source implements compute.Config.
func (t Target) Source() (backend.ComputeSource, error) {
	if t.CacheDir != "" && !path.IsAbs(t.CacheDir) {
		return backend.ComputeSource{}, fmt.Errorf("%w: cache folder %q: want an absolute path", azml.ErrInvalid, t.CacheDir)
	}
	source := backend.ComputeSource{Type: TypeTarget, Connection: map[string]string{"address": t.Address, "port": strconv.Itoa(cmp.Or(t.Port, DefaultPort))}}
	for name, value := range map[string]string{"username": t.Username, "hostKey": t.HostKey, "dir": t.Dir, "cacheDir": t.CacheDir} {
		if value != "" {
			source.Connection[name] = value
		}
	}
	if t.Credential.Agent {
		source.Connection["agent"] = "true"
	}
	for name, value := range map[string]string{"password": t.Credential.Password, "privateKey": string(t.Credential.PrivateKey), "passphrase": t.Credential.Passphrase} {
		if value == "" {
			continue
		}
		if source.Credentials == nil {
			source.Credentials = backend.Credentials{}
		}
		source.Credentials[name] = value
	}
	// The program is known when the target is opened only.
	config := t.config(source)
	config.Program = func(context.Context, backend.Platform) (string, error) { return "", azml.ErrUnsupported }
	_, err := config.check()
	return source, err
}

// ComputeDriver opens the targets that a workspace has in its records.
type ComputeDriver struct{}

var _ backend.ComputeDriver = ComputeDriver{}

// Type implements backend.ComputeDriver.
func (ComputeDriver) Type() string { return TypeTarget }

// Open implements backend.ComputeDriver. The connection has address, port,
// username, hostKey, dir and agent ("true"), the credentials password, privateKey
// and passphrase, as Target.Source gives them.
func (ComputeDriver) Open(_ context.Context, source backend.ComputeSource) (backend.OpenedCompute, error) {
	at := source.Connection
	port, err := strconv.Atoi(cmp.Or(at["port"], "0"))
	if err != nil {
		return nil, fmt.Errorf("%w: port %q", azml.ErrInvalid, at["port"])
	}
	t := Target{Address: at["address"], Port: port, Username: at["username"], HostKey: at["hostKey"], Dir: at["dir"],
		Credential: Credential{Password: source.Credentials["password"], PrivateKey: []byte(source.Credentials["privateKey"]),
			Passphrase: source.Credentials["passphrase"], Agent: at["agent"] == "true"}}
	return New(t.config(source))
}

// config is for the driver.
func (t Target) config(source backend.ComputeSource) Config {
	return Config{Address: t.Address, Port: t.Port, User: t.Username, HostKey: HostKey{Known: t.HostKey}, Dir: t.Dir, Program: source.Program,
		Credential: func(context.Context) (Credential, error) { return t.Credential, nil }}
}
