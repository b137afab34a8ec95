package core

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

// A NameRule says which names a kind of thing may have.
type NameRule struct {
	kind    string
	pattern func() *regexp.Regexp
	text    string
}

// The rules for names, one per kind. They are Azure ML's; where its code, its
// docstrings and its limits page differ, the code's rule was taken.
var (
	// WorkspaceName is the rule for workspaces.
	WorkspaceName = rule("workspace", `^[a-zA-Z0-9][\w-]{2,32}$`, "3 to 33 letters, digits, '_' or '-', the first a letter or digit")
	// ExperimentName is the rule for experiments.
	ExperimentName = rule("experiment", `^[a-zA-Z0-9][\w-]{0,254}$`, "1 to 255 letters, digits, '_' or '-', the first a letter or digit")
	// RunID is the rule for the IDs of runs.
	RunID = rule("run", `^[a-zA-Z0-9][\w-]{0,255}$`, "1 to 256 letters, digits, '_' or '-', the first a letter or digit")
	// ModelName is the rule for models.
	ModelName = rule("model", `^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$`, "1 to 255 letters, digits, '.', '_' or '-', the first a letter or digit")
	// ModelAlias is the rule for aliases of versions of models: MLflow's, which
	// keeps "latest" and "v" with a number for itself.
	ModelAlias = rule("alias", `^[\p{L}\p{N}_-]{1,255}$`, "1 to 255 letters, digits, '_' or '-'")
	// EnvironmentName is the rule for environments.
	EnvironmentName = rule("environment", `^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$`, "1 to 255 letters, digits, '.', '_' or '-', the first a letter or digit")
	// EnvironmentVersion is the rule for versions of environments.
	EnvironmentVersion = rule("environment version", `^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$`, "1 to 255 letters, digits, '.', '_' or '-', the first a letter or digit")
	// ComputeName is the rule for compute targets.
	ComputeName = rule("compute target", `^[a-zA-Z][a-zA-Z0-9-]{1,15}$`, "2 to 16 letters, digits or '-', the first a letter")
	// DatasetName is the rule for datasets.
	DatasetName = rule("dataset", `^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$`, "1 to 255 letters, digits, '.', '_' or '-', the first a letter or digit")
	// DatastoreName is the rule for datastores.
	DatastoreName = rule("datastore", `^[a-zA-Z0-9_]{1,255}$`, "1 to 255 letters, digits or '_'")
	// EndpointName is the rule for endpoints.
	EndpointName = rule("endpoint", `^[a-z](?:[-a-z0-9]{1,30}[a-z0-9])$`, "3 to 32 lower-case letters, digits or '-', the first a letter, the last no '-'")
	// DeploymentName is the rule for the deployments of an endpoint.
	DeploymentName = rule("deployment", `^[a-z](?:[-a-z0-9]{1,30}[a-z0-9])$`, "3 to 32 lower-case letters, digits or '-', the first a letter, the last no '-', such as \"blue\" or \"v-2\"")
	// TokenName is the rule for the names of access tokens.
	TokenName = rule("token", `^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`, "1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit")
	// TokenID is the rule for the IDs of access tokens.
	TokenID = rule("token", `^[0-9a-f]{16}$`, "16 digits of 0 to 9 and a to f")
	// SecretName is the rule for secrets.
	SecretName = rule("secret", `^[a-zA-Z0-9-]{1,127}$`, "1 to 127 letters, digits or '-'")
)

// rule makes a rule whose pattern is compiled when it is first asked for, and not
// with all the others at the start of each process, agents among them.
func rule(kind, pattern, text string) NameRule {
	return NameRule{kind, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) }), text}
}

// Check gives an ErrInvalid that states the rule when name breaks it.
func (r NameRule) Check(name string) error {
	if r.pattern().MatchString(name) {
		return nil
	}
	return fmt.Errorf("%w: %s name %q: use %s", azml.ErrInvalid, r.kind, short(name), r.text)
}

// The limits of labels: Azure ML's, but for the tags of runs and experiments,
// of which MLflow clients set more and longer ones.
const (
	maxLabels             = 50
	maxTags               = 1000
	maxLabelKey           = 250
	maxLabelValue         = 1000
	maxRunTagValue        = 8000
	maxExperimentTagValue = 20_000
	maxModelTagValue      = 100_000
	maxLabelBytes         = 16 << 20
	maxText               = 5000
)

// CheckLabels checks tags or properties: at most 50, keys of 1 to 250 and
// values of up to 1,000 characters. what names them in the error.
func CheckLabels(what string, labels map[string]string) error {
	return checkLabels(what, labels, maxLabels, maxLabelValue)
}

// CheckRunTags checks the tags of a run: at most 1,000, keys of 1 to 250 and
// values of up to 8,000 characters.
func CheckRunTags(tags map[string]string) error {
	return checkLabels("tags", tags, maxTags, maxRunTagValue)
}

// CheckExperimentTags checks the tags of an experiment: at most 1,000, keys of
// 1 to 250 and values of up to 20,000 characters.
func CheckExperimentTags(tags map[string]string) error {
	return checkLabels("tags", tags, maxTags, maxExperimentTagValue)
}

// CheckModelTags checks the tags of a model, a version or a logged model: at
// most 1,000, keys of 1 to 250 and values of up to 100,000 characters.
func CheckModelTags(tags map[string]string) error {
	return checkLabels("tags", tags, maxTags, maxModelTagValue)
}

// checkLabels also bounds all labels together, so that their record can be read
// again.
func checkLabels(what string, labels map[string]string, most, maxValue int) error {
	if len(labels) > most {
		return fmt.Errorf("%w: %d %s, at most %d can be kept", azml.ErrInvalid, len(labels), what, most)
	}
	bytes := 0
	for key, value := range labels {
		bytes += len(key) + len(value)
	}
	if bytes > maxLabelBytes {
		return fmt.Errorf("%w: %s have %d bytes together, at most %d can be kept", azml.ErrInvalid, what, bytes, maxLabelBytes)
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) { // the same one of several is told each time
		value := labels[key]
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxLabelKey:
			return fmt.Errorf("%w: %s: key %q: use 1 to %d characters", azml.ErrInvalid, what, short(key), maxLabelKey)
		case utf8.RuneCountInString(value) > maxValue:
			return fmt.Errorf("%w: %s: value of %q is longer than %d characters", azml.ErrInvalid, what, key, maxValue)
		case !utf8.ValidString(key) || !utf8.ValidString(value):
			return fmt.Errorf("%w: %s: %q is not UTF-8", azml.ErrInvalid, what, key)
		}
	}
	return nil
}

// CheckText checks a description: UTF-8 of at most 5,000 characters.
func CheckText(what, text string) error {
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxText {
		return fmt.Errorf("%w: %s: use UTF-8 text of at most %d characters", azml.ErrInvalid, what, maxText)
	}
	return nil
}

// short cuts what goes into an error text.
func short(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
