package record

import "time"

// RegisteredModel is the record of a model as a whole, at "models/<name>.json":
// what all its versions have in common. It is written before the first version.
type RegisteredModel struct {
	Meta
	// Name is the model's name.
	Name string `json:"name"`
	// Title is what MLflow shows as the name, when that is not Name: Name was
	// made of it because it is no legal one, or it was renamed since.
	Title string `json:"title,omitempty"`
	// NameOf makes this no model but one more name of the model that it names:
	// one that was renamed. Lists leave it out.
	NameOf string `json:"nameOf,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// Aliases are names that point to a version each, and can be pointed to
	// another one.
	Aliases map[string]int `json:"aliases,omitempty"`
	// Staged says that versions are, or were, in stages. Without it the latest
	// version is the latest of its stage, too, and the only one.
	Staged bool `json:"staged,omitempty"`
	// Deleted is when the model was deleted with all its versions, zero when it
	// is there. Registering its name again makes it anew; numbers go on.
	Deleted time.Time `json:"deleted,omitzero"`
}

// Schema implements Record.
func (*RegisteredModel) Schema() string { return "azml.registered-model/1" }

// The stages of a version, MLflow's.
const (
	// StageStaging says that it is being tried.
	StageStaging = "Staging"
	// StageProduction says that it is in use.
	StageProduction = "Production"
	// StageArchived says that it was in use.
	StageArchived = "Archived"
)

// Stages lists the stages in their order.
func Stages() []string { return []string{StageStaging, StageProduction, StageArchived} }

// Model is the record of one version of a model, at
// "models/<name>/<version>.json". A deleted version leaves its record behind
// with Deleted set, so that its number is never given again.
type Model struct {
	Meta
	// Name is the model's name.
	Name string `json:"name"`
	// Version counts from 1 without gaps.
	Version int `json:"version"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Framework is the framework's name, such as "ScikitLearn".
	Framework string `json:"framework,omitempty"`
	// FrameworkVersion is the framework's version.
	FrameworkVersion string `json:"frameworkVersion,omitempty"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// Properties are labels that never change once set.
	Properties map[string]string `json:"properties,omitempty"`
	// Manifest is the ID of the manifest of the model's files, empty when the
	// workspace has none: then they are where Source says.
	Manifest string `json:"manifest"`
	// Path is the name that the model was registered from: a file, or the
	// folder whose content the files are.
	Path string `json:"path"`
	// Size is the sum of the files' sizes in bytes.
	Size int64 `json:"size"`
	// FileCount is the number of files.
	FileCount int `json:"fileCount"`
	// RunID is the run whose files it was registered from, empty for local files.
	RunID string `json:"runId,omitempty"`
	// Experiment is that run's experiment.
	Experiment string `json:"experiment,omitempty"`
	// Lineage holds facts of the run at the time of registering: snapshot,
	// git commit, environment.
	Lineage map[string]string `json:"lineage,omitempty"`
	// Stage is MLflow's stage of the version: one of Stages, empty for none.
	Stage string `json:"stage,omitempty"`
	// Source is the URI that an MLflow client has registered it from, empty when
	// it was registered otherwise.
	Source string `json:"source,omitempty"`
	// RunLink is the address of a run in another tracking server.
	RunLink string `json:"runLink,omitempty"`
	// ModelID is the logged model that it was registered from.
	ModelID string `json:"modelId,omitempty"`
	// Deleted is when the version was deleted, zero when it is there.
	Deleted time.Time `json:"deleted,omitzero"`
}

// Schema implements Record.
func (*Model) Schema() string { return "azml.model/1" }

// LoggedModel is the record of a model that a run has logged by MLflow's
// interface, at "logged-models/<id>.json". A deleted one leaves its record
// behind with Deleted set.
type LoggedModel struct {
	Meta
	// ID is "m-" and 32 hexadecimal digits.
	ID string `json:"modelId"`
	// Experiment is the name of its experiment.
	Experiment string `json:"experiment"`
	// Name is a name for people; many can have the same.
	Name string `json:"name"`
	// Type is what the client calls the kind of model, such as "Agent".
	Type string `json:"modelType,omitempty"`
	// RunID is the run that has made it, empty for none.
	RunID string `json:"runId,omitempty"`
	// Status is one of the LoggedModel… constants.
	Status string `json:"status"`
	// FileParts is the number of parts of the list of its files when Status was
	// set; there can be more by now.
	FileParts int `json:"fileParts,omitempty"`
	// Params are its parameters, each set once.
	Params map[string]string `json:"params,omitempty"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// Deleted is when it was deleted, zero when it is there.
	Deleted time.Time `json:"deleted,omitzero"`
}

// Schema implements Record.
func (*LoggedModel) Schema() string { return "azml.logged-model/1" }

// The statuses of a logged model.
const (
	// LoggedModelPending says that its files are being uploaded.
	LoggedModelPending = "Pending"
	// LoggedModelReady says that they are complete.
	LoggedModelReady = "Ready"
	// LoggedModelUploadFailed says that they are not and will not be.
	LoggedModelUploadFailed = "UploadFailed"
)
