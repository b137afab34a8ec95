package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/guard"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/router"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/model"
)

// Handler is a scoring function: JSON in, anything that encoding/json can write
// out. For a GET request the input is an object of the query's parameters. An
// error that wraps azml.ErrInvalid is the client's fault and answered with 400
// and its text; any other error or a panic is answered with 500 and a general
// text, the details go to the endpoint's log. It is called by many goroutines
// at once; ctx ends at the scoring timeout.
type Handler func(ctx context.Context, input json.RawMessage) (any, error)

// BatchHandler is a scoring function that answers several requests at once: the
// inputs are as Handler gets one, the answers as it gives one, as many and in the
// same order. An answer that is an error is that request's. When the function gives
// an error, or another number of answers, it is called for each request alone,
// unless the deployment is AtMostOnce. ctx ends at the scoring timeout, and when no
// client waits any more.
type BatchHandler func(ctx context.Context, inputs []json.RawMessage) ([]any, error)

// Config says what a deployment serves and how. At most one of Handler, BatchHandler,
// HTTP and Script is given; without any, Model is served by what it is, see Script. Times
// are whole milliseconds, MaxBatchWait whole microseconds.
type Config struct {
	// Model is the model that is served; Models when there are several. They
	// can't be deleted while the endpoint is served. A scoring script finds
	// their files in the folder that AZUREML_MODEL_DIR names; a model that was
	// registered from a folder has its name there, as in Azure ML.
	Model *model.Model
	// Models are further models.
	Models []*model.Model
	// Handler is a Go function that answers requests in this process.
	Handler Handler
	// BatchHandler is a Go function that answers several requests at once. Collections of
	// its own are not for it: of requests and answers alone.
	BatchHandler BatchHandler
	// HTTP answers requests to /score in this process as they are.
	HTTP http.Handler
	// Script is a Python scoring script.
	Script *Script
	// Replicas is the number of processes of a scoring script, 1 when zero.
	Replicas int
	// Scaling lets the number of processes of a scoring script follow the
	// requests; nil for a fixed number.
	Scaling *Scaling
	// MaxConcurrent is the number of requests that run at once in a replica:
	// without limit for Go functions when zero, always 1 for scripts. Of a
	// BatchHandler it is the number of batches, 1 when zero; of a model that a
	// Runtime runs, likewise, as many as there are processors when zero.
	MaxConcurrent int
	// MaxBatch is how many requests, or rows of tensors, are sent together to what
	// takes several at once: a BatchHandler, a script with a function run_batch(inputs)
	// beside run(data), a model that a Runtime runs, with a free first dimension. 32
	// when zero; with 1 each is sent alone.
	MaxBatch int
	// MaxBatchWait is how long a request waits for others though it could be sent at
	// once, where what was measured says that this pays: 2 ms when zero, less than
	// zero for not at all. Those that have to wait anyway are always sent together.
	MaxBatchWait time.Duration
	// MaxQueue is how many requests may wait for a replica at once, 1,000 when
	// zero; more are answered with 503.
	MaxQueue int
	// MaxQueueWait is how long a request waits for a free replica before it is
	// answered with 503: 500 ms when zero, or a minute when there may be no
	// replica at all.
	MaxQueueWait time.Duration
	// ScoringTimeout is the limit of one request, 60 s when zero; what takes
	// longer is answered with 504.
	ScoringTimeout time.Duration
	// InitTimeout is the limit for the start of a script, 5 minutes when zero.
	InitTimeout time.Duration
	// MaxMemory is how many bytes of data each process of a scoring script may have, no
	// limit when zero: heap and private mappings, used or not, as RLIMIT_DATA counts
	// them. Beyond it Python raises MemoryError, which fails that request or the start
	// alone. It needs hosts on Linux.
	MaxMemory int64
	// AtMostOnce says that a request must not be begun twice. Otherwise one whose
	// replica dies meanwhile is given to another replica, once.
	AtMostOnce bool
	// Sample is the body of a request that is tried on what was started, before
	// it gets any traffic. An answer of 400 or more is a failure. Empty but not nil tries
	// none; nil the one that the only model brings along, if it does: the only .json
	// file of its sample input dataset or, of a model without a script, the first row of
	// that as a table, or what MLflow has kept as an example of a request.
	Sample []byte
	// Collect says what is kept of requests and answers; nil for nothing.
	Collect *Collection
}

// Scaling says how the number of replicas follows the requests: the share of
// replicas that are busy is to be Target.
type Scaling struct {
	// Min is the least number of replicas. With 0 there are none after a time
	// without requests; who comes then waits for one to start.
	Min int
	// Max is the greatest number of replicas, 10 when zero.
	Max int
	// TargetPercent is the share of busy replicas that is wanted, 1 to 100; 70 when zero.
	TargetPercent int
	// Period is how often the number is decided on, 1 s when zero.
	Period time.Duration
	// ScaleDownDelay is for how long fewer replicas must have been enough before
	// some are ended, 1 min when zero.
	ScaleDownDelay time.Duration
}

const (
	defaultMaxReplicas = 10
	mostReplicas       = 1000
	maxSample          = 1 << 20
)

// Script is a Python scoring script with the functions init() and run(data). Without
// an EntryScript, one model is served by what it is: a model of MLflow's, which then
// also answers by MLflow's protocol, or one of the framework ScikitLearn from a
// pickle, or one in a file .onnx, by a host that has a Runtime for it. Its environment is the
// one that it asks for itself, unless Environment names another; what a Runtime runs has none.
type Script struct {
	// Source is the folder of the script; a snapshot of it is kept, so that
	// later changes don't reach the endpoint.
	Source string
	// EntryScript is the script, relative to Source; empty for a model that needs none.
	EntryScript string
	// Environment is what the script needs, see experiment.ScriptRunConfig; for a
	// model without one, what that asks for when zero.
	Environment environment.Spec
	// Variables are environment variables for the script: names of letters, digits and "_",
	// and none that the endpoint sets itself, such as AZUREML_MODEL_DIR.
	Variables map[string]string
	// Server is what runs the script in that environment, ServerWorker when empty.
	Server Server
}

// Server is a program that runs a scoring script.
type Server string

const (
	// ServerWorker is azml's own, which needs no package.
	ServerWorker Server = ""
	// ServerInference is Azure ML's own server, which the environment must have as the
	// package azureml-inference-server-http. It needs hosts on Linux or macOS, starts
	// slower than a worker and takes longer for each request, and knows no run_batch().
	ServerInference Server = scoring.InferenceServer
)

// checkServer tells what does not go with the server that was chosen.
func (c *Config) checkServer() error {
	switch {
	case c.Script == nil || c.Script.Server == ServerWorker:
	case c.Script.Server != ServerInference:
		return fmt.Errorf("%w: server %q: use %s, or leave it empty for azml's own", azml.ErrInvalid, c.Script.Server, ServerInference)
	case c.Script.EntryScript == "":
		return fmt.Errorf("%w: %s serves scoring scripts: name an EntryScript", azml.ErrInvalid, ServerInference)
	case c.MaxBatch > 1 || c.MaxBatchWait > 0:
		return fmt.Errorf("%w: %s knows no run_batch(): leave MaxBatch and MaxBatchWait out", azml.ErrInvalid, ServerInference)
	}
	return nil
}

// kindOf tells a Go function from a script in a record.
const (
	kindHandler = "handler"
	kindScript  = "script"
	kindModel   = "model" // without a script
)

// complete gives a model alone what serves it.
func (c *Config) complete() {
	if c.Handler == nil && c.BatchHandler == nil && c.HTTP == nil && c.Script == nil && (c.Model != nil || len(c.Models) > 0) {
		c.Script = &Script{}
	}
}

// named is a field by its name. Lists of them are checked in one order, so that the same
// mistake is always told in the same words.
type named[T any] struct {
	name  string
	value T
}

// check tells what is wrong with the configuration itself.
func (c *Config) check() error {
	given := 0
	for _, is := range []bool{c.Handler != nil, c.BatchHandler != nil, c.HTTP != nil, c.Script != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("%w: give exactly one of Handler, BatchHandler, HTTP and Script, or a model that needs none", azml.ErrInvalid)
	}
	for _, field := range []named[int64]{{"Replicas", int64(c.Replicas)}, {"MaxConcurrent", int64(c.MaxConcurrent)}, {"MaxBatch", int64(c.MaxBatch)},
		{"MaxQueue", int64(c.MaxQueue)}, {"MaxMemory", c.MaxMemory}} {
		if field.value < 0 {
			return fmt.Errorf("%w: %s is negative: use 1 or more, or 0 for the default", azml.ErrInvalid, field.name)
		}
	}
	if err := c.checkTimes(); err != nil {
		return err
	}
	if c.Script == nil && (c.Replicas > 1 || c.Scaling != nil) {
		return fmt.Errorf("%w: Replicas and Scaling are for scripts: a Go function serves all requests at once", azml.ErrInvalid)
	}
	if c.Script == nil && c.MaxMemory > 0 {
		return fmt.Errorf("%w: MaxMemory is for scripts: a Go function has the memory of its program", azml.ErrInvalid)
	}
	if c.Script != nil && c.Script.EntryScript != "" && c.MaxConcurrent > 1 {
		return errOneAtOnce
	}
	if slices.Contains(c.Models, nil) {
		return fmt.Errorf("%w: Models holds nil", azml.ErrInvalid)
	}
	if len(c.Sample) > maxSample {
		return fmt.Errorf("%w: the sample request has %d bytes, at most %d are kept", azml.ErrInvalid, len(c.Sample), maxSample)
	}
	if c.Script != nil {
		if err := checkVariables(c.Script.Variables); err != nil {
			return err
		}
	}
	if err := c.checkServer(); err != nil {
		return err
	}
	if err := c.Collect.check(); err != nil {
		return err
	}
	if c.BatchHandler != nil && c.Collect != nil {
		for _, name := range slices.Sorted(maps.Keys(c.Collect.Percent)) {
			if name != CollectRequest && name != CollectResponse {
				return fmt.Errorf("%w: Collect %q: a BatchHandler has no request of its own to collect for", azml.ErrInvalid, name)
			}
		}
	}
	return c.checkScaling()
}

// checkVariables refuses environment variables that no shell could name, and those that
// tell a script of its folders and its service.
func checkVariables(variables map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		odd := func(c rune) bool {
			return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
		}
		if name == "" || name[0] >= '0' && name[0] <= '9' || strings.ContainsFunc(name, odd) {
			return fmt.Errorf("%w: environment variable %q: use letters, digits and \"_\", the first no digit", azml.ErrInvalid, name)
		}
	}
	if err := refuseOwn(variables); err != nil {
		return err
	}
	return environment.CheckVariables(variables)
}

// refuseOwn refuses environment variables that tell a script of its folders and its service.
func refuseOwn(variables map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if scoring.OwnVariable(name) {
			return fmt.Errorf("%w: environment variable %s: the endpoint sets it for its script: use another name", azml.ErrInvalid, name)
		}
	}
	return nil
}

// checkTimes refuses times that are negative or too short to be kept.
func (c *Config) checkTimes() error {
	times := []named[time.Duration]{{"MaxQueueWait", c.MaxQueueWait}, {"ScoringTimeout", c.ScoringTimeout}, {"InitTimeout", c.InitTimeout}}
	if s := c.Scaling; s != nil {
		times = append(times, named[time.Duration]{"Period", s.Period}, named[time.Duration]{"ScaleDownDelay", s.ScaleDownDelay})
	}
	for _, field := range times {
		if d := field.value; d < 0 || d%time.Millisecond != 0 {
			return fmt.Errorf("%w: %s of %s: use whole milliseconds, or 0 for the default", azml.ErrInvalid, field.name, d)
		}
	}
	if d := c.MaxBatchWait; d > 0 && d%time.Microsecond != 0 {
		return fmt.Errorf("%w: MaxBatchWait of %s: use whole microseconds, 0 for the default, or less for no waiting", azml.ErrInvalid, d)
	}
	return nil
}

var errOneAtOnce = fmt.Errorf("%w: a replica of a script runs one request at a time: raise Replicas instead of MaxConcurrent", azml.ErrInvalid)

func (c *Config) checkScaling() error {
	if c.Replicas > mostReplicas || c.Scaling != nil && c.Scaling.Max > mostReplicas {
		return fmt.Errorf("%w: more than %d replicas", azml.ErrInvalid, mostReplicas)
	}
	if c.Scaling == nil {
		return nil
	}
	if c.Replicas != 0 {
		return fmt.Errorf("%w: Replicas is a fixed number: give Scaling's Min and Max instead", azml.ErrInvalid)
	}
	if p := c.Scaling.TargetPercent; p < 0 || p > whole {
		return fmt.Errorf("%w: TargetPercent of %d: use 1 to 100, or 0 for the default", azml.ErrInvalid, p)
	}
	var d record.EndpointDeployment
	c.fill(&d)
	return scaleOf(&d).Check()
}

// fill puts the configuration into a record.
func (c *Config) fill(d *record.EndpointDeployment) {
	d.MinReplicas = max(c.Replicas, 1)
	d.MaxReplicas = d.MinReplicas
	if s := c.Scaling; s != nil {
		d.MinReplicas, d.MaxReplicas, d.TargetUtilization = s.Min, s.Max, s.TargetPercent
		d.RefreshPeriod, d.ScaleDownDelay = s.Period.Milliseconds(), s.ScaleDownDelay.Milliseconds()
		if s.Max == 0 {
			d.MaxReplicas = defaultMaxReplicas
		}
	}
	d.MaxConcurrent, d.MaxQueue, d.AtMostOnce, d.Sample = c.MaxConcurrent, c.MaxQueue, c.AtMostOnce, slices.Clone(c.Sample)
	if len(d.Sample) == 0 {
		d.Sample = nil
	}
	d.ScoringTimeout, d.MaxQueueWait, d.InitTimeout = c.ScoringTimeout.Milliseconds(), c.MaxQueueWait.Milliseconds(), c.InitTimeout.Milliseconds()
	d.MaxMemory = c.MaxMemory
	d.Collect = c.Collect.record()
	d.MaxBatch, d.MaxBatchWait = c.MaxBatch, c.MaxBatchWait.Microseconds()
	if c.MaxBatchWait < 0 {
		d.MaxBatchWait = -1
	}
	d.Kind = kindHandler
	if c.Script != nil {
		d.Kind, d.EntryScript, d.Variables = kindScript, c.Script.EntryScript, maps.Clone(c.Script.Variables)
		d.Server = string(c.Script.Server)
		if c.Script.EntryScript == "" {
			d.Kind = kindModel
		} else {
			d.MaxConcurrent = 1
		}
	}
	for _, m := range c.models() {
		d.Models = append(d.Models, m.ID())
	}
}

// models gives all models, each once.
func (c *Config) models() (list []*model.Model) {
	for _, m := range slices.Concat([]*model.Model{c.Model}, c.Models) {
		if m != nil && !slices.ContainsFunc(list, func(other *model.Model) bool { return other.ID() == m.ID() }) {
			list = append(list, m)
		}
	}
	return list
}

func scaleOf(d *record.EndpointDeployment) router.Scale {
	const percent = 100
	return router.Scale{Min: d.MinReplicas, Max: d.MaxReplicas, Target: float64(d.TargetUtilization) / percent,
		Period: milliseconds(d.RefreshPeriod), Keep: milliseconds(d.ScaleDownDelay)}
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// Auth is what a request needs to be let in.
type Auth string

// The kinds of authentication.
const (
	// AuthKey asks for one of the endpoint's two keys.
	AuthKey Auth = record.AuthKey
	// AuthToken asks for a token that expires, see Endpoint.Token; keys are not
	// accepted.
	AuthToken Auth = record.AuthToken
	// AuthNone lets everybody in who can reach the address, which must be of the
	// loopback interface.
	AuthNone Auth = record.AuthNone
)

// Settings are an endpoint's own, whatever it serves.
type Settings struct {
	// Auth is what a request needs, AuthKey when empty.
	Auth Auth
	// CORSOrigins are the web origins whose pages may call it, such as
	// "https://ml.example.com:8080", "*" for all.
	CORSOrigins []string
	// MaxBody is the largest body of a request in bytes, 100 MiB when zero.
	MaxBody int64
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels.
	Tags map[string]string
}

func (s *Settings) check() error {
	switch {
	case !slices.Contains([]Auth{"", AuthKey, AuthToken, AuthNone}, s.Auth):
		return fmt.Errorf("%w: authentication %q: use key, token or none", azml.ErrInvalid, s.Auth)
	case s.MaxBody < 0:
		return fmt.Errorf("%w: MaxBody is negative", azml.ErrInvalid)
	}
	for _, origin := range s.CORSOrigins {
		if origin == "*" {
			continue
		}
		if err := guard.CheckOrigin(origin); err != nil {
			return err
		}
	}
	if err := core.CheckText("description", s.Description); err != nil {
		return err
	}
	return core.CheckLabels("tags", s.Tags)
}

// update is what the settings say of an endpoint that is there.
func (s *Settings) update() *Update {
	u := &Update{SetTags: s.Tags, Auth: s.Auth, CORSOrigins: s.CORSOrigins, MaxBody: s.MaxBody}
	if s.Description != "" {
		u.Description = &s.Description
	}
	return u
}

// fill puts the settings into a record.
func (s *Settings) fill(r *record.Endpoint) {
	r.Auth = string(s.Auth)
	if s.Auth == "" {
		r.Auth = record.AuthKey
	}
	r.CORSOrigins, r.MaxBody, r.Description, r.Tags = slices.Clone(s.CORSOrigins), s.MaxBody, s.Description, maps.Clone(s.Tags)
}
