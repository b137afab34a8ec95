package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	c := &classifier{Mean: []float64{1, 0}, Scale: []float64{1, 1}, Weights: []float64{0, 100}}
	out, err := c.answer(json.RawMessage(`{"rows": [[5, 0], [5, 9], [5, -9]]}`))
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{0.5, 1, 0}, out.(response).Probabilities, 1e-9)
	out, err = c.answer(json.RawMessage(`{"rows": []}`))
	require.NoError(t, err)
	require.Empty(t, out.(response).Probabilities)
	for name, input := range map[string]string{
		"no object": `[1, 2]`, "no numbers": `{"rows": [["a", "b"]]}`, "short row": `{"rows": [[1, 2], [1]]}`, "empty": ``,
	} {
		_, err := c.answer(json.RawMessage(input))
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
}
