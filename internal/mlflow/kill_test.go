package mlflow

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/history"
)

// process is a server in a process of its own.
type process struct {
	*served
	cmd *exec.Cmd
}

// start starts a server of the workspace in dir.
func start(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), serveVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{&served{t: t}, cmd}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	p.url = strings.TrimSpace(line)
	return p
}

// kill ends the server as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()
}

// TestKilledServer kills a server while clients log to it: every point that was
// acknowledged is there afterwards, once, and the next server stores it.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := start(t, dir)
	post[createExperimentResponse](p.served, "experiments/create", object{"name": "e"})
	id := post[runResponse](p.served, "runs/create", object{"experiment_id": "e"}).Run.Info.RunID
	acknowledged := map[int64]bool{}
	for round := range rounds {
		steps := p.logUntilKilled(id, int64(round)<<32, time.Duration(random.IntN(150))*time.Millisecond)
		for _, step := range steps {
			acknowledged[step] = true
		}
		p = start(t, dir)
	}
	require.NotEmpty(t, acknowledged)

	p.kill()
	h := open(t, dir)
	c := call{Handler: &Handler{core: h}, core: h}
	r, err := history.Get(t.Context(), h, id)
	require.NoError(t, err)
	list, err := c.history(t.Context(), r.Value, "m")
	require.NoError(t, err)
	seen := map[int64]int{}
	for _, m := range list {
		seen[m.step]++
	}
	for step := range acknowledged {
		require.Equal(t, 1, seen[step], "step %d", step)
	}

	require.NoError(t, history.RecoverMetrics(t.Context(), h))
	spools, err := filepath.Glob(filepath.Join(dir, "ws", ".localfs", "spool", "metrics", "*", "*.spool"))
	require.NoError(t, err)
	require.Empty(t, spools, "what servers left is stored")
	after, err := c.history(t.Context(), r.Value, "m")
	require.NoError(t, err)
	require.Equal(t, list, after)
}

// logUntilKilled logs with several clients, kills the server after a while, and
// gives the steps of the acknowledged points.
func (p *process) logUntilKilled(id string, first int64, after time.Duration) []int64 {
	var mu sync.Mutex
	var acknowledged []int64
	var clients sync.WaitGroup
	for n := range int64(4) {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for step := first + n; ; step += 4 {
				body := fmt.Sprintf(`{"run_id":%q,"key":"m","value":1,"timestamp":1,"step":%d}`, id, step)
				resp, err := client.Post(p.url+"/api/2.0/mlflow/runs/log-metric", jsonType, strings.NewReader(body)) //nolint:noctx // it ends with the server
				if err != nil {
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					mu.Lock()
					acknowledged = append(acknowledged, step)
					mu.Unlock()
				}
			}
		})
	}
	time.Sleep(after) // the moment is what the test is about
	p.kill()
	clients.Wait()
	return acknowledged
}
