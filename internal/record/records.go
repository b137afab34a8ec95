package record

import (
	"reflect"
	"time"
)

// fresh gives a zero record of rec's type.
func fresh(rec Record) Record {
	return reflect.New(reflect.TypeOf(rec).Elem()).Interface().(Record)
}

// Workspace is the record of the workspace itself, at "workspace.json".
type Workspace struct {
	Meta
	// ID is a UUID, drawn when the workspace was created.
	ID string `json:"id"`
	// Name is the workspace's name.
	Name string `json:"name"`
	// FriendlyName is a name for people, of any form.
	FriendlyName string `json:"friendlyName,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// DefaultDatastore is the name of the default datastore, empty for the
	// workspace's own.
	DefaultDatastore string `json:"defaultDatastore,omitempty"`
	// Vault is the URL of the key vault with the workspace's secrets, empty where
	// who opens it has to name one.
	Vault string `json:"vault,omitempty"`
}

// Schema implements Record.
func (*Workspace) Schema() string { return "azml.workspace/1" }

// Experiment is the record of an experiment, at "experiments/<name>.json".
type Experiment struct {
	Meta
	// ID is a UUID.
	ID string `json:"id"`
	// Name is the experiment's name.
	Name string `json:"name"`
	// Title is what MLflow shows as the name, when that is not Name: Name was
	// made of it because it is no legal one, or it was renamed since.
	Title string `json:"title,omitempty"`
	// AliasOf makes this no experiment but one more name of the experiment that
	// it names: one that was renamed. Lists leave it out.
	AliasOf string `json:"aliasOf,omitempty"`
	// ArtifactLocation is the URI below which MLflow clients keep the files of
	// runs themselves, empty when the workspace does.
	ArtifactLocation string `json:"artifactLocation,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Archived is when the experiment was hidden from lists, zero when it is
	// active.
	Archived time.Time `json:"archived,omitzero"`
}

// Schema implements Record.
func (*Experiment) Schema() string { return "azml.experiment/1" }

// RunNumber ties a number inside an experiment to a run, at
// "experiments/<name>/runs/<number>.json". It is written once.
type RunNumber struct {
	Meta
	// RunID is the run that has the number.
	RunID string `json:"runId"`
}

// Schema implements Record.
func (*RunNumber) Schema() string { return "azml.run-number/1" }

// Files is one part of the list of a run's files, at
// "runs/<id>/files-<life>/<number>.json", or of those of a logged model, at
// "logged-models/<id>/files/<number>.json". Parts are numbered without gaps and written
// once, so that two writers of the same path meet at the same number.
type Files struct {
	Meta
	// Manifest is the ID of the manifest that lists the files of this part,
	// empty when it only removes.
	Manifest string `json:"manifest,omitempty"`
	// Paths are the paths in the manifest, so that most questions need no
	// second read. A file replaces one of the same path in earlier parts.
	Paths []string `json:"paths,omitempty"`
	// Removed are files, and folders with all below them, of earlier parts that
	// are there no more.
	Removed []string `json:"removed,omitempty"`
	// Whole says that the manifest lists all files that there are: earlier parts
	// count no more, and their manifests may be gone.
	Whole bool `json:"whole,omitempty"`
}

// Schema implements Record.
func (*Files) Schema() string { return "azml.run-files/1" }

// Environment is the record of one version of an environment, at
// "environments/<name>/<version>.json". It is written once.
type Environment struct {
	Meta
	// Name is the environment's name.
	Name string `json:"name"`
	// Version is an integer as text unless the registrar chose another.
	Version string `json:"version"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Variables are environment variables that every process in it gets.
	Variables map[string]string `json:"environmentVariables,omitempty"`
	// Python says what Python has to be there.
	Python Python `json:"python"`
	// Docker says what image it is in, where it is in one.
	Docker Docker `json:"docker,omitzero"`
	// Hash is the content hash, which names the materialised environment.
	Hash string `json:"hash"`
}

// Schema implements Record.
func (*Environment) Schema() string { return "azml.environment/1" }

// Docker is the image part of an environment. At most one of its members is set.
type Docker struct {
	// BaseImage is the image that it begins with.
	BaseImage string `json:"baseImage,omitempty"`
	// BaseDockerfile is the text of a Dockerfile that makes that image.
	BaseDockerfile string `json:"baseDockerfile,omitempty"`
	// BuildContext is a folder with a Dockerfile that makes it.
	BuildContext *BuildContext `json:"buildContext,omitempty"`
}

// BuildContext is a folder with a Dockerfile.
type BuildContext struct {
	// Files is the ID of the manifest of its files.
	Files string `json:"files"`
	// Hash is the content hash of what is sent of it.
	Hash string `json:"hash"`
	// Dockerfile is the path of the Dockerfile in it.
	Dockerfile string `json:"dockerfile"`
}

// Python is the Python part of an environment. Its fields are those of
// pyenv.Spec, so that one converts to the other.
type Python struct {
	// PythonVersion is the Python version wanted, such as "3.11"; empty for any.
	PythonVersion string `json:"version,omitempty"`
	// Pip are requirements as pip reads them.
	Pip []string `json:"pip,omitempty"`
	// Constraints are requirements that only limit versions.
	Constraints []string `json:"constraints,omitempty"`
	// PipOptions are pip's own options, such as "--index-url …".
	PipOptions []string `json:"pipOptions,omitempty"`
	// Conda are packages from conda.
	Conda []string `json:"conda,omitempty"`
	// Channels are conda's channels.
	Channels []string `json:"channels,omitempty"`
	// UserManaged says that the user provides the interpreter and its packages.
	UserManaged bool `json:"userManagedDependencies,omitempty"`
	// InterpreterPath is the interpreter of a user managed environment.
	InterpreterPath string `json:"interpreterPath,omitempty"`
}

// Compute is the record of a compute target, at "compute/<name>.json".
type Compute struct {
	Meta
	// Name is the target's name.
	Name string `json:"name"`
	// Type is the kind of target, such as "Local".
	Type string `json:"type"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Attached says that the machine was there before and survives a detach.
	Attached bool `json:"attached"`
	// State is the provisioning state, such as "Succeeded".
	State string `json:"provisioningState"`
	// Connection says where the target is, by names of the type's own; nothing in
	// it is secret.
	Connection map[string]string `json:"connection,omitempty"`
	// Secret is the name of the secret that holds the credentials, empty for none.
	Secret string `json:"secret,omitempty"`
	// Cluster is set for a cluster, which has no connection of its own.
	Cluster *Cluster `json:"cluster,omitempty"`
	// LastOperation is what was done last with a compute instance, nil for others.
	LastOperation *ComputeOperation `json:"lastOperation,omitempty"`
}

// ComputeOperation is something that is done with a compute instance, or was.
type ComputeOperation struct {
	// Name is Create, Start, Stop, Restart or Delete.
	Name string `json:"operationName"`
	// Status is InProgress, Succeeded, or the name with Failed.
	Status string `json:"operationStatus"`
	// Trigger is who wanted it: User.
	Trigger string `json:"operationTrigger"`
	// Time is when the status began.
	Time time.Time `json:"operationTime"`
	// Error says what went wrong.
	Error string `json:"error,omitempty"`
}

// Schema implements Record.
func (*Compute) Schema() string { return "azml.compute/1" }

// EnvironmentRef names one version of an environment.
type EnvironmentRef struct {
	// Name is the environment's name.
	Name string `json:"name"`
	// Version is its version.
	Version string `json:"version"`
	// Hash is its content hash.
	Hash string `json:"hash"`
}

// Owner is the process that answers for a run or an endpoint.
type Owner struct {
	// ID is drawn at random by each process.
	ID string `json:"id"`
	// Host is the machine's name.
	Host string `json:"host"`
	// Boot is the machine's boot ID, empty where there is none.
	Boot string `json:"boot,omitempty"`
	// Namespace names the space that PID is from, empty where there is one only.
	Namespace string `json:"namespace,omitempty"`
	// PID is the process ID.
	PID int `json:"pid"`
	// Started is the process's start time in the machine's own unit, which
	// tells it from a later process of the same ID; 0 when not known.
	Started uint64 `json:"started,omitempty"`
	// Workspace is the ID of the workspace in which it answers for the run, empty
	// for the one that has the record. Elsewhere the run is a copy, of which
	// nobody can tell whether the process is still there.
	Workspace string `json:"workspace,omitempty"`
}
