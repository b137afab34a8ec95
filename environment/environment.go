package environment

import (
	"maps"
	"time"

	"github.com/azml-go/azml/internal/record"
)

// Environment is one registered version of an environment. It never changes
// and is safe for concurrent use.
type Environment struct{ record record.Environment }

// Details is what an environment's record says.
type Details struct {
	// Name is the environment's name.
	Name string `json:"name"`
	// Version is an integer as text unless the registrar chose another.
	Version string `json:"version"`
	// Hash is the content hash.
	Hash string `json:"hash"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Variables are environment variables for every process in it.
	Variables map[string]string `json:"environmentVariables,omitempty"`
	// Python is the Python part.
	Python Python `json:"python"`
	// Docker is the image part.
	Docker Docker `json:"docker,omitzero"`
	// Created is when it was registered.
	Created time.Time `json:"createdOn"`
	// CreatedBy is who registered it.
	CreatedBy string `json:"createdBy"`
}

// Name gives the environment's name.
func (e *Environment) Name() string { return e.record.Name }

// Version gives the environment's version.
func (e *Environment) Version() string { return e.record.Version }

// Hash gives the content hash.
func (e *Environment) Hash() string { return e.record.Hash }

// ID gives "name:version".
func (e *Environment) ID() string { return ref(e.Name(), e.Version()).Name }

// Spec gives the spec of this version, which registers as it is.
func (e *Environment) Spec() Spec {
	r := e.record
	return Spec{Name: r.Name, Version: r.Version, Description: r.Description, Tags: maps.Clone(r.Tags),
		Variables: maps.Clone(r.Variables), Python: Python(r.Python), Docker: dockerOf(r.Docker)}
}

// Details gives a copy of the record.
func (e *Environment) Details() Details {
	r := e.record
	return Details{Name: r.Name, Version: r.Version, Hash: r.Hash, Description: r.Description, Tags: maps.Clone(r.Tags),
		Variables: maps.Clone(r.Variables), Python: Python(r.Python), Docker: dockerOf(r.Docker), Created: r.Created, CreatedBy: r.CreatedBy}
}
