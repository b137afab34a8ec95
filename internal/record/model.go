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
	// Datasets are the versions of datasets that the model was made with.
	Datasets []DatasetReference `json:"datasets,omitempty"`
	// SampleInput names a version of a dataset, as "name:version", with examples of
	// what the model is given.
	SampleInput string `json:"sampleInputDataset,omitempty"`
	// SampleOutput names one with what it answers.
	SampleOutput string `json:"sampleOutputDataset,omitempty"`
	// Resources are what a replica that serves the model should have.
	Resources ModelResources `json:"resourceConfiguration,omitzero"`
	// Signature says what the model takes and gives; nil when nobody has said it.
	Signature *Signature `json:"signature,omitempty"`
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

// DatasetReference names a version of a dataset and what it was to a model.
type DatasetReference struct {
	// Relation is what it was, such as "training".
	Relation string `json:"relation"`
	// Dataset is "name:version".
	Dataset string `json:"dataset"`
}

// ModelResources are what a replica that serves a model should have; zero says
// nothing.
type ModelResources struct {
	// CPU is the number of processors, which may be a fraction.
	CPU float64 `json:"cpu,omitempty"`
	// MemoryGB is in units of 1,000,000,000 bytes.
	MemoryGB float64 `json:"memoryInGB,omitempty"`
	// GPU is the number of accelerators.
	GPU int `json:"gpu,omitempty"`
}

// Signature says what a model takes and gives.
type Signature struct {
	// Inputs are the columns of a table, or tensors.
	Inputs []SignatureField `json:"inputs,omitempty"`
	// Outputs are the columns or tensors of the answer.
	Outputs []SignatureField `json:"outputs,omitempty"`
}

// SignatureField is one column or tensor of a Signature.
type SignatureField struct {
	// Name is its name; empty for the only tensor, or for columns that are known
	// by their places.
	Name string `json:"name,omitempty"`
	// Type is the type of a value by MLflow's name, such as "double"; "any" for
	// what is not checked.
	Type string `json:"type"`
	// Shape is a tensor's, with -1 for any length; nil for a column.
	Shape []int `json:"shape,omitempty"`
	// Optional says that it can be missing.
	Optional bool `json:"optional,omitempty"`
}

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
