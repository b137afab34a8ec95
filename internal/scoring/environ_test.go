package scoring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOwnVariables: what a script is told of its folders and its service holds, whatever its
// environment says.
func TestOwnVariables(t *testing.T) {
	t.Parallel()
	c := PythonConfig{ModelDir: "/models", ServiceName: "svc", ServiceVersion: "1.0", Env: map[string]string{"AZUREML_MODEL_DIR": "/else", "SERVICE_VERSION": "3", "A": "b"}}
	environ := c.environ()
	for _, want := range []string{"AZUREML_MODEL_DIR=/models", "SERVICE_NAME=svc", "SERVICE_VERSION=3", "A=b"} {
		require.Contains(t, environ, want)
	}
	require.NotContains(t, environ, "AZUREML_MODEL_DIR=/else")
}
