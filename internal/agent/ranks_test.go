package agent

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/record"
)

func TestNumbersOfProcesses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of   *record.Distributed
		want [][]int // by node
	}{
		"one process":           {nil, [][]int{{0}}},
		"PyTorch":               {&record.Distributed{Framework: PyTorch, Processes: 2}, [][]int{{0, 1}, {2, 3}, {4, 5}}},
		"each mpirun":           {&record.Distributed{Framework: Mpi, Processes: 2}, [][]int{{0}, {1}}},
		"as the SDK writes it":  {&record.Distributed{Framework: TensorFlow, Workers: 3, ParameterServers: 2}, [][]int{{0, 3}, {1, 4}, {2}}},
		"more servers":          {&record.Distributed{Framework: TensorFlow, Workers: 2, ParameterServers: 3}, [][]int{{0, 2, 4}, {1, 3}}},
		"fewer workers":         {&record.Distributed{Framework: TensorFlow, Workers: 1, ParameterServers: 3}, [][]int{{0, 3}, {1}, {2}}},
		"more workers":          {&record.Distributed{Framework: TensorFlow, Workers: 5}, [][]int{{0, 2, 4}, {1, 3}}},
		"a node for each":       {&record.Distributed{Framework: TensorFlow, Workers: 1, ParameterServers: 1}, [][]int{{0}, {1}}},
		"all of them on one":    {&record.Distributed{Framework: TensorFlow, Workers: 2, ParameterServers: 1}, [][]int{{0, 1, 2}}},
		"as many as all others": {&record.Distributed{Framework: TensorFlow, Workers: 2, ParameterServers: 2}, [][]int{{0, 2}, {1, 3}}},
	} {
		for node, want := range c.want {
			require.Equal(t, want, numbers(c.of, node, len(c.want)), "%s, node %d", name, node)
		}
	}
}

// TestEachProcessIsOfOneNode has TensorFlow's processes on as many nodes as there may be:
// each is on exactly one, and no node has none.
func TestEachProcessIsOfOneNode(t *testing.T) {
	t.Parallel()
	for workers := 1; workers <= 6; workers++ {
		for servers := range 6 {
			for nodes := 1; nodes <= workers+servers; nodes++ {
				what := fmt.Sprintf("%d workers and %d parameter servers on %d nodes", workers, servers, nodes)
				var all []int
				for node := range nodes {
					here := numbers(&record.Distributed{Framework: TensorFlow, Workers: workers, ParameterServers: servers}, node, nodes)
					require.NotEmpty(t, here, what)
					all = append(all, here...)
				}
				slices.Sort(all)
				require.Len(t, all, workers+servers, what)
				require.Len(t, slices.Compact(all), workers+servers, what)
				require.Zero(t, all[0], what)
			}
		}
	}
}
