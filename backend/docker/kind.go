package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Type is the type of compute targets that are Docker engines, as it stands in
// their records.
const Type = "Docker"

// Config is a Docker engine as a compute target of a workspace. Fields are as in
// Options.
type Config struct {
	// Host is the engine's socket.
	Host string
	// Image is the image of environments that name none.
	Image string
	// User is whom jobs run as.
	User string
	// Network is the network of jobs.
	Network string
	// BuildNetwork is the network in which images are made.
	BuildNetwork string
	// Limits are those of jobs that have none of their own.
	Limits backend.Limits
	// Mounts are folders of this machine that all jobs see.
	Mounts []Mount
	// Registries are the logins for pulling images that the engine lacks. They go to
	// the secret store.
	Registries []Registry
}

// Members of a target's connection.
const (
	hostMember         = "host"
	imageMember        = "image"
	userMember         = "user"
	networkMember      = "network"
	buildNetworkMember = "buildNetwork"
	cpusMember         = "cpus"
	memoryMember       = "memory"
	sharedMemoryMember = "sharedMemory"
	gpusMember         = "gpus"
	mountsMember       = "mounts"
)

// Source implements compute.Config. Its credentials are the registries. Errors:
// ErrInvalid.
func (c Config) Source() (backend.ComputeSource, error) {
	if err := errors.Join(c.Limits.Validate(), checkRegistries(c.Registries)); err != nil {
		return backend.ComputeSource{}, err
	}
	for _, m := range c.Mounts {
		if !filepath.IsAbs(m.Source) || !filepath.IsAbs(m.Target) {
			return backend.ComputeSource{}, fmt.Errorf("%w: mount of %q at %q: both must be absolute paths", azml.ErrInvalid, m.Source, m.Target)
		}
	}
	s := backend.ComputeSource{Type: Type, Connection: map[string]string{}}
	for member, value := range map[string]string{
		hostMember: c.Host, imageMember: c.Image, userMember: c.User, networkMember: c.Network, buildNetworkMember: c.BuildNetwork,
		cpusMember: strconv.FormatFloat(c.Limits.CPUs, 'g', -1, 64), memoryMember: strconv.FormatInt(c.Limits.Memory, 10),
		sharedMemoryMember: strconv.FormatInt(c.Limits.SharedMemory, 10), gpusMember: strconv.Itoa(c.Limits.GPUs),
	} {
		if value != "" && value != "0" {
			s.Connection[member] = value
		}
	}
	if len(c.Mounts) > 0 {
		text, err := json.Marshal(c.Mounts)
		if err != nil {
			return s, err
		}
		s.Connection[mountsMember] = string(text)
	}
	return s, keepRegistries(&s, c.Registries)
}

// Kind opens Docker engines as compute targets. It implements
// backend.ComputeDriver.
type Kind struct{}

var _ backend.ComputeDriver = Kind{}

// Type implements backend.ComputeDriver.
func (Kind) Type() string { return Type }

// Open implements backend.ComputeDriver. Targets that differ in their connection
// don't see each other's jobs, also on one engine.
func (Kind) Open(_ context.Context, source backend.ComputeSource) (backend.OpenedCompute, error) {
	opts, err := options(source.Connection)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(source.Connection) // which sorts
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	if opts.Registries, err = keptRegistries(source.Credentials); err != nil {
		return nil, err
	}
	opts.Name = "azml-" + hex.EncodeToString(sum[:6])
	opts.Dir = filepath.Join(source.CacheDir, "docker")
	return New(&opts)
}

// options reads the members of a connection.
func options(connection map[string]string) (Options, error) {
	var o Options
	for member, text := range connection {
		var err error
		switch member {
		case hostMember:
			o.Host = text
		case imageMember:
			o.Image = text
		case userMember:
			o.User = text
		case networkMember:
			o.Network = text
		case buildNetworkMember:
			o.BuildNetwork = text
		case cpusMember:
			o.Limits.CPUs, err = strconv.ParseFloat(text, 64)
		case memoryMember:
			o.Limits.Memory, err = strconv.ParseInt(text, 10, 64)
		case sharedMemoryMember:
			o.Limits.SharedMemory, err = strconv.ParseInt(text, 10, 64)
		case gpusMember:
			o.Limits.GPUs, err = strconv.Atoi(text)
		case mountsMember:
			err = json.Unmarshal([]byte(text), &o.Mounts)
		default:
			return o, fmt.Errorf("%w: member %q is none of a Docker engine's connection", azml.ErrInvalid, member)
		}
		if err != nil {
			return o, fmt.Errorf("%w: member %s is %q: %w", azml.ErrInvalid, member, text, err)
		}
	}
	return o, nil
}
