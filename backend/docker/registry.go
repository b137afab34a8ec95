package docker

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Registry is where images come from that not everybody may have.
type Registry struct {
	// Address is the registry's name and port as names of images begin with, such
	// as "registry.example.com:5000"; "docker.io" is Docker's own.
	Address string `json:"address"`
	// Username is who logs in.
	Username string `json:"username"`
	// Password is what he logs in by. It is kept in the secret store alone, and goes
	// to the engine, for images of this registry.
	Password string `json:"password"`
}

// String tells where and who, without the password.
func (r Registry) String() string { return r.Username + "@" + r.Address }

// GoString is String.
func (r Registry) GoString() string { return r.String() }

// registriesCredential has the registries, as JSON.
const registriesCredential = "registries"

// checkRegistries finds what can't be an address in the name of an image.
func checkRegistries(list []Registry) error {
	seen := map[string]bool{}
	for _, r := range list {
		named, err := reference.ParseNormalizedNamed(r.Address + "/image")
		switch {
		case err != nil || reference.Domain(named) != r.Address:
			return fmt.Errorf("%w: registry %q: give its name and port as images have them, such as registry.example.com:5000, without \"https://\"", azml.ErrInvalid, r.Address)
		case r.Username == "" || r.Password == "":
			return fmt.Errorf("%w: registry %s needs a user name and a password", azml.ErrInvalid, r.Address)
		case seen[r.Address]:
			return fmt.Errorf("%w: registry %s is named twice", azml.ErrInvalid, r.Address)
		}
		seen[r.Address] = true
	}
	return nil
}

// keepRegistries puts the registries among the credentials.
func keepRegistries(s *backend.ComputeSource, list []Registry) error {
	if len(list) == 0 {
		return nil
	}
	text, err := json.Marshal(list) //nolint:gosec // for the secret store
	if err != nil {
		return err
	}
	s.Credentials = backend.Credentials{registriesCredential: string(text)}
	return nil
}

// keptRegistries gives the registries of the credentials. Errors: ErrInvalid, without what they
// are.
func keptRegistries(c backend.Credentials) (list []Registry, err error) {
	if text := c[registriesCredential]; text != "" && json.Unmarshal([]byte(text), &list) != nil {
		return nil, fmt.Errorf("%w: the registries of the credentials can't be read", azml.ErrInvalid)
	}
	return list, checkRegistries(list)
}

// login gives the engine's header for pulling an image: the login of its registry, no
// other.
func (d *Driver) login(image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", fmt.Errorf("%w: image %q: %w", azml.ErrInvalid, image, err)
	}
	for _, r := range d.opts.Registries {
		if r.Address == reference.Domain(named) {
			return authconfig.Encode(registry.AuthConfig{Username: r.Username, Password: r.Password, ServerAddress: r.Address})
		}
	}
	return "", nil
}

// logins gives those of all registries, for what a Dockerfile may begin with. The
// engine's builder picks by the registry of each image.
func (d *Driver) logins() map[string]registry.AuthConfig {
	all := map[string]registry.AuthConfig{}
	for _, r := range d.opts.Registries {
		name := r.Address
		if name == dockerHub {
			name = "https://index.docker.io/v1/" // as builders know it
		}
		all[name] = registry.AuthConfig{Username: r.Username, Password: r.Password, ServerAddress: name}
	}
	return all
}

// dockerHub is the registry of images that name none.
const dockerHub = "docker.io"

// denied tells by what an engine says of a pull whether the registry wants another
// login: its class is that of its own trouble.
func denied(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "unauthorized") || strings.Contains(text, "no basic auth credentials") || strings.Contains(text, "access denied") ||
		strings.Contains(text, "authentication required")
}
