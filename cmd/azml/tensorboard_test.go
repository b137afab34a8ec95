package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/tensorboard"
)

func TestTensorBoard(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.submit(t, `for i in 1 2 3; do echo "{\"name\": \"loss\", \"value\": 0.$i, \"step\": $i}" >> "$AZML_METRICS_FILE"; done`)
	dir := filepath.Join(t.TempDir(), "tb")
	first := s.call(t, "run", "tensorboard", id, "--logdir", dir)
	require.Zero(t, first.code, first.stderr)
	require.Contains(t, first.stdout, id)
	require.Contains(t, first.stderr, "tensorboard --logdir "+dir)
	var exported []tensorboard.Exported
	s.json(t, &exported, "run", "tensorboard", id, "--logdir", dir, "--follow")
	require.Len(t, exported, 1)
	require.Zero(t, exported[0].Values, "it was written before, and the run has ended")

	require.NoError(t, os.WriteFile(filepath.Join(exported[0].Dir, "events.out.tfevents.2.x"), []byte("junk that is no event"), 0o600))
	require.Contains(t, s.ok(t, "import", "tensorboard", dir, "-e", "old"), "created")
	var imported []tensorboard.Imported
	s.json(t, &imported, "import", "tensorboard", dir, "-e", "old")
	require.Equal(t, tensorboard.Unchanged, imported[0].Outcome)
	require.Contains(t, s.call(t, "import", "tensorboard", dir, "-e", "other").stderr, "checksum")
	var points []run.Metric
	s.json(t, &points, "run", "metrics", imported[0].RunID, "--name", "loss", "--format", "json")
	require.Len(t, points, 3)
	require.EqualValues(t, 3, points[2].Step)

	require.Contains(t, s.fails(t, exitUsage, "run", "tensorboard", id), "--logdir")
	require.Contains(t, s.fails(t, exitUsage, "run", "tensorboard", id, "--logdir", dir, "--every", "0"), "1 or more")
	require.Contains(t, s.fails(t, exitUsage, "import", "tensorboard", dir), "-e NAME")
	require.Contains(t, s.fails(t, exitError, "run", "tensorboard", "nope", "--logdir", dir), "not found")
	require.Contains(t, s.fails(t, exitError, "import", "tensorboard", filepath.Join(dir, "nope"), "-e", "new"), "no such file")
	require.Contains(t, s.fails(t, exitError, "import", "tensorboard", t.TempDir(), "-e", "new"), "no event files")
}
