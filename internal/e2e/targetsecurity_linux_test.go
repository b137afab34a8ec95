package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/experiment"
)

// prying tries what a script must not: another run, a secret that it was not given,
// and files that are not its own as its outputs.
const prying = `import json, os, socket, sys, urllib.error, urllib.request
def ask(url, token):
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(urllib.request.Request(url, headers={"Authorization": "Bearer " + token})) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, ""
uri, token = os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_TRACKING_TOKEN"]
print("own run", ask(uri + "/api/2.0/mlflow/runs/get?run_id=" + os.environ["MLFLOW_RUN_ID"], token)[0])
print("other run", ask(uri + "/api/2.0/mlflow/runs/get?run_id=" + os.environ["OTHER"], token)[0])
print("no token", ask(uri + "/api/2.0/mlflow/runs/get?run_id=" + os.environ["MLFLOW_RUN_ID"], "x")[0])
url, token = os.environ["AZML_SECRETS_URL"], os.environ["AZML_SECRETS_TOKEN"]
print("secret", *ask(url + "pass", token))
print("other secret", ask(url + "other", token)[0])
os.symlink("/etc/passwd", "outputs/stolen")
os.symlink("/", "outputs/all")
os.mkfifo("outputs/pipe")
open("outputs/own", "w").write("own")
print("user", os.getuid())
print("begun", flush=True)
while not os.path.exists(os.environ["PLACE"] + "/go"): pass
`

// TestTargetSecurity looks, while a script runs, for what must not be seen, and at what the script can do.
func TestTargetSecurity(t *testing.T) {
	t.Parallel()
	onEachHere(t, func(t *testing.T, on target) {
		ws, _, s := onSite(t, on)
		const secret = "s3cret-value-of-the-test"
		require.NoError(t, ws.Secrets().Set(t.Context(), "pass", secret))
		require.NoError(t, ws.Secrets().Set(t.Context(), "other", "another-"+secret))
		exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "targets", nil)
		require.NoError(t, err)
		other, err := exp.StartLogging(t.Context(), nil)
		require.NoError(t, err)
		r := on.begin(t, ws, "", func(c *experiment.ScriptRunConfig) {
			require.NoError(t, os.WriteFile(filepath.Join(c.Source, "pry.py"), []byte(prying), 0o600))
			c.Command, c.Secrets = []string{"python3", "pry.py"}, []string{"pass"}
			c.Variables = map[string]string{"PLACE": s.shared, "OTHER": other.ID()}
		})
		hears(t, r, "begun\n")
		agent := agentOf(t, ws, r)
		requireLoopback(t, agent)
		shown := s.shown(t, agent)
		require.NotContains(t, shown, secret)
		if a := recordOf(t, ws, r).Agent; a != nil {
			for _, word := range regexp.MustCompile(`[A-Z2-7]{26}`).FindAllString(shown, -1) { // as tokens look
				sum := sha256.Sum256([]byte(word))
				require.NotEqual(t, a.TokenHash, hex.EncodeToString(sum[:]), "the agent's token is shown")
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(s.shared, "go"), nil, 0o600))
		require.NoError(t, r.Wait(t.Context(), nil))
		user := os.Getuid()
		if s.engine != "" {
			user = 65532
		}
		require.Equal(t, fmt.Sprintf("own run 200\nother run 403\nno token 401\nsecret 200 ****\nother secret 404\nuser %d\nbegun\n", user), outputOf(t, r))
		require.NotContains(t, logOf(t, r, "system_logs/prepare.txt"), secret)
		files, err := r.Files(t.Context(), "outputs")
		require.NoError(t, err)
		require.Len(t, files, 1)
		require.Equal(t, "outputs/own", files[0].Path)
		require.NoError(t, other.Complete(t.Context()))
		s.requireNothing(t, r)
		clean(t, ws)
	})
}

// shown gives what others may see of a run: arguments of all processes, what the
// agent has in its environment, what the engine says of containers, and files.
func (s *site) shown(t *testing.T, agent int) string {
	t.Helper()
	var all bytes.Buffer
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range append(lines, fmt.Sprintf("/proc/%d/environ", agent)) {
		data, _ := os.ReadFile(file) // its process may be gone
		all.Write(data)
		all.WriteByte('\n')
	}
	for _, dir := range s.dirs {
		require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			const most = 1 << 20
			if err != nil || !info.Mode().IsRegular() || info.Size() > most || strings.Contains(path, "/output") { // what the script itself says
				return nil
			}
			data, err := os.ReadFile(path)
			all.Write(data)
			return err
		}))
	}
	if s.engine != "" {
		ids := strings.Fields(s.docker(t, "ps", "-aq"))
		require.NotEmpty(t, ids)
		all.WriteString(s.docker(t, append([]string{"inspect"}, ids...)...))
	}
	return all.String()
}

// requireLoopback checks that all that the process listens on is loopback's.
func requireLoopback(t *testing.T, pid int) {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	open := map[string]bool{}
	for _, fd := range fds {
		to, _ := os.Readlink(fd)
		open[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
	}
	found := 0
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			const address, state, inode, listening = 1, 3, 9, "0A"
			f := strings.Fields(line)
			if len(f) <= inode || f[state] != listening || !open[f[inode]] {
				continue
			}
			found++
			require.Contains(t, []string{"0100007F", "00000000000000000000000001000000"}, strings.Split(f[address], ":")[0], "the agent listens to others")
		}
	}
	require.NotZero(t, found, "the script is served by nobody")
}
