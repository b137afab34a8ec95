package mlflow

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// access is what each route of MLflow's interface does that is not a GET: whoever
// adds one decides here.
var access = map[string]Access{
	"POST /mlflow/experiments/search":                        Read,
	"POST /mlflow/runs/search":                               Read,
	"POST /mlflow/logged-models/search":                      Read,
	"POST /mlflow/registered-models/search":                  Read,
	"POST /mlflow/model-versions/search":                     Read,
	"POST /mlflow/registered-models/get-latest-versions":     Read,
	"POST /mlflow/experiments/search-datasets":               Read,
	"POST mlflow/experiments/search-datasets":                Read,
	"POST /mlflow/experiments/create":                        Write,
	"POST /mlflow/experiments/update":                        Write,
	"POST /mlflow/experiments/restore":                       Write,
	"POST /mlflow/experiments/set-experiment-tag":            Write,
	"POST /mlflow/experiments/delete-experiment-tag":         Write,
	"POST /mlflow/runs/create":                               Write,
	"POST /mlflow/runs/update":                               Write,
	"POST /mlflow/runs/restore":                              Write,
	"POST /mlflow/runs/log-metric":                           Write,
	"POST /mlflow/runs/log-parameter":                        Write,
	"POST /mlflow/runs/log-batch":                            Write,
	"POST /mlflow/runs/log-inputs":                           Write,
	"POST /mlflow/runs/log-model":                            Write,
	"POST /mlflow/runs/outputs":                              Write,
	"POST /mlflow/runs/set-tag":                              Write,
	"POST /mlflow/runs/delete-tag":                           Write,
	"PUT /mlflow-artifacts/artifacts/{...}":                  Write,
	"PUT /mlflow-artifacts/mpu/parts/{}/{}":                  Write,
	"POST /mlflow-artifacts/mpu/create/{...}":                Write,
	"POST /mlflow-artifacts/mpu/complete/{...}":              Write,
	"POST /mlflow-artifacts/mpu/abort/{...}":                 Write,
	"POST /mlflow/upload-artifact":                           Write,
	"POST /mlflow/logged-models":                             Write,
	"PATCH /mlflow/logged-models/{}":                         Write,
	"POST /mlflow/logged-models/{}/params":                   Write,
	"PATCH /mlflow/logged-models/{}/tags":                    Write,
	"DELETE /mlflow/logged-models/{}/tags/{...}":             Write,
	"POST /mlflow/registered-models/create":                  Write,
	"PATCH /mlflow/registered-models/update":                 Write,
	"POST /mlflow/registered-models/rename":                  Write,
	"POST /mlflow/registered-models/set-tag":                 Write,
	"DELETE /mlflow/registered-models/delete-tag":            Write,
	"POST /mlflow/registered-models/alias":                   Write,
	"DELETE /mlflow/registered-models/alias":                 Write,
	"POST /mlflow/model-versions/create":                     Write,
	"PATCH /mlflow/model-versions/update":                    Write,
	"POST /mlflow/model-versions/transition-stage":           Write,
	"POST /mlflow/model-versions/set-tag":                    Write,
	"DELETE /mlflow/model-versions/delete-tag":               Write,
	"POST /mlflow/experiments/delete":                        Delete,
	"POST /mlflow/runs/delete":                               Delete,
	"DELETE /mlflow/logged-models/{}":                        Delete,
	"DELETE /mlflow/registered-models/delete":                Delete,
	"DELETE /mlflow/model-versions/delete":                   Delete,
	"DELETE /mlflow-artifacts/artifacts/{...}":               Delete,
	"DELETE /mlflow/something-new/{}":                        Delete,
	"POST /mlflow/something-new/delete":                      Delete,
	"POST /mlflow/metrics/get-history-bulk-of-something-new": Write,
}

func TestAccessOfRoutes(t *testing.T) {
	t.Parallel()
	for route, want := range access {
		method, path, _ := strings.Cut(route, " ")
		require.Equal(t, want, accessOf(method, path), route)
	}
	for prefix, table := range tables() {
		for _, r := range table {
			if isRead(r.method) {
				require.Equal(t, Read, accessOf(r.method, r.path))
				continue
			}
			require.Contains(t, access, r.method+" "+r.path, "decide what the route below %q does", prefix)
		}
	}
}

// TestAuthorize asks for each route before anything else is done.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	var asked Access
	s := serve(t, &Options{Authorize: func(_ *http.Request, a Access) error {
		asked = a
		return fmt.Errorf("%w: nobody may", azml.ErrDenied)
	}})
	for prefix, table := range tables() {
		for _, r := range table {
			path := strings.NewReplacer(wildRest, "e/r/artifacts/a", wildOne, "x").Replace(prefix + r.path)
			asked = 0
			a := s.send(r.method, path, jsonType, `{"name":"x"}`)
			require.Equal(t, http.StatusForbidden, a.status, "%s %s", r.method, path)
			require.Equal(t, accessOf(r.method, r.path), asked)
		}
	}
	asked = 0
	require.Equal(t, http.StatusNotFound, s.send("POST", "/api/2.0/mlflow/none", jsonType, "{}").status)
	require.Zero(t, asked)
}
