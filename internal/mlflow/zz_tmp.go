package mlflow

import (
	"cmp"

	"github.com/azml-go/azml/internal/record"
)

func modelKey(name string) string { return experimentKey(name) }

func compareModelMetrics(a, b record.ModelMetric) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Dataset, b.Dataset), cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.RunID, b.RunID))
}
