package main

import (
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/workspace"
)

// TestLineageFromCommitToEndpoint has a script of a repository make a model that is
// served: the model leads back to the commit and on to the endpoint, and a terminal is
// told what a deployment is doing.
func TestLineageFromCommitToEndpoint(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	testenv.Python(t)
	git := testenv.Git(t)
	s, src := setup(t), t.TempDir()
	write(t, src, "score.py", "def init(): pass\ndef run(data): return data\n")
	commit := ""
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "first"}, {"rev-parse", "HEAD"}} {
		out, err := exec.CommandContext(t.Context(), git, append([]string{"-C", src}, args...)...).CombinedOutput()
		require.NoError(t, err, string(out))
		commit = strings.TrimSpace(string(out))
	}
	s.ok(t, "run", "submit", "-e", "exp", "-s", src, "--run-id", "maker", "--command", "--", "sh", "-c", "mkdir -p outputs && echo weights > outputs/model.txt")
	s.ok(t, "model", "register", "--name", "churn", "--run", "maker", "--asset-path", "outputs/model.txt")
	t.Cleanup(func() { // a failed test leaves no process behind
		a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
		a.run(context.Background(), []string{"-w", s.dir, "endpoint", "delete", "served"})
	})
	deploy := func(args ...string) string {
		sc := s.onTerminal(t, 100, 30, append([]string{"endpoint", "deploy", "served", "--model", "churn", "-s", src, "--entry-script", "score.py"}, args...)...)
		err, said := sc.cmd.Wait(), <-sc.output
		require.NoError(t, err, said)
		require.Contains(t, said, "served is Healthy at http://127.0.0.1:")
		return said
	}
	require.Contains(t, deploy(), "starting a process that serves the endpoint …", "its first phase")
	require.Contains(t, deploy("--deployment", "green", "--traffic", "10", "--sample", write(t, t.TempDir(), "sample.json", "1")), "storing the deployment …", "its phase")

	var l workspace.Lineage
	s.json(t, &l, "model", "lineage", "churn")
	require.Equal(t, "maker", l.Run.ID)
	require.Equal(t, commit, l.Git["commit"])
	require.Equal(t, "main", l.Git["branch"])
	require.NotEmpty(t, l.Snapshot)
	require.Len(t, l.Endpoints, 1)
	require.Equal(t, []string{"served", "Healthy"}, []string{l.Endpoints[0].Name, l.Endpoints[0].State})
	text := s.ok(t, "model", "lineage", "churn:1")
	require.Regexp(t, `(?s)source +`+l.Snapshot+` +main `+commit+`.*run +maker .*model +churn:1 .*endpoint +served +Healthy`, text)
	require.Contains(t, s.fails(t, exitError, "model", "delete", "churn:1"), "served")

	s.ok(t, "endpoint", "delete", "served")
	var after workspace.Lineage
	s.json(t, &after, "model", "lineage", "churn")
	require.Empty(t, after.Endpoints)
	s.ok(t, "model", "delete", "churn:1")
}
