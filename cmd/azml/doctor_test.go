package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/workspace"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	s := setup(t)
	text := s.ok(t, "doctor")
	require.Contains(t, text, "Information  conditions")
	require.Contains(t, text, "secrets can be set")
	var found []workspace.Finding
	s.json(t, &found, "doctor")
	require.GreaterOrEqual(t, len(found), 7)
	require.Empty(t, s.ok(t, "secret", "list"), "no secret is left")

	t.Log("a spool that is a file")
	spool := filepath.Join(s.dir, ".localfs", "spool")
	require.NoError(t, os.RemoveAll(spool))
	require.NoError(t, os.WriteFile(spool, nil, 0o600))
	broken := call(t, "", "-w", s.dir, "doctor")
	require.Equal(t, exitError, broken.code)
	require.Contains(t, broken.stdout, "What to do\n  folders  ")
	require.NoError(t, os.Remove(spool))

	t.Log("a folder of secrets that is a file")
	secrets := filepath.Join(s.dir, ".secrets")
	require.NoError(t, os.RemoveAll(secrets))
	require.NoError(t, os.WriteFile(secrets, nil, 0o600))
	got := call(t, "", "-w", s.dir, "doctor", "-o", "json")
	require.Equal(t, exitError, got.code)
	found = nil
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &found))
	require.Equal(t, workspace.LevelError, found[0].Level)

	t.Log("no workspace")
	got = call(t, "", "-w", t.TempDir(), "doctor")
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stdout, "Error  open")
	require.Contains(t, got.stdout, "azml init")
}
