package registry

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, objects backend.Objects) core.Handle {
	t.Helper()
	h := core.New(core.Config{Objects: objects, CacheDir: t.TempDir()})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	return h
}

func version(t *testing.T, h core.Handle, name string) int {
	t.Helper()
	stored, err := Register(t.Context(), h, name, record.Model{Source: "s3://b/x"}, nil)
	require.NoError(t, err)
	return stored.Value.Version
}

// TestRename follows a model through all its names.
func TestRename(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := open(t, memory.NewObjects())
	version(t, h, "a")
	version(t, h, "other")
	for _, step := range []struct{ key, title string }{{"b", "b"}, {"c-12345678", "C c"}, {"b", "b"}, {"a", "a"}, {"b", "b"}} {
		stored, err := Rename(ctx, h, "a", step.key, step.title)
		require.NoError(t, err)
		require.Equal(t, "a", stored.Value.Name)
		if step.title == "a" {
			require.Empty(t, stored.Value.Title)
		} else {
			require.Equal(t, step.title, stored.Value.Title)
		}
	}
	for _, name := range []string{"a", "b", "c-12345678"} {
		stored, err := Find(ctx, h, name)
		require.NoError(t, err)
		require.Equal(t, "a", stored.Value.Name)
		_, err = Rename(ctx, h, "other", name, name)
		require.ErrorIs(t, err, azml.ErrExists, "a name is never another's")
		_, err = Create(ctx, h, record.RegisteredModel{Name: name})
		require.ErrorIs(t, err, azml.ErrExists)
	}
	require.Equal(t, 2, version(t, h, "b"), "numbers go on under a later name")
	require.NoError(t, Delete(ctx, h, "b"))
	for _, name := range []string{"a", "b", "c-12345678"} {
		_, err := Find(ctx, h, name)
		require.ErrorIs(t, err, azml.ErrNotFound)
	}
	again, err := Create(ctx, h, record.RegisteredModel{Name: "b"})
	require.NoError(t, err, "the name of a deleted model can be used again")
	require.Equal(t, [2]string{"a", "b"}, [2]string{again.Value.Name, again.Value.Title})
	require.Equal(t, 3, version(t, h, "b"))
	_, err = Rename(ctx, h, "other", "a", "a")
	require.ErrorIs(t, err, azml.ErrExists)
}

// TestCreateAtOnce makes one model, and renames others to one name, from many at
// once: one of them does it.
func TestCreateAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	objects := memory.NewObjects()
	h := open(t, objects)
	for i := range 8 {
		version(t, h, fmt.Sprintf("m%d", i))
	}
	for name, do := range map[string]func(h core.Handle, i int) error{
		"create": func(h core.Handle, _ int) error {
			_, err := Create(ctx, h, record.RegisteredModel{Name: "one"})
			return err
		},
		"rename": func(h core.Handle, i int) error {
			_, err := Rename(ctx, h, fmt.Sprintf("m%d", i), "same", "same")
			return err
		},
	} {
		var done atomic.Int32
		var working sync.WaitGroup
		for i := range 8 {
			other := open(t, objects)
			working.Go(func() {
				if err := do(other, i); err == nil {
					done.Add(1)
				} else {
					require.ErrorIs(t, err, azml.ErrExists)
				}
			})
		}
		working.Wait()
		require.EqualValues(t, 1, done.Load(), name)
	}
}

// A model shows that versions are registered, to the second.
func TestModelShowsItsVersions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := core.New(core.Config{Objects: memory.NewObjects(), CacheDir: t.TempDir(), Now: func() time.Time { return now }})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	version(t, h, "m")
	modified := func() time.Time {
		m, err := Find(t.Context(), h, "m")
		require.NoError(t, err)
		return m.Value.Modified
	}
	first := modified()
	now = now.Add(touchEvery / 2)
	version(t, h, "m")
	require.Equal(t, first, modified())
	now = now.Add(touchEvery)
	version(t, h, "m")
	require.Equal(t, now, modified())
}

func TestLatestByStage(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := open(t, memory.NewObjects())
	for range 5 {
		version(t, h, "m")
	}
	latest := func() map[string]int {
		m, err := Find(ctx, h, "m")
		require.NoError(t, err)
		versions, err := LatestByStage(ctx, h, m.Value)
		require.NoError(t, err)
		byStage := map[string]int{}
		for _, v := range versions {
			byStage[v.Stage] = v.Version
		}
		return byStage
	}
	require.Equal(t, map[string]int{"": 5}, latest())
	for n, stage := range map[int]string{1: record.StageProduction, 2: record.StageProduction, 3: record.StageStaging} {
		_, err := SetStage(ctx, h, "m", n, stage)
		require.NoError(t, err)
	}
	require.Equal(t, map[string]int{"": 5, record.StageProduction: 2, record.StageStaging: 3}, latest())
	require.NoError(t, ArchiveOthers(ctx, h, "m", 1, record.StageProduction))
	require.NoError(t, DeleteVersion(ctx, h, "m", 5))
	require.Equal(t, map[string]int{"": 4, record.StageProduction: 1, record.StageStaging: 3, record.StageArchived: 2}, latest())
	_, err := SetStage(ctx, h, "m", 1, "production")
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestRooted(t *testing.T) {
	t.Parallel()
	manifest := &files.Manifest{Files: []files.File{{Path: "out/model/a"}, {Path: "out/model/b/c"}}}
	require.Equal(t, []files.File{{Path: "a"}, {Path: "b/c"}}, Rooted(manifest, "out/model").Files)
	require.Equal(t, []files.File{{Path: "a"}}, Rooted(&files.Manifest{Files: manifest.Files[:1]}, "out/model/a").Files)
	require.Equal(t, manifest.Files, Rooted(manifest, "").Files, "all of a run's files")
}
