package e2e

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/workspace"
)

func TestDamage(t *testing.T) {
	t.Parallel()
	getRun := func(ctx context.Context, d *desk, ws *workspace.Workspace) error {
		_, err := ws.Runs().Get(ctx, d.r.ID(), nil)
		return err
	}
	readModel := func(ctx context.Context, _ *desk, ws *workspace.Workspace) error {
		m, err := ws.Models().Get(ctx, "churn", 1, nil)
		if err != nil {
			return err
		}
		in, err := m.Open(ctx, "model.txt")
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.ReadAll(in)
		return err
	}
	cases := []struct {
		name    string
		pattern string // of files below the workspace's folder
		spoil   func(data []byte) []byte
		read    func(ctx context.Context, d *desk, ws *workspace.Workspace) error
	}{
		{"run record", "runs/*/run.json", flip(0), getRun},
		{"empty run record", "runs/*/run.json", cut(0), getRun},
		{"cut run record", "runs/*/run.json", cut(100), getRun},
		{"other record", "runs/*/run.json", func([]byte) []byte { return []byte(`{"schema": "azml.model/1"}`) }, getRun},
		{"model record", "models/churn/*.json", flip(1), readModel},
		{"manifest", "files/manifests/*.json", flip(20), readModel},
		{"chunk", "files/packs/*.pack", flip(0), readModel},
		{"directory of a pack", "files/packs/*.pack", flip(40), nil},
		{"metrics", "runs/*/metrics-*/*.parquet", flip(50), nil},
		{"digest of metrics", "runs/*/metrics-*/*.digest", flip(50), nil},
		{"record of sealed metrics", "runs/*/metrics-*/sealed.json", flip(0), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			closeAll(t, d.ws)
			files, err := filepath.Glob(filepath.Join(d.place.Dir, filepath.FromSlash(c.pattern)))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, file := range files {
				data, err := os.ReadFile(file)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file, c.spoil(data), 0o600))
			}
			require.NoError(t, os.RemoveAll(d.place.Cache), "nothing is read from the cache")
			ws := d.place.open(t)
			before := d.keys(t)
			if c.read != nil {
				err := c.read(t.Context(), d, ws)
				require.ErrorIs(t, err, azml.ErrDamaged)
			}
			report, err := ws.Fsck(t.Context(), &workspace.FsckOptions{Deep: true})
			require.NoError(t, err)
			var named []string
			for _, problem := range report.Problems {
				named = append(named, problem.Key, problem.Problem)
				if c.name == "chunk" {
					require.Contains(t, strings.Join(problem.Affected, "\n"), "model.txt")
				}
			}
			name := strings.TrimSuffix(filepath.Base(files[0]), filepath.Ext(files[0]))
			require.Contains(t, strings.Join(named, "\n"), name)
			require.Equal(t, before, d.keys(t), "nothing was changed")
		})
	}
}

// flip gives a function that changes one bit of the byte at i.
func flip(i int) func([]byte) []byte {
	return func(data []byte) []byte {
		data[min(i, len(data)-1)] ^= 4
		return data
	}
}

func cut(n int) func([]byte) []byte { return func(data []byte) []byte { return data[:n] } }
