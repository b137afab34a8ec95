package ssh

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

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
	// Containers, when not nil, has runs be in containers of an engine on the machine,
	// such as docker.Config with what is the default there: its socket, folders and
	// networks are those of the machine. The user must be allowed to use the engine.
	Containers interface {
		// Source is that of compute.Config.
		Source() (backend.ComputeSource, error)
	}
}

// enginePrefix begins the members and credentials that are the engine's.
const enginePrefix = "engine."

// engine adds what is known of the engine.
func (t Target) engine(to *backend.ComputeSource) error {
	if t.Containers == nil {
		return nil
	}
	if t.CacheDir != "" {
		return fmt.Errorf("%w: cache folder %q: containers have one of their own", azml.ErrInvalid, t.CacheDir)
	}
	from, err := t.Containers.Source()
	if err != nil {
		return err
	}
	to.Connection[enginePrefix+"type"] = from.Type
	for name, value := range from.Connection {
		to.Connection[enginePrefix+name] = value
	}
	for name, value := range from.Credentials {
		if to.Credentials == nil {
			to.Credentials = backend.Credentials{}
		}
		to.Credentials[enginePrefix+name] = value
	}
	return nil
}

// engineOf gives what is known of the engine, nil when there is none.
func engineOf(source backend.ComputeSource) *backend.ComputeSource {
	e := backend.ComputeSource{Connection: map[string]string{}, Credentials: backend.Credentials{}}
	for name, value := range source.Connection {
		if own, ok := strings.CutPrefix(name, enginePrefix); ok && own != "type" {
			e.Connection[own] = value
		}
	}
	for name, value := range source.Credentials {
		if own, ok := strings.CutPrefix(name, enginePrefix); ok {
			e.Credentials[own] = value
		}
	}
	if e.Type = source.Connection[enginePrefix+"type"]; e.Type == "" {
		return nil
	}
	return &e
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
	if err := t.engine(&source); err != nil {
		return source, err
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
// and passphrase, as Target.Source gives them, and with engine. before their names
// what the engine has. An engine whose connection has an image makes images of it by
// default.
func (ComputeDriver) Open(_ context.Context, source backend.ComputeSource) (backend.OpenedCompute, error) {
	at := source.Connection
	port, err := strconv.Atoi(cmp.Or(at["port"], "0"))
	if err != nil {
		return nil, fmt.Errorf("%w: port %q", azml.ErrInvalid, at["port"])
	}
	t := Target{Address: at["address"], Port: port, Username: at["username"], HostKey: at["hostKey"], Dir: at["dir"],
		Credential: Credential{Password: source.Credentials["password"], PrivateKey: []byte(source.Credentials["privateKey"]),
			Passphrase: source.Credentials["passphrase"], Agent: at["agent"] == "true"}}
	config := t.config(source)
	if config.Containers = engineOf(source); config.Containers != nil {
		return NewContainers(config, config.Containers.Connection["image"])
	}
	return New(config)
}

// config is for the driver.
func (t Target) config(source backend.ComputeSource) Config {
	return Config{Address: t.Address, Port: t.Port, User: t.Username, HostKey: HostKey{Known: t.HostKey}, Dir: t.Dir, Program: source.Agent,
		Credential: func(context.Context) (Credential, error) { return t.Credential, nil }}
}
