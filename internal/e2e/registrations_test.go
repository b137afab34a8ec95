package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

// registerMany registers one model name again and again, each time with a
// content of its own, and tells which content got which version.
func registerMany(ctx context.Context, ws *workspace.Workspace, e errand, ack func(string, ...any)) error {
	for i := range e.Count {
		content := fmt.Sprintf("worker %d, model %d", e.Worker, i)
		file := filepath.Join(e.Dir, fmt.Sprintf("model-%d", e.Worker))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return err
		}
		m, err := ws.Models().Register(ctx, "churn", file, nil)
		if err != nil {
			return err
		}
		ack("%d %s", m.Version(), content)
	}
	return nil
}

func TestRegistrationsAtOnce(t *testing.T) {
	t.Parallel()
	for _, faults := range []bool{false, true} {
		t.Run(fmt.Sprintf("faults %v", faults), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			ws := p.open(t)
			const processes = 8
			count := size(50, 5)
			if faults {
				count = size(50, 3)
			}
			lines := all(t, processes, errand{Name: "register", Place: p, Count: count, Dir: t.TempDir(), Faults: faults})
			require.Len(t, lines, processes*count)
			checkVersions(t, ws, lines)
			if !faults {
				checkAudit(t, ws, "model", "create", "churn", len(lines))
			}
			clean(t, ws)
		})
	}
}

// checkVersions checks that the versions are 1, 2, 3 … and that each has the
// content that was acknowledged. Beside faults, a version may be there whose
// registrar was told of a failure; here none was.
func checkVersions(t *testing.T, ws *workspace.Workspace, lines []string) {
	t.Helper()
	contents := map[int]string{}
	for _, line := range lines {
		var version int
		_, err := fmt.Sscan(line, &version)
		require.NoError(t, err)
		require.NotContains(t, contents, version, "a version was given twice")
		_, contents[version], _ = strings.Cut(line, " ")
	}
	for version := 1; version <= len(lines); version++ {
		require.Contains(t, contents, version, "the versions have a gap")
		m, err := ws.Models().Get(t.Context(), "churn", version, nil)
		require.NoError(t, err)
		require.Equal(t, contents[version], modelText(t, m))
	}
	_, err := ws.Models().Get(t.Context(), "churn", len(lines)+1, nil)
	require.Error(t, err, "there are more versions than were asked for")
}

// modelText reads a model that is one file.
func modelText(t *testing.T, m *model.Model) string {
	t.Helper()
	list, err := m.Files(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	in, err := m.Open(t.Context(), list[0].Path)
	require.NoError(t, err)
	defer in.Close()
	data, err := io.ReadAll(in)
	require.NoError(t, err)
	return string(data)
}

// checkAudit checks that name:1 … name:n have one audit entry each.
func checkAudit(t *testing.T, ws *workspace.Workspace, kind, op, name string, n int) {
	t.Helper()
	seen := map[string]int{}
	for entry, err := range ws.Audit(t.Context(), &workspace.AuditOptions{Kind: kind}) {
		require.NoError(t, err)
		if entry.Op == op && entry.Failure == "" {
			seen[entry.Name]++
		}
	}
	require.Len(t, seen, n)
	for i := 1; i <= n; i++ {
		require.Equal(t, 1, seen[fmt.Sprintf("%s:%d", name, i)], "version %d", i)
	}
}
