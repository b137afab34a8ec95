package endpoint

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/record"
)

func TestNoWaitForBatches(t *testing.T) {
	t.Parallel()
	var d record.EndpointDeployment
	(&Config{MaxBatchWait: -1}).fill(&d)
	require.Negative(t, batching(&d, 1).Wait, "however little less than 0 it was")
}
