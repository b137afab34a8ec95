package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func numbers(first, count int) []int {
	list := make([]int, count)
	for i := range list {
		list[count-1-i] = first + i
	}
	return list
}

func TestContiguous(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		numbers []int
		first   int
		wrong   string
	}{
		"all":     {numbers(1, runs), 1, ""},
		"later":   {numbers(201, runs), 201, ""},
		"few":     {numbers(1, runs-1), 1, "199 instead of 200"},
		"double":  {append(numbers(1, runs-1), 7), 1, "7 where 8 should be"},
		"gap":     {append(numbers(1, runs-1), runs+1), 1, "201 where 200 should be"},
		"shifted": {numbers(2, runs), 1, "2 where 1 should be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := contiguous(tt.numbers, tt.first)
			if tt.wrong == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tt.wrong)
			}
		})
	}
}

func TestCheckRun(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	ws, err := workspace.Open(ctx, filepath.Join(dir, "ws"), &workspace.OpenOptions{
		CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "secrets.key")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	exp, err := ws.Experiments().CreateOrUpdate(ctx, name, nil)
	require.NoError(t, err)

	require.NoError(t, oneRun(ctx, exp, "batch", 7))
	before, err := highest(ctx, ws)
	require.NoError(t, err)
	require.Equal(t, mark{number: 1, version: 1}, before)
	for r, err := range exp.Runs(ctx, nil) {
		require.NoError(t, err)
		id, err := checkRun(ctx, r)
		require.NoError(t, err)
		require.Equal(t, 7, id)
	}
	m, err := ws.Models().Get(ctx, name, 1, nil)
	require.NoError(t, err)
	require.NoError(t, checkModel(ctx, ws, m, "batch"))
	require.ErrorContains(t, checkModel(ctx, ws, m, "other"), `instead of "model of other/7"`)

	for name, tt := range map[string]struct {
		params map[string]any
		points int
		wrong  string
	}{
		"a point less":     {map[string]any{"id": 8, "rate": rate(8)}, points - 1, "has map[accuracy:49 loss:49] points"},
		"a point too much": {map[string]any{"id": 8, "rate": rate(8)}, points + 1, "has map[accuracy:51 loss:51] points"},
		"other params":     {map[string]any{"id": 9, "rate": rate(9)}, points, "its params are"},
	} {
		r, err := exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
			for step := range tt.points {
				at := &run.LogOptions{Step: int64(step)}
				require.NoError(t, r.Log("loss", value(8, step), at))
				require.NoError(t, r.Log("accuracy", 1-value(8, step), at))
			}
			return r.LogParams(ctx, tt.params)
		}, &experiment.RunOptions{Tags: map[string]string{"id": "8"}})
		require.NoError(t, err)
		_, err = checkRun(ctx, r)
		require.ErrorContains(t, err, tt.wrong, name)
	}
}
