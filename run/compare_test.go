package run_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	ws := open(t)
	source := t.TempDir()
	file(t, source, "a.txt", "x")
	one := startIn(t, ws, &experiment.RunOptions{RunID: "one", Source: source, Tags: map[string]string{"team": "risk", "same": "x", "empty": ""}})
	two := startIn(t, ws, &experiment.RunOptions{RunID: "two", Source: source, Tags: map[string]string{"team": "fraud", "same": "x"}})
	for r, lr := range map[*run.Run]float64{one: 0.1, two: 0.2} {
		require.NoError(t, r.LogParam(t.Context(), "lr", lr))
		require.NoError(t, r.LogParam(t.Context(), "epochs", 3))
		require.NoError(t, r.Log("loss", lr*5, nil))
		require.NoError(t, r.Log("loss", lr*2, nil))
	}
	require.NoError(t, two.LogParam(t.Context(), "only", "here"))
	require.NoError(t, two.Log("odd", math.NaN(), nil))

	c, err := run.Compare(t.Context(), []*run.Run{two, one}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"two", "one"}, []string{c.Runs[0].RunID, c.Runs[1].RunID})
	require.Equal(t, []run.LabelComparison{
		{Name: "epochs", Values: map[string]string{"one": "3", "two": "3"}},
		{Name: "lr", Values: map[string]string{"one": "0.1", "two": "0.2"}, Differs: true},
		{Name: "only", Values: map[string]string{"two": "here"}, Differs: true},
	}, c.Params)
	require.Equal(t, []run.LabelComparison{
		{Name: "empty", Values: map[string]string{"one": ""}, Differs: true},
		{Name: "same", Values: map[string]string{"one": "x", "two": "x"}},
		{Name: "team", Values: map[string]string{"one": "risk", "two": "fraud"}, Differs: true},
	}, c.Tags)
	require.Len(t, c.Metrics, 2)
	require.Equal(t, "loss", c.Metrics[0].Name)
	require.Equal(t, 0.5, c.Metrics[0].Summaries["one"].Max)
	require.Equal(t, 0.4, c.Metrics[0].Summaries["two"].Min)
	require.NotContains(t, c.Metrics[1].Summaries, "one")
	require.True(t, c.SameSnapshot)
	require.True(t, c.SameEnvironment)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.Contains(t, string(text), `"value":"NaN"`)

	file(t, source, "a.txt", "changed")
	three := startIn(t, ws, &experiment.RunOptions{Source: source})
	c, err = run.Compare(t.Context(), []*run.Run{one, three}, nil)
	require.NoError(t, err)
	require.False(t, c.SameSnapshot)

	for name, runs := range map[string][]*run.Run{"none": nil, "one": {one}, "twice": {one, two, one}} {
		_, err := run.Compare(t.Context(), runs, nil)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.True(t, strings.HasPrefix(err.Error(), "compare run"), err)
	}
}

func TestLogsTailRefusesNegative(t *testing.T) {
	t.Parallel()
	_, err := start(t).Logs(t.Context(), &run.LogsOptions{Tail: -1})
	require.ErrorIs(t, err, azml.ErrInvalid)
}
