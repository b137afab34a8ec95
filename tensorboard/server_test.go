package tensorboard_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// wait is how long a TensorBoard on a busy machine may take.
const wait = 60 * time.Second

// server is a real TensorBoard.
type server struct{ url string }

// serve starts TensorBoard on a free port of this machine.
func serve(t *testing.T, logdir string, args ...string) *server {
	t.Helper()
	python := testenv.TensorBoard(t)
	args = append([]string{"-m", "tensorboard.main", "--logdir", logdir, "--host", "127.0.0.1", "--port", "0",
		"--reload_interval", "1", "--samples_per_plugin", "scalars=1000000,images=1000,text=1000,histograms=1000,pr_curves=1000"}, args...)
	cmd := exec.Command(python, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(pipe)
	address := regexp.MustCompile(`at (http://[^ ]+)/ `)
	var said strings.Builder
	for {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		require.NoError(t, err, said.String())
		if found := address.FindStringSubmatch(line); found != nil {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return &server{found[1]}
		}
	}
}

// get asks TensorBoard and reads its answer; false when it has none (yet).
func (s *server) get(t *testing.T, into any, path string, query ...string) bool {
	t.Helper()
	return s.do(t, into, http.MethodGet, path, "", query...)
}

func (s *server) do(t *testing.T, into any, method, path, body string, query ...string) bool {
	t.Helper()
	q := url.Values{}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+"/data/"+path+"?"+q.Encode(), strings.NewReader(body))
	require.NoError(t, err)
	req.Close = true
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	if answer.StatusCode != http.StatusOK {
		return false
	}
	if raw, ok := into.(*[]byte); ok {
		*raw = data
		return true
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	require.NoError(t, decoder.Decode(into), "%s", data)
	return true
}

// point is a value of a curve: wall time, step, value.
type point [3]any

func (s *server) scalars(t *testing.T, run, tag string) []point {
	t.Helper()
	var points []point
	s.get(t, &points, "plugin/scalars/scalars", "run", run, "tag", tag)
	return points
}

// awaitScalars waits until a curve has n values.
func (s *server) awaitScalars(t *testing.T, run, tag string, n int) []point {
	t.Helper()
	var points []point
	require.Eventually(t, func() bool {
		points = s.scalars(t, run, tag)
		return len(points) == n
	}, wait, 100*time.Millisecond, "%s of %s", tag, run)
	return points
}

// text is one text as TensorBoard shows it.
type text struct {
	Step int64
	Text string
}

func (s *server) texts(t *testing.T, run, tag string) []text {
	t.Helper()
	var texts []text
	require.Eventually(t, func() bool {
		return s.get(t, &texts, "plugin/text/text", "run", run, "tag", tag) && len(texts) > 0
	}, wait, 100*time.Millisecond, "text %s", tag)
	return texts
}
