//go:build linux || darwin

package supervisor

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 67890, time.FixedZone("", 3600))
	for _, begun := range []Beginning{{Supervisor: 1, PID: 2, Birth: 1 << 63, Boot: "a-b", Started: at}, {Started: at}} {
		var got Beginning
		require.NoError(t, json.Unmarshal(begun.line(), &got))
		require.True(t, begun.Started.Equal(got.Started))
		got.Started = begun.Started
		require.Equal(t, begun, got)
	}
	for _, end := range []End{{ExitCode: 3, Ended: at}, {Signal: 9, Cancelled: true, Ended: at}} {
		var got End
		require.NoError(t, json.Unmarshal(end.line(), &got))
		require.True(t, end.Ended.Equal(got.Ended))
		got.Ended = end.Ended
		require.Equal(t, end, got)
	}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	for _, s := range []Spec{
		{Path: "/bin/sh", Args: []string{"sh", "-c", "", "a\nb"}, Dir: "/", Env: []string{"A=", "B=\xff"}, Input: []byte("x\x00y\x00"), LeftoverGrace: -time.Second},
		{Path: "/bin/true", Args: []string{"true"}, Dir: "/", Env: []string{}, Input: []byte{}},
	} {
		text := s.Encode()
		got, err := readSpec(bytes.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, s, got)
		for n := range text {
			_, err := readSpec(bytes.NewReader(text[:n]))
			require.Error(t, err, "%q", text[:n])
		}
	}
	got, err := readSpec(bytes.NewReader(Spec{}.Encode()))
	require.NoError(t, err)
	require.Empty(t, got.Path)
}
