package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

func TestModels(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Contains(t, s.call(t, "model", "list").stderr, "No models.")
	file := write(t, t.TempDir(), "m.json", `{"bias": 2}`)
	require.Equal(t, "churn:1", s.ok(t, "model", "register", "--name", "churn", "--path", file, "--tag", "stage=x", "--property", "p=1", "--framework", "Onnx"))
	id := s.submit(t, logging)
	var d model.Details
	s.json(t, &d, "model", "register", "--name", "churn", "--run", id, "--asset-path", "outputs/model.txt")
	require.Equal(t, "churn:2", d.ID)

	var view modelView
	s.json(t, &view, "model", "show", "churn")
	require.Equal(t, 2, view.Version)
	require.Equal(t, id, view.RunID)
	require.NotEmpty(t, view.Lineage["snapshot"])
	require.Equal(t, "model.txt", view.Files[0].Path)
	require.Equal(t, []string{}, view.Endpoints)
	require.Contains(t, s.ok(t, "model", "show", "churn:2"), "Lineage")

	var list []model.Details
	s.json(t, &list, "model", "list", "--tag", "stage", "--framework", "Onnx")
	require.Len(t, list, 1)
	s.json(t, &list, "model", "list", "--latest")
	require.Equal(t, "churn:2", list[0].ID)

	dir := filepath.Join(t.TempDir(), "down")
	s.ok(t, "model", "download", "churn:1", "--dir", dir)
	text, err := os.ReadFile(filepath.Join(dir, "m.json"))
	require.NoError(t, err)
	require.Equal(t, `{"bias": 2}`, string(text))
	require.Contains(t, s.fails(t, exitError, "model", "download", "churn:1", "--dir", dir), "--overwrite")

	s.ok(t, "model", "alias", "set", "churn:2", "champion")
	s.ok(t, "model", "alias", "set", "churn:1", "old")
	var aliases []aliasView
	s.json(t, &aliases, "model", "alias", "list", "churn")
	require.Equal(t, []aliasView{{"champion", 2}, {"old", 1}}, aliases)
	s.json(t, &view, "model", "show", "churn@old")
	require.Equal(t, 1, view.Version)
	require.Equal(t, []string{"old"}, view.Aliases)
	require.Contains(t, s.ok(t, "model", "show", "churn@champion"), "champion")
	s.ok(t, "model", "alias", "delete", "churn@old")
	require.Contains(t, s.fails(t, exitError, "model", "show", "churn@old"), "not found")
	require.Contains(t, s.fails(t, exitError, "model", "alias", "set", "churn:1", "latest"), "reserved")

	s.ok(t, "model", "delete", "churn:2")
	s.json(t, &view, "model", "show", "churn")
	require.Equal(t, 1, view.Version)
	require.Contains(t, s.call(t, "model", "alias", "list", "churn").stderr, "No aliases.")
}

func TestExperiments(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, "true")
	var view experimentView
	s.json(t, &view, "experiment", "show", "exp")
	require.Equal(t, id, view.LastRuns[0].RunID)
	require.Contains(t, s.ok(t, "experiment", "show", "exp"), id)
	require.Contains(t, s.fails(t, exitError, "experiment", "delete", "exp"), "conflict")

	s.ok(t, "experiment", "archive", "exp")
	require.Equal(t, "[]", s.ok(t, "experiment", "list", "-o", "json"))
	var list []experiment.Details
	s.json(t, &list, "experiment", "list", "--archived")
	require.Len(t, list, 1)
	s.ok(t, "experiment", "reactivate", "exp")
	require.Contains(t, s.ok(t, "experiment", "list"), "exp")
	s.ok(t, "run", "delete", id)
	s.ok(t, "experiment", "delete", "exp")
}

func TestEnvironmentsAndCompute(t *testing.T) {
	t.Parallel()
	s := setup(t)
	file := write(t, t.TempDir(), "requirements.txt", "numpy>=1.26\n")
	register := []string{"environment", "register", "--name", "num", "-r", file, "--python", ">=3.9"}
	require.Equal(t, "num:1", s.ok(t, register...))
	require.Equal(t, "num:1", s.ok(t, register...), "the same content is the same version")
	var d environment.Details
	s.json(t, &d, "environment", "show", "num")
	require.Equal(t, []string{"numpy>=1.26"}, d.Python.Pip)
	require.Equal(t, ">=3.9", d.Python.PythonVersion)
	require.Contains(t, s.ok(t, "environment", "show", "num", "-o", "yaml"), "python:\n  version: '>=3.9'\n  pip:\n    - numpy>=1.26\n", "names as in the record, and nothing that is not set")
	require.Contains(t, s.ok(t, "environment", "show", "num:1"), "numpy>=1.26")
	require.Contains(t, s.ok(t, "environment", "list"), "num:1")

	var targets []compute.Details
	s.json(t, &targets, "compute", "list")
	require.Equal(t, "local", targets[0].Name)
	require.Contains(t, s.ok(t, "compute", "show", "local"), "Local")
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	s := setup(t)
	set := func(name, stdin string) {
		got := call(t, stdin, "-w", s.dir, "secret", "set", name)
		require.Zero(t, got.code, got.stderr)
		require.NotContains(t, got.stdout+got.stderr, "s3cret")
	}
	set("password", "s3cret, with = and spaces \n")
	set("other", "x")
	require.Equal(t, "s3cret, with = and spaces ", s.ok(t, "secret", "get", "password"))
	var view secretView
	s.json(t, &view, "secret", "get", "password")
	require.Equal(t, secretView{Name: "password", Value: "s3cret, with = and spaces "}, view)
	s.ok(t, "secret", "set", "bytes", "--file", write(t, t.TempDir(), "key.bin", "\xff\x00k"))
	s.json(t, &view, "secret", "get", "bytes")
	require.Equal(t, secretView{Name: "bytes", Value: "/wBr", Encoding: "base64"}, view)
	s.ok(t, "secret", "delete", "bytes")
	require.Equal(t, "other\npassword", s.ok(t, "secret", "list"))
	s.ok(t, "secret", "set", "other", "--file", write(t, t.TempDir(), "key.pem", "BEGIN\nEND\n"))
	var key secretView
	s.json(t, &key, "secret", "get", "other")
	require.Equal(t, "BEGIN\nEND\n", key.Value, "to the last byte")
	require.Contains(t, s.fails(t, exitError, "secret", "set", "other", "--file", "none.pem"), "none.pem")

	id := s.submit(t, `curl -s --noproxy '*' -H "Authorization: Bearer $AZML_SECRETS_TOKEN" "${AZML_SECRETS_URL}password" || python3 -c '
import os, urllib.request as u
print(u.urlopen(u.Request(os.environ["AZML_SECRETS_URL"] + "password", headers={"Authorization": "Bearer " + os.environ["AZML_SECRETS_TOKEN"]})).read().decode())'`, "--secret", "password")
	require.Equal(t, "****", s.ok(t, "run", "logs", id))
	require.Contains(t, s.ok(t, "run", "show", id), "Secrets:")
	require.Contains(t, s.fails(t, exitError, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--secret", "none", "--command", "--", "true"), "azml secret set none")

	s.ok(t, "secret", "delete", "other")
	require.Equal(t, "password", s.ok(t, "secret", "list"))
	require.NotContains(t, s.ok(t, "workspace", "audit", "-o", "json"), "s3cret")
}

func TestWorkspaceCommands(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.ok(t, "workspace", "update", "--description", "risk models", "--tag", "team=risk", "--tag", "x=y")
	s.ok(t, "workspace", "update", "--remove-tag", "x")
	var d workspace.Details
	s.json(t, &d, "workspace", "show")
	require.Equal(t, "risk models", d.Description)
	require.Equal(t, map[string]string{"team": "risk"}, d.Tags)
	require.Equal(t, s.dir, d.Location)

	s.ok(t, "model", "register", "--name", "churn", "--path", write(t, t.TempDir(), "m", "content"))
	var entries []workspace.AuditEntry
	s.json(t, &entries, "workspace", "audit", "--kind", "model", "--since", "1h")
	require.Len(t, entries, 1)
	require.Equal(t, "create", entries[0].Op)

	var fsck workspace.FsckReport
	s.json(t, &fsck, "workspace", "fsck", "--deep")
	require.Empty(t, fsck.Problems)
	require.Contains(t, s.ok(t, "workspace", "fsck"), "sound")

	s.ok(t, "model", "delete", "churn:1")
	var gc workspace.GCReport
	s.json(t, &gc, "workspace", "gc", "--exclusive", "--dry-run")
	require.NotZero(t, gc.Deleted)
	s.ok(t, "workspace", "gc", "--exclusive")
	s.json(t, &fsck, "workspace", "fsck", "--deep")
	require.Zero(t, fsck.Chunks)

	report := filepath.Join(s.dir, "reports", "q3.csv")
	require.NoError(t, os.Mkdir(filepath.Dir(report), 0o700))
	require.NoError(t, os.WriteFile(report, nil, 0o600))
	done := s.call(t, "workspace", "delete", "--yes")
	require.Zero(t, done.code, done.stderr)
	require.Contains(t, done.stderr, "Left: reports/q3.csv")
	require.FileExists(t, report)
	require.NoFileExists(t, filepath.Join(s.dir, "workspace.json"))
}

func TestFsckFindsDamage(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.ok(t, "model", "register", "--name", "churn", "--path", write(t, t.TempDir(), "m", "content"))
	record := filepath.Join(s.dir, "models", "churn")
	entries, err := os.ReadDir(record)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(record, entries[0].Name()), []byte("{"), 0o600))
	got := s.call(t, "workspace", "fsck")
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stdout, "models/churn/")
	require.Contains(t, got.stderr, "problem")
}

func TestParseSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 20, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                     {},
		"90m":                  now.Add(-90 * time.Minute),
		"7d":                   now.AddDate(0, 0, -7),
		"0.5d":                 now.Add(-12 * time.Hour),
		"2026-01-31":           time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
		"2026-01-31T10:00:00Z": time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC),
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := parseSince(text, now)
			require.NoError(t, err)
			require.True(t, want.Equal(got), got)
		})
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	table := &table{out: &text}
	table.row("NAME", "VALUE", "NOTE")
	table.row("größe", 1, "")
	table.row("a\x1b[31m\nb", "", "x  ")
	table.labels("Tags", map[string]string{"b": "2", "a": ""})
	require.NoError(t, table.flush())
	require.Equal(t, "NAME   VALUE  NOTE\ngröße  1\na b    -      x\n\nTags\n  a\n  b  2\n", text.String())
}
