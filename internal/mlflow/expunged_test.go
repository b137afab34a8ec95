package mlflow

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/history"
)

// TestRestoreOfAnExpungedRun: nobody is told that a run is back that the garbage
// collector is removing.
func TestRestoreOfAnExpungedRun(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	post[createExperimentResponse](s, "experiments/create", object{"name": "e"})
	id := post[runResponse](s, "runs/create", object{"experiment_id": "e"}).Run.Info.RunID
	post[object](s, "runs/delete", object{"run_id": id})
	later := s.core.Now().Add(time.Hour)
	post[object](s, "runs/restore", object{"run_id": id})
	_, err := history.Expunge(t.Context(), s.core, id, later)
	require.NoError(t, err)
	post[object](s, "runs/set-tag", object{"run_id": id, "key": "k", "value": "it is active"})
	post[object](s, "runs/delete", object{"run_id": id})
	_, err = history.Expunge(t.Context(), s.core, id, later)
	require.NoError(t, err)
	a := s.send("POST", "/api/2.0/mlflow/runs/restore", jsonType, fmt.Sprintf(`{"run_id":%q}`, id))
	require.Equal(t, http.StatusNotFound, a.status, "%s", a.body)
}
