package main

import (
	"bufio"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/run"
)

func TestSync(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, logging)
	s.ok(t, "model", "register", "--name", "churn", "--run", id, "--asset-path", "outputs/model.txt")
	require.Zero(t, call(t, "x\n", "-w", s.dir, "secret", "set", "token").code)
	team := filepath.Join(t.TempDir(), "team")
	s.ok(t, "init", team, "--no-config")
	other := &shell{team}
	var report mirror.Report
	s.json(t, &report, "sync", s.dir, team, "--dry-run")
	require.Equal(t, 1, report.Runs.Created)
	require.Equal(t, []string{"token"}, report.MissingSecrets)
	require.Contains(t, other.call(t, "run", "list").stderr, "No runs.")

	done := s.call(t, "sync", s.dir, team)
	require.Zero(t, done.code, done.stderr)
	require.Contains(t, done.stdout, "Brought")
	require.Contains(t, done.stderr, "Not brought, 1 secret that team lacks: token (--secrets brings them)")
	require.NotContains(t, s.call(t, "sync", s.dir, team, "--secrets").stderr, "Not brought")
	require.Equal(t, "x", other.ok(t, "secret", "get", "token"))
	var d run.Details
	other.json(t, &d, "run", "show", id)
	require.Equal(t, run.StatusCompleted, d.Status)
	require.Contains(t, other.ok(t, "workspace", "fsck", "--deep"), "sound")

	s.ok(t, "run", "tag", id, "side=here")
	other.ok(t, "run", "tag", id, "side=there")
	left := s.fails(t, exitError, "sync", s.dir, team)
	require.Contains(t, left, "run "+id+": it was changed in both workspaces")
	require.Contains(t, left, "tags.side=here")
	require.Contains(t, left, "1 conflict")
	require.Contains(t, s.call(t, "sync", s.dir, team, "--prefer", "source").stderr, "decided for: source")
	other.json(t, &d, "run", "show", id)
	require.Equal(t, "here", d.Tags["side"])

	none := s.call(t, "sync", s.dir, team, "--run", "none")
	require.Equal(t, exitError, none.code, none.stderr)
	require.Empty(t, none.stdout, "no report of what was not begun")

	for want, args := range map[string][]string{
		"--prefer":   {"sync", s.dir, team, "--prefer", "both"},
		"exclude":    {"sync", s.dir, team, "--follow", "--dry-run"},
		"--every":    {"sync", s.dir, team, "--every", "1ms"},
		"missing ar": {"sync", s.dir},
	} {
		require.Contains(t, s.fails(t, exitUsage, args...), want)
	}
	require.Contains(t, s.fails(t, exitError, "sync", s.dir, filepath.Join(team, "none")), "azml init")
	require.Contains(t, s.fails(t, exitError, "sync", s.dir, s.dir), "same workspace")
}

// TestSyncFollow follows until the process is asked to end.
func TestSyncFollow(t *testing.T) {
	t.Parallel()
	s := setup(t)
	team := filepath.Join(t.TempDir(), "team")
	s.ok(t, "init", team, "--no-config")
	other := &shell{team}
	cmd := s.command(t, "sync", s.dir, team, "--follow", "--every", "100ms")
	errors, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(errors)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "until Ctrl-C")
	id := s.submit(t, logging)
	require.Eventually(t, func() bool {
		shown := other.call(t, "run", "show", id, "-o", "json")
		return shown.code == 0 && strings.Contains(shown.stdout, `"Completed"`)
	}, time.Minute, 20*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	require.NoError(t, cmd.Wait(), last)
	require.Contains(t, last, "Stopped")
}
