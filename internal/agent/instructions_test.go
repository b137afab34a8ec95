package agent

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

func TestInstructions(t *testing.T) {
	t.Parallel()
	want := Instructions{Protocol: Protocol, RunID: "r", Owner: "o", Gateway: "unix:/x", Token: "t", CacheDir: "/c", Who: "w"}
	data, err := want.Encode()
	require.NoError(t, err)
	got, err := ReadInstructions(bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, want, got)
	for text, class := range map[string]error{
		"":                                      azml.ErrInvalid,
		"nonsense":                              azml.ErrInvalid,
		`{"protocol": 2, "runId": "r"}`:         azml.ErrUnsupported,
		`{"protocol": 1, "runId": "r"}`:         azml.ErrInvalid,
		`{"protocol": 1, "gateway": "unix:/x"}`: azml.ErrInvalid,
		`{"protocol": 1, "runId": "r", "gateway": "unix:/x", "location": "."}`: azml.ErrInvalid,
	} {
		_, err := ReadInstructions(strings.NewReader(text))
		require.ErrorIs(t, err, class, text)
	}
}
