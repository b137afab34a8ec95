package exposition

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// TestServe: what is counted can be asked for, until the end.
func TestServe(t *testing.T) {
	t.Parallel()
	s, err := Serve(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	runs, err := s.Meters().Meter("test").Int64Counter("runs")
	require.NoError(t, err)
	runs.Add(t.Context(), 3)
	resp, err := http.Get(s.URL())
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^runs_total\{.*\} 3$`, string(body))
	_, err = Serve(t.Context(), resp.Request.URL.Host)
	require.ErrorContains(t, err, "metrics: listen tcp "+resp.Request.URL.Host)
	require.NoError(t, s.Close(t.Context()))
	_, err = http.Get(s.URL())
	require.Error(t, err)
}

// TestCheck: metrics are for this machine alone.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:9464", "127.3.2.1:0", "[::1]:9464", "localhost:9464"} {
		require.NoError(t, Check(address), address)
	}
	for _, address := range []string{"", "127.0.0.1", "0.0.0.0:9464", ":9464", "[::]:9464", "example.org:80"} {
		err := Check(address)
		require.ErrorIs(t, err, azml.ErrInvalid, address)
		require.ErrorContains(t, err, "127.0.0.1:9464")
	}
}
