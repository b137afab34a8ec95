//go:build linux

package experiment_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
)

// submitShell submits a distributed shell script on this machine and waits.
func submitShell(t *testing.T, script string, d experiment.Distributed, restarts int) (*run.Run, error) {
	t.Helper()
	exp, err := open(t).Experiments().CreateOrUpdate(t.Context(), "distributed", nil)
	require.NoError(t, err)
	r, err := exp.Submit(t.Context(), experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"/bin/sh", "-c", script}, Distributed: d, MaxRestarts: restarts}, nil)
	require.NoError(t, err)
	return r, r.Wait(t.Context(), nil)
}

func logText(t *testing.T, r *run.Run, name string) string {
	t.Helper()
	log, err := r.Logs(t.Context(), &run.LogsOptions{Name: name})
	require.NoError(t, err)
	defer log.Close()
	text, err := io.ReadAll(log)
	require.NoError(t, err)
	return string(text)
}

func TestProcessesOfPyTorch(t *testing.T) {
	t.Parallel()
	r, err := submitShell(t, `echo "$RANK/$WORLD_SIZE $LOCAL_RANK $NODE_RANK $AZUREML_CR_NODE_RANK $MASTER_ADDR $AZUREML_FRAMEWORK $AZUREML_COMMUNICATOR"
test "$MASTER_PORT" -gt 0
echo "{\"name\": \"rank\", \"value\": $RANK}" >>"$AZML_METRICS_FILE"`, experiment.PyTorch{CommunicationBackend: "gloo", ProcessCount: 3}, 0)
	require.NoError(t, err)
	for rank := range 3 {
		name := "user_logs/std_log.txt"
		if rank > 0 {
			name = fmt.Sprintf("user_logs/std_log_process_%d.txt", rank)
		}
		require.Equal(t, fmt.Sprintf("%d/3 %d 0 0 127.0.0.1 PyTorch gloo\n", rank, rank), logText(t, r, name))
	}
	var values []int64
	for m, err := range r.Metrics(t.Context(), &run.MetricsOptions{Names: []string{"rank"}}) {
		require.NoError(t, err)
		values = append(values, m.Value.(int64))
	}
	slices.Sort(values)
	require.Equal(t, []int64{0, 1, 2}, values)
}

func TestProcessesOfTensorFlow(t *testing.T) {
	t.Parallel()
	r, err := submitShell(t, `echo "$TF_CONFIG" | sed 's/:[0-9][0-9]*"/:P"/g'`, experiment.TensorFlow{WorkerCount: 2, ParameterServerCount: 1}, 0)
	require.NoError(t, err)
	const cluster = `"cluster":{"ps":["127.0.0.1:P"],"worker":["127.0.0.1:P","127.0.0.1:P"]}`
	require.JSONEq(t, `{`+cluster+`,"task":{"type":"worker","index":0}}`, logText(t, r, "user_logs/std_log.txt"))
	require.JSONEq(t, `{`+cluster+`,"task":{"type":"worker","index":1}}`, logText(t, r, "user_logs/std_log_process_1.txt"))
	require.JSONEq(t, `{`+cluster+`,"task":{"type":"ps","index":0}}`, logText(t, r, "user_logs/std_log_process_2.txt"))
}

func TestProcessesOfMpi(t *testing.T) {
	t.Parallel()
	testenv.MPI(t)
	r, err := submitShell(t, `echo "rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE"`, experiment.Mpi{ProcessCountPerNode: 2}, 0)
	require.NoError(t, err)
	require.Equal(t, "rank 0 of 2\n", logText(t, r, "user_logs/std_log.txt"))
	require.Equal(t, "rank 1 of 2\n", logText(t, r, "user_logs/std_log_process_1.txt"))
}

// TestOneProcessFails has the others end, and says which it was.
func TestOneProcessFails(t *testing.T) {
	t.Parallel()
	r, err := submitShell(t, `if [ $RANK = 1 ]; then echo broken; exit 7; fi; exec sleep 1000`, experiment.PyTorch{ProcessCount: 2}, 0)
	require.ErrorIs(t, err, azml.ErrFailed)
	e := r.Details().Error
	require.NotNil(t, e)
	require.Contains(t, e.Message, "rank 1 on node 0")
	require.Equal(t, 7, *e.ExitCode)
	require.Equal(t, []string{"broken"}, e.LastLines)
}

// TestRestarts has all processes start anew until none fails.
func TestRestarts(t *testing.T) {
	t.Parallel()
	const script = `echo "attempt of $RANK"; echo "{\"name\": \"tried-$RANK\", \"value\": 1}" >>"$AZML_METRICS_FILE"; mkdir -p logs; echo attempt >>logs/$RANK.txt; echo "process $$" >logs/last-$RANK.txt
if [ $RANK = 1 ]; then echo x >>tries; test $(wc -l <tries) -ge 3; else until [ $(wc -l <tries 2>/dev/null || echo 0) -ge 3 ]; do sleep 0.1; done; fi`
	r, err := submitShell(t, script, experiment.PyTorch{ProcessCount: 2}, 2)
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(logText(t, r, "user_logs/std_log_process_1.txt"), "attempt"))
	require.Len(t, r.Details().Warnings, 2)
	// Rank 0 may be ended before it has said anything.
	require.Equal(t, strings.Repeat("attempt\n", 3), logText(t, r, "logs/1.txt"), "what is logged once is stored once")
	require.Equal(t, 3, strings.Count(logText(t, r, "logs/last-1.txt"), "process "), "a file written anew is streamed anew")
	points := map[string]int{}
	for m, err := range r.Metrics(t.Context(), nil) {
		require.NoError(t, err)
		points[m.Name]++
	}
	require.Equal(t, 3, points["tried-1"], "what is logged once is stored once")
	require.LessOrEqual(t, points["tried-0"], 3)
	r, err = submitShell(t, script, experiment.PyTorch{ProcessCount: 2}, 1)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.Contains(t, r.Details().Error.Message, "rank 1")
}

func TestDistributedThatIsRefused(t *testing.T) {
	t.Parallel()
	exp, err := open(t).Experiments().CreateOrUpdate(t.Context(), "distributed", nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		d        experiment.Distributed
		restarts int
		class    error
	}{
		"restarts of one process": {nil, 1, azml.ErrInvalid},
		"uneven":                  {experiment.PyTorch{ProcessCount: 3, NodeCount: 2}, 0, azml.ErrInvalid},
		"negative":                {experiment.PyTorch{ProcessCount: -1}, 0, azml.ErrInvalid},
		"negative nodes":          {experiment.PyTorch{ProcessCount: -1, NodeCount: -1}, 0, azml.ErrInvalid},
		"negative nodes of mpi":   {experiment.Mpi{NodeCount: -1}, 0, azml.ErrInvalid},
		"negative workers":        {experiment.TensorFlow{WorkerCount: -4, ParameterServerCount: 5}, 0, azml.ErrInvalid},
		"nodes with no process":   {experiment.TensorFlow{WorkerCount: 2, ParameterServerCount: 1, NodeCount: 4}, 0, azml.ErrInvalid},
		"too many":                {experiment.PyTorch{ProcessCount: 5000}, 0, azml.ErrInvalid},
		"too many servers":        {experiment.TensorFlow{ParameterServerCount: 1024}, 0, azml.ErrInvalid},
		"unknown backend":         {experiment.PyTorch{CommunicationBackend: "carrier pigeon"}, 0, azml.ErrInvalid},
		"negative restarts":       {experiment.PyTorch{}, -1, azml.ErrInvalid},
		"negative servers":        {experiment.TensorFlow{ParameterServerCount: -1}, 0, azml.ErrInvalid},
		"two nodes on one":        {experiment.PyTorch{NodeCount: 2}, 0, azml.ErrUnsupported},
		"mpirun on two nodes":     {experiment.Mpi{NodeCount: 2}, 0, azml.ErrUnsupported},
		"less than no processes":  {experiment.Mpi{ProcessCountPerNode: -1}, 0, azml.ErrInvalid},
	} {
		_, err := exp.Submit(t.Context(), experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"true"}, Distributed: c.d, MaxRestarts: c.restarts}, nil)
		require.ErrorIs(t, err, c.class, name)
	}
}
