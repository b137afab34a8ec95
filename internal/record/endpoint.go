package record

import (
	"cmp"
	"slices"
	"time"
)

// Endpoint is the record of a web service, at "endpoints/<name>.json": what is to
// be served. Who serves it says so in records of their own, see EndpointHost.
type Endpoint struct {
	Meta
	// ID is random, and tells it from others that had its name.
	ID string `json:"id"`
	// Name is the service's name.
	Name string `json:"name"`
	// Secret is what the names of its keys in the secret store begin with; empty for
	// "endpoint-" and the name, as it was for all.
	Secret string `json:"secret,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// Auth is what a request needs: "key", "token" or "none".
	Auth string `json:"auth"`
	// CORSOrigins are the web origins that may call it.
	CORSOrigins []string `json:"corsOrigins,omitempty"`
	// MaxBody is the largest body of a request in bytes, 0 for the default.
	MaxBody int64 `json:"maxBodyBytes,omitempty"`
	// KeyVersion counts the changes of the keys.
	KeyVersion int `json:"keyVersion,omitempty"`
	// Stops counts the stops: who began to serve it before the last one ends.
	Stops int `json:"stops,omitempty"`
	// Stopped says that nobody is to serve it unless asked by its name.
	Stopped bool `json:"stopped,omitempty"`
	// Current is what is served, nil while nothing ever was.
	Current *EndpointRevision `json:"current,omitempty"`
	// Candidate takes the place of Current once somebody has started and tried what is
	// new in it; nil when nothing is to be tried.
	Candidate *EndpointRevision `json:"candidate,omitempty"`
	// History are the revisions before Current, the latest last, 20 at most.
	History []EndpointRevision `json:"history,omitempty"`
	// Failure says what did not start last; nil when the last change succeeded.
	Failure *EndpointFailure `json:"failure,omitempty"`
	// Failed are the deployments that failed, the latest last, 10 at most: who waits for
	// one learns of its end also when another change has come since.
	Failed []EndpointFailure `json:"failed,omitempty"`
}

// KeySecret names the secret of a key of the endpoint, "primary" or "secondary". It is no
// other endpoint's, also of another workspace that has the same store.
func (e *Endpoint) KeySecret(which string) string {
	return cmp.Or(e.Secret, "endpoint-"+e.Name) + "-" + which
}

// Schema implements Record.
func (*Endpoint) Schema() string { return "azml.endpoint/1" }

// Revisions gives all revisions that the record has, those that can be served
// first.
func (e *Endpoint) Revisions() []*EndpointRevision {
	var all []*EndpointRevision
	for _, r := range []*EndpointRevision{e.Current, e.Candidate} {
		if r != nil {
			all = append(all, r)
		}
	}
	for i := range e.History {
		all = append(all, &e.History[i])
	}
	return all
}

// Tries tells whether the deployment of that ID is still to be tried.
func (e *Endpoint) Tries(id string) bool { return e.Candidate.Has(id) && !e.Current.Has(id) }

// Models gives the IDs of the models of what is served, or is to be, each once.
func (e *Endpoint) Models() []string {
	var ids []string
	for _, r := range []*EndpointRevision{e.Current, e.Candidate} {
		if r == nil {
			continue
		}
		for _, d := range r.Deployments {
			ids = append(ids, d.Models...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// EndpointRevision is what an endpoint serves: deployments and their traffic.
type EndpointRevision struct {
	// ID is random.
	ID string `json:"id"`
	// Number counts the revisions that were served, 0 for one that was not yet.
	Number int `json:"number,omitempty"`
	// Made is when the change was asked for.
	Made time.Time `json:"made"`
	// MadeBy is who asked for it, as user@host.
	MadeBy string `json:"madeBy,omitempty"`
	// Note says what was changed.
	Note string `json:"note,omitempty"`
	// Restores is the number of the revision that this one is a copy of, 0 when it is none.
	Restores int `json:"restores,omitempty"`
	// Deployments are sorted by name.
	Deployments []EndpointDeployment `json:"deployments"`
	// Default is the deployment that gets what is left when traffic is given to others.
	Default string `json:"default,omitempty"`
	// Traffic is the share of requests by deployment, in percent: together 100,
	// or none.
	Traffic map[string]int `json:"traffic,omitempty"`
	// Mirror is the share of requests, in percent, of which a deployment gets a copy; at
	// most one has any.
	Mirror map[string]int `json:"mirror,omitempty"`
}

// Deployment gives the deployment of that name, nil when there is none.
func (r *EndpointRevision) Deployment(name string) *EndpointDeployment {
	for i := range r.Deployments {
		if r.Deployments[i].Name == name {
			return &r.Deployments[i]
		}
	}
	return nil
}

// DefaultName gives the default deployment, the one that is there for the longest where
// none is named, "" when there is none.
func (r *EndpointRevision) DefaultName() string {
	if len(r.Deployments) == 0 || r.Deployment(r.Default) != nil {
		return r.Default
	}
	return slices.MinFunc(r.Deployments, func(a, b EndpointDeployment) int { return a.Deployed.Compare(b.Deployed) }).Name
}

// Has tells whether the deployment of that ID is in the revision; none is in nil.
func (r *EndpointRevision) Has(id string) bool {
	return r != nil && slices.ContainsFunc(r.Deployments, func(d EndpointDeployment) bool { return d.ID == id })
}

// EndpointDeployment is one version of the service. It never changes: another
// one, with an ID of its own, takes its place.
type EndpointDeployment struct {
	// Name is the deployment's name.
	Name string `json:"name"`
	// ID is random, and tells it from others of its name.
	ID string `json:"id"`
	// Deployed is when it was deployed.
	Deployed time.Time `json:"deployed"`
	// Models are the IDs ("name:version") of the models it serves.
	Models []string `json:"models,omitempty"`
	// Kind is "handler" for a Go function, "script" for a Python scoring script, "model"
	// for a model that is served without one.
	Kind string `json:"kind"`
	// ModelFormat is what such a model is: "mlflow", "sklearn" for a pickle, or "onnx".
	ModelFormat string `json:"modelFormat,omitempty"`
	// ModelFile is the path of the pickle, or of the ONNX model, in the model.
	ModelFile string `json:"modelFile,omitempty"`
	// EntryScript is the scoring script, relative to the source folder.
	EntryScript string `json:"entryScript,omitempty"`
	// Server is what runs the script: empty for azml's own worker, or
	// "azureml-inference-server-http".
	Server string `json:"server,omitempty"`
	// Source is the manifest ID of the scoring script's folder.
	Source string `json:"source,omitempty"`
	// Environment is the environment of the scoring script or model.
	Environment *EnvironmentRef `json:"environment,omitempty"`
	// Variables are the user's environment variables of the scoring script.
	Variables map[string]string `json:"environmentVariables,omitempty"`
	// MinReplicas is the least number of replicas.
	MinReplicas int `json:"minReplicas"`
	// MaxReplicas is the greatest number of replicas.
	MaxReplicas int `json:"maxReplicas"`
	// TargetUtilization is the share of busy replicas that is wanted, in percent.
	TargetUtilization int `json:"targetUtilization,omitempty"`
	// RefreshPeriod is how often the number of replicas is decided on, in
	// milliseconds.
	RefreshPeriod int64 `json:"refreshPeriodMs,omitempty"`
	// ScaleDownDelay is for how long fewer replicas must have been enough before
	// some are ended, in milliseconds.
	ScaleDownDelay int64 `json:"scaleDownDelayMs,omitempty"`
	// MaxConcurrent is the number of requests that run at once in a replica.
	MaxConcurrent int `json:"maxConcurrentRequestsPerContainer,omitempty"`
	// MaxBatch is how many requests are sent together to what takes several.
	MaxBatch int `json:"maxBatch,omitempty"`
	// MaxBatchWait is how long one waits for others, in microseconds.
	MaxBatchWait int64 `json:"maxBatchWaitUs,omitempty"`
	// MaxQueue is how many requests may wait for a replica at once.
	MaxQueue int `json:"maxQueue,omitempty"`
	// MaxQueueWait is how long a request waits for a replica, in milliseconds.
	MaxQueueWait int64 `json:"maxQueueWaitMs,omitempty"`
	// MaxMemory is the limit of the data of a script's process in bytes; 0 is none.
	MaxMemory int64 `json:"maxMemory,omitempty"`
	// ScoringTimeout is the limit of one request in milliseconds.
	ScoringTimeout int64 `json:"scoringTimeoutMs,omitempty"`
	// InitTimeout is the limit of a replica's start in milliseconds.
	InitTimeout int64 `json:"initTimeoutMs,omitempty"`
	// AtMostOnce says that a request whose replica ended is not given to another.
	AtMostOnce bool `json:"atMostOnce,omitempty"`
	// Sample is a request that is tried before it gets traffic.
	Sample []byte `json:"sample,omitempty"`
	// Collect says what is kept of its requests, nil for nothing.
	Collect *EndpointCollection `json:"collect,omitempty"`
}

// EndpointCollection says what a deployment keeps of its requests.
type EndpointCollection struct {
	// Percent is how much of each collection is kept, by its name.
	Percent map[string]float64 `json:"percent"`
	// Datastore is the name of the datastore, empty for the default one.
	Datastore string `json:"datastore,omitempty"`
	// Path is the folder there, empty for "modeldata".
	Path string `json:"path,omitempty"`
}

// EndpointFailure says what did not start.
type EndpointFailure struct {
	// Revision is the ID of the revision that was to be served.
	Revision string `json:"revision"`
	// Deployment is the ID of the deployment that did not start, empty when that is
	// not what failed.
	Deployment string `json:"deployment,omitempty"`
	// Error is why not, with the last lines of the log.
	Error string `json:"error"`
	// At is when.
	At time.Time `json:"at"`
}

// EndpointHost is the record of a process that serves an endpoint, at
// "endpoints/<name>/hosts/<id>.json". The process writes it anew every ten
// seconds, and removes it at its end.
type EndpointHost struct {
	Meta
	// ID is random.
	ID string `json:"id"`
	// Endpoint is the endpoint's ID. Of another endpoint, that was deleted, it is
	// a leftover.
	Endpoint string `json:"endpoint"`
	// Owner is the process.
	Owner Owner `json:"owner"`
	// State is Transitioning, Healthy or Unhealthy.
	State string `json:"state"`
	// Since is when State began.
	Since time.Time `json:"since"`
	// URL is where it serves, "http://127.0.0.1:port"; empty when it does not yet.
	URL string `json:"url,omitempty"`
	// GRPC is the address, "127.0.0.1:port", where it serves gRPC; empty when it does
	// not.
	GRPC string `json:"grpc,omitempty"`
	// Phase is what it is doing to serve what is new, empty when nothing.
	Phase string `json:"phase,omitempty"`
	// Error says why it can't serve what it should.
	Error string `json:"error,omitempty"`
	// Declined is the last candidate that it can't try; nil when there was none.
	Declined *DeclinedRevision `json:"declined,omitempty"`
	// Revision is the number of the revision that it serves.
	Revision int `json:"revision,omitempty"`
	// KeyVersion is the endpoint's KeyVersion whose keys it accepts.
	KeyVersion int `json:"keyVersion,omitempty"`
	// Deployments are those that it serves.
	Deployments []HostedDeployment `json:"deployments,omitempty"`
}

// Schema implements Record.
func (*EndpointHost) Schema() string { return "azml.endpoint-host/1" }

// DeclinedRevision is a candidate that a serving process lacks something for.
type DeclinedRevision struct {
	// ID is the revision's ID.
	ID string `json:"id"`
	// Reason says what is lacking, and who has it.
	Reason string `json:"reason"`
}

// Declines gives why the process can't try the revision; empty when it can, or has not
// said so yet.
func (r *EndpointHost) Declines(revision *EndpointRevision) string {
	if revision == nil || r.Declined == nil || r.Declined.ID != revision.ID {
		return ""
	}
	return r.Declined.Reason
}

// HostedDeployment is a deployment in a serving process. All counts are since it
// was started there.
type HostedDeployment struct {
	// Name is the deployment's name.
	Name string `json:"name"`
	// ID is the deployment's ID.
	ID string `json:"id"`
	// Replicas counts its replicas.
	Replicas int `json:"replicas"`
	// Ready counts those that can take requests.
	Ready int `json:"ready"`
	// Busy counts those that have some.
	Busy int `json:"busy"`
	// Queued counts the requests that wait.
	Queued int `json:"queued"`
	// Requests counts all requests.
	Requests int64 `json:"requests"`
	// Failures counts the answers of 500 and more, but for the next two.
	Failures int64 `json:"failures"`
	// Refused counts the answers 503.
	Refused int64 `json:"refused"`
	// Timeouts counts the answers 504.
	Timeouts int64 `json:"timeouts"`
	// Mirrored counts the copies of requests that it got.
	Mirrored int64 `json:"mirrored,omitempty"`
	// Dropped counts the copies that it was too busy for.
	Dropped int64 `json:"dropped,omitempty"`
	// Collected counts the rows, or sets of rows, that were collected.
	Collected int64 `json:"collected,omitempty"`
	// CollectDropped counts those for which there was no room.
	CollectDropped int64 `json:"collectDropped,omitempty"`
	// Milliseconds is how long all requests took together.
	Milliseconds int64 `json:"milliseconds"`
}

// The states of an endpoint and its hosts, Azure ML's names for web services.
const (
	// EndpointTransitioning says that the service is being started.
	EndpointTransitioning = "Transitioning"
	// EndpointHealthy says that it answers.
	EndpointHealthy = "Healthy"
	// EndpointUnhealthy says that the process that serves it is gone, or can't.
	EndpointUnhealthy = "Unhealthy"
	// EndpointFailed says that it could not be started.
	EndpointFailed = "Failed"
	// EndpointStopped says that nobody serves it.
	EndpointStopped = "Stopped"
)

// The kinds of authentication of an endpoint.
const (
	// AuthKey asks for one of the two keys.
	AuthKey = "key"
	// AuthToken asks for a token that expires.
	AuthToken = "token"
	// AuthNone asks for nothing.
	AuthNone = "none"
)
