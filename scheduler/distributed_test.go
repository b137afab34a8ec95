//go:build linux

package scheduler_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	azmlerrors "github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// onTwo has the script run on two nodes with two processes each.
func onTwo(c *experiment.ScriptRunConfig) {
	c.Distributed = experiment.PyTorch{CommunicationBackend: "gloo", ProcessCount: 4, NodeCount: 2}
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

// rankLogs gives what the processes have said.
func rankLogs(t *testing.T, r *run.Run, processes int) (all []string) {
	t.Helper()
	all = append(all, logText(t, r, "user_logs/std_log.txt"))
	for rank := 1; rank < processes; rank++ {
		all = append(all, logText(t, r, fmt.Sprintf("user_logs/std_log_process_%d.txt", rank)))
	}
	return all
}

func requireFree(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	eventually(t, ws, "all nodes are free", func(s compute.ClusterStatus) bool { return len(s.Queue) == 0 && s.NodeStateCounts["running"] == 0 })
}

func TestTwoNodesWithTwoProcesses(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{}, 3)
	schedule(t, ws)
	r := submit(t, ws, "gang", `echo "$RANK/$WORLD_SIZE $LOCAL_RANK $NODE_RANK $AZUREML_CR_NODE_RANK"
echo "{\"name\": \"rank\", \"value\": $RANK}" >>"$AZML_METRICS_FILE"
mkdir -p outputs; echo $RANK >outputs/$RANK`, onTwo)
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, []string{"0/4 0 0 0\n", "1/4 1 0 0\n", "2/4 0 1 1\n", "3/4 1 1 1\n"}, rankLogs(t, r, 4))
	var values []int64
	for m, err := range r.Metrics(t.Context(), &run.MetricsOptions{Names: []string{"rank"}}) {
		require.NoError(t, err)
		values = append(values, m.Value.(int64))
	}
	slices.Sort(values)
	require.Equal(t, []int64{0, 1, 2, 3}, values)
	require.Contains(t, logText(t, r, "system_logs/prepare_node_1.txt"), "snapshot")
	requireFree(t, ws)
}

// TestRankFails has one process of another node fail: all end, and the run says
// which one it was.
func TestRankFails(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	r := submit(t, ws, "gang", `if [ $RANK = 3 ]; then echo broken; exit 7; fi; exec sleep 1000`, onTwo)
	require.ErrorIs(t, r.Wait(t.Context(), nil), azmlerrors.ErrFailed)
	e := r.Details().Error
	require.NotNil(t, e)
	require.Contains(t, e.Message, "rank 3 on node 1")
	require.NotNil(t, e.ExitCode)
	require.Equal(t, 7, *e.ExitCode)
	require.Equal(t, []string{"broken"}, e.LastLines)
	requireFree(t, ws)
}

// TestWhatIsSaidLastIsStored has one process fail, or the run canceled, while others
// have something to say when they are ended: all of it is stored when the run has its
// last status.
func TestWhatIsSaidLastIsStored(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]bool{"one fails": false, "canceled": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, dir := open(t, compute.Cluster{}, 2)
			schedule(t, ws)
			file := filepath.Join(dir, "begun")
			r := submit(t, ws, "gang", fmt.Sprintf(`trap 'sleep 0.3; echo ended $RANK; exit 1' TERM; echo $RANK >>%s
while [ $RANK != 0 ] || [ ! -e %s.fail ]; do sleep 0.05; done; exit 3`, file, file), onTwo)
			require.Eventually(t, func() bool {
				text, _ := os.ReadFile(file)
				return len(strings.Fields(string(text))) == 4
			}, soon, 20*time.Millisecond)
			if cancel {
				require.NoError(t, r.Cancel(t.Context(), nil))
				require.ErrorIs(t, r.Wait(t.Context(), nil), azmlerrors.ErrCanceled)
			} else {
				require.NoError(t, os.WriteFile(file+".fail", nil, 0o600))
				require.ErrorIs(t, r.Wait(t.Context(), nil), azmlerrors.ErrFailed)
				require.Contains(t, r.Details().Error.Message, "rank 0 on node 0")
			}
			for rank := 1; rank < 4; rank++ {
				require.Contains(t, logText(t, r, fmt.Sprintf("user_logs/std_log_process_%d.txt", rank)), fmt.Sprintf("ended %d\n", rank))
			}
			requireFree(t, ws)
		})
	}
}

// TestGangRestarts has the processes of both nodes start anew.
func TestGangRestarts(t *testing.T) {
	t.Parallel()
	ws, dir := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	tries := filepath.Join(dir, "tries")
	r := submit(t, ws, "gang", fmt.Sprintf(`echo attempt; echo x >>%s.$RANK; [ $RANK != 3 ] || test -e %s.again || { touch %s.again; exit 1; }; if [ ! -e %s.again ]; then exec sleep 1000; fi`, tries, tries, tries, tries),
		func(c *experiment.ScriptRunConfig) { onTwo(c); c.MaxRestarts = 1 })
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, "attempt\nattempt\n", rankLogs(t, r, 4)[3])
	require.Len(t, r.Details().Warnings, 1)
	requireFree(t, ws)
}

// TestNodeZeroFailsAtOnce has an attempt be over before the other node sees that it has
// begun: that node takes part in the next.
func TestNodeZeroFailsAtOnce(t *testing.T) {
	t.Parallel()
	ws, dir := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	r := submit(t, ws, "gang", fmt.Sprintf(`[ $RANK != 0 ] || { echo x >>%[1]s; test $(wc -l <%[1]s) -ge 3; }`, filepath.Join(dir, "tries")),
		func(c *experiment.ScriptRunConfig) {
			c.Distributed, c.MaxRestarts = experiment.PyTorch{CommunicationBackend: "gloo", NodeCount: 2}, 2
		})
	require.NoError(t, r.Wait(t.Context(), nil))
	for _, warning := range r.Details().Warnings {
		require.Contains(t, warning, "attempt ")
	}
	requireFree(t, ws)
}

// TestAgentIsKilled has the agent of a node killed: the run fails, and nothing goes
// on; with nodes of low priority it runs anew, and finds what it had in outputs/.
func TestAgentIsKilled(t *testing.T) {
	t.Parallel()
	for name, priority := range map[string]compute.Priority{"dedicated": compute.Dedicated, "low priority": compute.LowPriority} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, dir := open(t, compute.Cluster{Priority: priority}, 1)
			schedule(t, ws)
			file := filepath.Join(dir, "pids")
			r := submit(t, ws, "killed", fmt.Sprintf(`cat outputs/step; mkdir -p outputs; echo step >outputs/step; echo said; echo $PPID >>%s; test $(wc -l <%s) -ge 2 || exec sleep 1000`, file, file), nil)
			var lines []string
			require.Eventually(t, func() bool {
				text, _ := os.ReadFile(file)
				lines = strings.Fields(string(text))
				return len(lines) > 0
			}, soon, 20*time.Millisecond)
			killAgent(t, filepath.Join(dir, "node-a"))
			err := r.Wait(t.Context(), nil)
			if priority == compute.Dedicated {
				require.ErrorIs(t, err, azmlerrors.ErrFailed)
				require.Contains(t, r.Details().Error.Message, "killed")
			} else {
				require.NoError(t, err)
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Len(t, strings.Fields(string(text)), 2, "it ran anew, once")
				said := logText(t, r, "user_logs/std_log.txt")
				require.Contains(t, said, "said\nstep\nsaid\n", "both times are in the log, and the second found the file of the first")
				require.Contains(t, logText(t, r, "system_logs/prepare.txt"), "outputs: 1 files of the time before restored")
			}
			requireFree(t, ws)
		})
	}
}

// killAgent kills the agent whose program lies below a node's folder.
func killAgent(t *testing.T, node string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	killed := 0
	for _, p := range processes {
		command, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if err != nil || !strings.HasPrefix(string(command), node+"/.programs/") {
			continue
		}
		var pid int
		_, err = fmt.Sscanf(filepath.Base(p), "%d", &pid)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		killed++
	}
	require.Equal(t, 1, killed)
}
