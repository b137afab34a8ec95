package endpoint

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/record"
)

func TestNoWaitForBatches(t *testing.T) {
	t.Parallel()
	var d record.EndpointDeployment
	(&Config{MaxBatchWait: -1}).fill(&d)
	require.Negative(t, batching(&d, 1).Wait, "however little less than 0 it was")
}

// TestSameMistakesSameWords: of several mistakes always the same one is told.
func TestSameMistakesSameWords(t *testing.T) {
	t.Parallel()
	negative := &Config{Script: &Script{}, Replicas: -1, MaxConcurrent: -1, MaxQueue: -1, MaxBatch: -1, MaxMemory: -1}
	short := &Config{Script: &Script{}, ScoringTimeout: 1, MaxQueueWait: 1, InitTimeout: 1, Scaling: &Scaling{Period: time.Microsecond, ScaleDownDelay: 1}}
	misnamed := &Config{Script: &Script{Variables: map[string]string{"1A": "", "1B": "", "1C": "", "1D": ""}}}
	collected := &Config{Script: &Script{}, Collect: &Collection{Percent: map[string]float64{"a": 0, "b": 0, "c": 0, "d": 0}}}
	batched := &Config{BatchHandler: func(context.Context, []json.RawMessage) ([]any, error) { return nil, nil },
		Collect: &Collection{Percent: map[string]float64{"a": 1, "b": 1, "c": 1, "d": 1}}}
	for range 20 {
		for told, c := range map[string]*Config{"Replicas": negative, "MaxQueueWait": short, `"1A"`: misnamed, `collection "a"`: collected, `Collect "a"`: batched} {
			err := c.check()
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, told)
		}
		require.ErrorContains(t, new(Client).checkKeys(t.Context(), "svc", Keys{"short", "short"}), string(PrimaryKey))
		require.ErrorContains(t, environment.CheckVariables(map[string]string{"A=": "", "B=": "", "C=": "", "D=": ""}), `"A="`)
	}
}
