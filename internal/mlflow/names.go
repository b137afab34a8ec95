package mlflow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"github.com/azml-go/azml/internal/core"
)

// The experiment that is there from the beginning, for runs that name none.
const (
	defaultKey   = "0"
	defaultTitle = "Default"
)

// experimentKey gives the name in the workspace of what MLflow calls an
// experiment of that name: the same where that is a legal one. Else it is made
// of it, and always in the same way, so that two who create it meet there.
func experimentKey(name string) string {
	switch {
	case name == defaultTitle:
		return defaultKey
	case name != defaultKey && core.ExperimentName.Check(name) == nil:
		return name
	}
	return keyOf(name, "experiment")
}

// modelKey is experimentKey for registered models.
func modelKey(name string) string {
	if core.ModelName.Check(name) == nil {
		return name
	}
	return keyOf(name, "model")
}

// keyOf makes a key of any name.
func keyOf(name, empty string) string {
	sum := sha256.Sum256([]byte(name))
	return slug(name, empty) + "-" + hex.EncodeToString(sum[:4])
}

// slug makes a readable beginning of a key, empty when nothing is left of the
// name.
func slug(name, empty string) string {
	const longest = 40
	plain := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, name)
	plain = strings.Trim(plain[:min(len(plain), longest)], "-_")
	if plain == "" {
		return empty
	}
	return plain
}

// The longest names and values that MLflow's server takes, in characters.
const (
	maxKey             = 250
	maxParam           = 6000
	maxTag             = 8000
	maxExperimentName  = 500
	maxLocation        = 2048
	maxDatasetName     = 500
	maxDatasetDigest   = 36
	maxDatasetSource   = 65_535
	maxDatasetSchema   = 1<<20 - 1
	maxDatasetProfile  = 1<<24 - 1
	maxInputTagKey     = 255
	maxInputTagValue   = 500
	maxMetricsPerBatch = 1000
	maxLabelsPerBatch  = 100
	maxPerBatch        = 1000
)

// checkKey checks the name of a metric, a parameter or a tag. what is how MLflow
// calls it in this place. Unlike MLflow, any characters will do.
func checkKey(what, key string) error {
	switch {
	case key == "":
		return missing(what)
	case utf8.RuneCountInString(key) > maxKey:
		return tooLong(what, maxKey)
	}
	return nil
}

func tooLong(what string, limit int) error {
	return invalid("'%s' exceeds the maximum length of %d characters", what, limit)
}

// cut shortens a value that is longer than MLflow keeps, as it does.
func cut(value string, limit int) string {
	if len(value) <= limit { // in bytes, so in characters
		return value
	}
	n := 0
	for i := range value {
		if n == limit {
			return value[:i]
		}
		n++
	}
	return value
}

// randomName names a run that was given no name.
func randomName() string {
	adjectives := []string{"able", "amber", "bold", "brisk", "calm", "clever", "crisp", "eager", "fair", "fleet", "gentle", "golden", "keen", "lively", "lucid",
		"mellow", "nimble", "patient", "polite", "proud", "quick", "quiet", "rapid", "silver", "smooth", "solid", "steady", "sunny", "swift", "tidy", "vivid", "warm"}
	nouns := []string{"ant", "badger", "bee", "crane", "deer", "eagle", "falcon", "finch", "fox", "gull", "hare", "hawk", "heron", "ibis", "jay", "kite", "lark",
		"lynx", "mole", "newt", "otter", "owl", "perch", "quail", "raven", "robin", "seal", "stork", "swan", "tern", "trout", "wren"}
	return fmt.Sprintf("%s-%s-%d", adjectives[rand.IntN(len(adjectives))], nouns[rand.IntN(len(nouns))], rand.IntN(1000)) //nolint:gosec // a name is no secret
}
