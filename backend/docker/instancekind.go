package docker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// TypeInstance is the type of compute targets that are compute instances, as it
// stands in their records.
const TypeInstance = "ComputeInstance"

// InstanceConfig is a compute instance to be made: a container for development with
// Jupyter, whose home folder outlives stops, and which is a target for runs.
type InstanceConfig struct {
	// Config says by which engine and of what. Image is required. User is whoever
	// makes the instance when empty, so that a workspace it has is its own, too.
	// Network is one that publishes ports, or "host".
	Config
	// Packages are requirements, as pip reads them, to be in its image besides
	// Jupyter and MLflow's client.
	Packages []string
	// IdleShutdown is after how long without use it stops by itself: no kernel
	// computes, nobody asks Jupyter for anything, no terminal is written to, no run
	// goes on. 0 is never, less than a second is none.
	IdleShutdown time.Duration
}

// Members of an instance's connection besides those of an engine's.
const (
	idMember           = "id"
	packagesMember     = "packages"
	idleShutdownMember = "idleShutdown"
	cacheDirMember     = "cacheDir"
	tokenCredential    = "token"
)

// Source implements compute.Config. It draws who the instance is, and the token of
// its Jupyter. Errors: ErrInvalid.
func (c InstanceConfig) Source() (backend.ComputeSource, error) {
	s, err := c.Config.Source()
	if err != nil {
		return s, err
	}
	if c.Image == "" {
		return s, fmt.Errorf("%w: a compute instance needs an image to begin with, such as python:3.12-slim", azml.ErrInvalid)
	}
	if c.IdleShutdown < 0 || c.IdleShutdown > 0 && c.IdleShutdown < time.Second {
		return s, fmt.Errorf("%w: idle shutdown after %s: give a second or more, or 0 for never", azml.ErrInvalid, c.IdleShutdown)
	}
	s.Type = TypeInstance
	s.Connection[idMember] = strings.ToLower(rand.Text()[:16])
	s.Connection[cacheDirMember] = instanceHome + "/.cache/azml"
	if len(c.Packages) > 0 {
		text, err := json.Marshal(c.Packages)
		if err != nil {
			return s, err
		}
		s.Connection[packagesMember] = string(text)
	}
	if c.IdleShutdown > 0 {
		s.Connection[idleShutdownMember] = c.IdleShutdown.String()
	}
	if s.Credentials == nil {
		s.Credentials = backend.Credentials{}
	}
	s.Credentials[tokenCredential] = strings.ToLower(rand.Text() + rand.Text())
	return s, nil
}

// InstanceKind opens compute instances. It implements backend.ComputeDriver, and
// what it opens backend.Instance.
type InstanceKind struct{}

var _ backend.ComputeDriver = InstanceKind{}

// Type implements backend.ComputeDriver.
func (InstanceKind) Type() string { return TypeInstance }

// Open implements backend.ComputeDriver.
func (InstanceKind) Open(_ context.Context, source backend.ComputeSource) (backend.OpenedCompute, error) {
	i := &instance{token: source.Credentials[tokenCredential], program: source.Program}
	engine := map[string]string{}
	for member, text := range source.Connection {
		var err error
		switch member {
		case idMember:
			i.id = text
		case packagesMember:
			err = json.Unmarshal([]byte(text), &i.packages)
		case idleShutdownMember:
			i.idle, err = time.ParseDuration(text)
		case cacheDirMember:
		default:
			engine[member] = text
		}
		if err != nil {
			return nil, fmt.Errorf("%w: member %s is %q: %w", azml.ErrInvalid, member, text, err)
		}
	}
	if !programName.MatchString(i.id) || i.token == "" {
		return nil, fmt.Errorf("%w: a compute instance has an id and a token", azml.ErrInvalid)
	}
	opts, err := options(engine)
	if err != nil {
		return nil, err
	}
	if opts.Registries, err = keptRegistries(source.Credentials); err != nil {
		return nil, err
	}
	opts.Name, opts.Dir, opts.User = "azml-instance-"+i.id, filepath.Join(source.CacheDir, "docker"), cmp.Or(opts.User, own())
	if i.engine, err = New(&opts); err != nil {
		return nil, err
	}
	i.Machine, err = NewMachine(MachineOptions{Host: opts.Host, Container: opts.Name, User: opts.User, Dir: instanceJobs, Program: source.Program,
		Patience: instancePatience})
	return i, err
}
