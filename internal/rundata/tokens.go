package rundata

import (
	"fmt"
	"regexp"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
)

// tokens stand in arguments for the values of inputs and outputs, as Azure ML's SDK
// writes them into what it submits.
var tokens = regexp.MustCompile(`DatasetConsumptionConfig:(\w+)|DatasetOutputConfig:(\w+)|\$AZUREML_DATAREFERENCE_(\w+)`)

// The groups of tokens.
const (
	groupInput = iota + 1
	groupOutput
	groupEither
)

// checkTokens tells whether arguments name an input or output that is none.
func checkTokens(inputs map[string]dataset.Input, outputs map[string]dataset.Output, arguments []string) error {
	for _, argument := range arguments {
		for _, m := range tokens.FindAllStringSubmatch(argument, -1) {
			_, in := inputs[m[groupInput]+m[groupEither]]
			_, out := outputs[m[groupOutput]+m[groupEither]]
			if !in && !out {
				return fmt.Errorf("%w: the argument %q names an input or output that the run doesn't have: add it, or correct its name", azml.ErrInvalid, argument)
			}
		}
	}
	return nil
}

// expand puts values into an argument.
func expand(argument string, values map[string]string) string {
	return tokens.ReplaceAllStringFunc(argument, func(token string) string {
		m := tokens.FindStringSubmatch(token)
		if value, ok := values[m[groupInput]+m[groupOutput]+m[groupEither]]; ok {
			return value
		}
		return token
	})
}
