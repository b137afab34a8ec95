package mlflow_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
)

// runWith makes a run that has ended.
func runWith(t *testing.T, exp *experiment.Experiment, id string) *run.Run {
	t.Helper()
	r, err := exp.Run(t.Context(), func(context.Context, *run.Run) error { return nil }, &experiment.RunOptions{RunID: id})
	require.NoError(t, err)
	return r
}
