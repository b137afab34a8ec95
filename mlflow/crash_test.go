package mlflow_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/mlflow"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// importAsProcess imports into the workspace in the folder, or exports it to the
// server.
func importAsProcess(args []string) error {
	ctx := context.Background()
	ws, err := workspace.Open(ctx, filepath.Join(args[1], "ws"), workspacetest.Options(args[1]))
	if err != nil {
		return err
	}
	if args[0] == "import" {
		_, err = mlflow.Import(ctx, ws, args[2], nil)
	} else {
		_, err = mlflow.Export(ctx, ws, args[2], nil)
	}
	if err != nil {
		return err
	}
	return ws.Close(ctx)
}

// killed runs the process again and again, killing it at random moments, until
// it has come to its end. It gives how often it was killed.
func killed(t *testing.T, args ...string) (kills int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's moments
	for patience := 20 * time.Millisecond; ; patience += patience / 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), asImporter+"="+strings.Join(args, "|"))
		var said strings.Builder
		cmd.Stderr = &said
		require.NoError(t, cmd.Start())
		kill := time.AfterFunc(time.Duration(random.Int64N(int64(patience))), func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		if kill.Stop() || err == nil {
			require.NoError(t, err, "%s", said.String())
			return kills
		}
		kills++
	}
}

func TestImportIsKilled(t *testing.T) {
	t.Parallel()
	s, home := newHandmade(t), t.TempDir()
	const runs, values = 6, 20_000
	for n := range runs {
		s.run(n, finished)
		s.metric(n, "a", 0, values)
		s.metric(n, "b", 0, 10)
		for _, name := range []string{"one", "deep/two", "three"} {
			s.artifact(n, name, strings.Repeat(name, 100_000+n))
		}
	}
	ws := reopen(t, home)
	t.Logf("killed %d times", killed(t, "import", home, s.dir))
	for n := range runs {
		r := get(t, ws, runID(n))
		require.Equal(t, run.StatusCompleted, r.Status())
		require.Equal(t, time.UnixMilli(1600000100000+int64(n)).UTC(), r.Details().Ended)
		require.Equal(t, numbers(values), steps(t, r, "a"))
		require.Equal(t, numbers(10), steps(t, r, "b"))
		files, err := r.Files(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, files, 3)
	}
	require.EqualValues(t, runs, doImport(t, ws, s.dir, nil).Runs.Unchanged)
	require.Empty(t, doImport(t, ws, s.dir, &mlflow.ImportOptions{Verify: true}).Conflicts)
	sound(t, ws)
}
