package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/model"
)

// Handler is a scoring function: JSON in, anything that encoding/json can write
// out. For a GET request the input is an object of the query's parameters. An
// error that wraps azml.ErrInvalid is the client's fault and answered with 400
// and its text; any other error or a panic is answered with 500 and a general
// text, the details go to the endpoint's log. It is called by many goroutines
// at once; ctx ends at the scoring timeout.
type Handler func(ctx context.Context, input json.RawMessage) (any, error)

// Config says what an endpoint serves and how. Exactly one of Handler, HTTP and
// Script is required.
type Config struct {
	// Model is the model that is served; Models when there are several. They
	// can't be deleted while the endpoint is served. A scoring script finds
	// their files in the folder that AZUREML_MODEL_DIR names.
	Model *model.Model
	// Models are further models.
	Models []*model.Model
	// Handler is a Go function that answers requests in this process.
	Handler Handler
	// HTTP answers requests to /score in this process as they are.
	HTTP http.Handler
	// Script is a Python scoring script.
	Script *Script
	// Address is the host:port to listen on; a free port of the loopback
	// interface when empty.
	Address string
	// AuthDisabled lets everybody in who can reach the address.
	AuthDisabled bool
	// Replicas is the number of processes of a scoring script, 1 when zero.
	Replicas int
	// MaxConcurrent is the number of requests that run at once in a replica:
	// without limit for Go functions when zero, always 1 for scripts.
	MaxConcurrent int
	// ScoringTimeout is the limit of one request, 60 s when zero.
	ScoringTimeout time.Duration
	// MaxQueueWait is how long a request waits for a free replica before it is
	// answered with 503, 500 ms when zero.
	MaxQueueWait time.Duration
	// CORSOrigins are the web origins whose pages may call it, "*" for all.
	CORSOrigins []string
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels.
	Tags map[string]string
}

// Script is a Python scoring script with the functions init() and run(data).
type Script struct {
	// Source is the folder of the script; a snapshot of it is kept, so that
	// later changes don't reach the endpoint.
	Source string
	// EntryScript is the script, relative to Source.
	EntryScript string
	// Environment is what the script needs, see experiment.ScriptRunConfig.
	Environment environment.Spec
	// Variables are environment variables for the script.
	Variables map[string]string
}

// kindOf tells a Go function from a script in a record.
const (
	kindHandler = "handler"
	kindScript  = "script"
)

// check tells what is wrong with the configuration itself.
func (c *Config) check() error {
	given := 0
	for _, is := range []bool{c.Handler != nil, c.HTTP != nil, c.Script != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("%w: give exactly one of Handler, HTTP and Script", azml.ErrInvalid)
	}
	for name, n := range map[string]int64{"Replicas": int64(c.Replicas), "MaxConcurrent": int64(c.MaxConcurrent),
		"ScoringTimeout": int64(c.ScoringTimeout), "MaxQueueWait": int64(c.MaxQueueWait)} {
		if n < 0 {
			return fmt.Errorf("%w: %s is negative", azml.ErrInvalid, name)
		}
	}
	if c.Script == nil && c.Replicas > 1 {
		return fmt.Errorf("%w: Replicas are for scripts: a Go function serves all requests at once", azml.ErrInvalid)
	}
	if c.Script != nil && c.MaxConcurrent > 1 {
		return fmt.Errorf("%w: a replica of a script runs one request at a time: raise Replicas instead of MaxConcurrent", azml.ErrInvalid)
	}
	if slices.Contains(c.Models, nil) {
		return fmt.Errorf("%w: Models holds nil", azml.ErrInvalid)
	}
	if c.Address != "" {
		if _, port, err := net.SplitHostPort(c.Address); err != nil || port == "" {
			return fmt.Errorf("%w: address %q: write host:port, such as 127.0.0.1:8080", azml.ErrInvalid, c.Address)
		}
	}
	if c.AuthDisabled && !loopback(c.Address) {
		return fmt.Errorf("%w: address %q is reachable from other machines: keep authentication on", azml.ErrInvalid, c.Address)
	}
	if c.Script != nil {
		if err := environment.CheckVariables(c.Script.Variables); err != nil {
			return err
		}
	}
	if err := core.CheckText("description", c.Description); err != nil {
		return err
	}
	return core.CheckLabels("tags", c.Tags)
}

// fill puts the configuration into a record.
func (c *Config) fill(r *record.Endpoint) {
	r.Description, r.Tags, r.Address = c.Description, maps.Clone(c.Tags), c.Address
	r.AuthDisabled, r.CORSOrigins = c.AuthDisabled, slices.Clone(c.CORSOrigins)
	r.Replicas, r.MaxConcurrent = max(c.Replicas, 1), c.MaxConcurrent
	r.ScoringTimeout, r.MaxQueueWait = c.ScoringTimeout.Milliseconds(), c.MaxQueueWait.Milliseconds()
	r.Kind = kindHandler
	if c.Script != nil {
		r.Kind, r.EntryScript, r.Variables = kindScript, c.Script.EntryScript, maps.Clone(c.Script.Variables)
	}
	r.Models = nil
	for _, m := range slices.Concat([]*model.Model{c.Model}, c.Models) {
		if m != nil && !slices.Contains(r.Models, m.ID()) {
			r.Models = append(r.Models, m.ID())
		}
	}
}

// loopback tells whether the address is reachable from this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || address == "" {
		return address == ""
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
