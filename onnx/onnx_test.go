package onnx_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/onnx"
)

func TestSignature(t *testing.T) {
	t.Parallel()
	dir, _ := models(t)
	r := newRuntime(t)
	s, err := r.Signature(filepath.Join(dir, "forest.onnx"))
	require.NoError(t, err)
	require.Equal(t, &model.Signature{Inputs: []model.Field{{Name: "X", Type: "float32", Shape: []int{-1, 20}}},
		Outputs: []model.Field{{Name: "label", Type: "str", Shape: []int{-1}}, {Name: "probabilities", Type: "float32", Shape: []int{-1, 3}}}}, s)
	ws := open(t)
	m, err := ws.Models().Register(t.Context(), "forest", filepath.Join(dir, "forest.onnx"), &model.RegisterOptions{Signature: s})
	require.NoError(t, err)
	require.Equal(t, s, m.Details().Signature, "it can be kept with the model")
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	dir, _ := models(t)
	r := newRuntime(t)
	broken := filepath.Join(t.TempDir(), "broken.onnx")
	require.NoError(t, os.WriteFile(broken, []byte("no model"), 0o600))
	for path, want := range map[string]string{
		broken:                             "no ONNX model",
		filepath.Join(dir, "missing.onnx"): "missing.onnx",
		filepath.Join(dir, "half.onnx"):    "only tensors of numbers",
	} {
		_, err := r.Load(t.Context(), path)
		require.ErrorIs(t, err, azml.ErrInvalid, path)
		require.ErrorContains(t, err, want)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	newRuntime(t)
	_, err := onnx.New(t.Context(), &onnx.Options{Library: "another.so"})
	require.ErrorIs(t, err, azml.ErrConflict)
	_, err = onnx.New(t.Context(), &onnx.Options{Threads: -1})
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = onnx.FindLibrary(t.Context(), "no-such-python")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// equal compares an answer with what ONNX Runtime's Python gives, float32 to its last
// digits.
func equal(t *testing.T, want, got any, path string) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		require.IsType(t, want, got, path)
		require.Len(t, got, len(want), path)
		for name := range want {
			equal(t, want[name], got.(map[string]any)[name], path+"."+name)
		}
	case []any:
		require.IsType(t, want, got, path)
		require.Len(t, got, len(want), path)
		for i := range want {
			equal(t, want[i], got.([]any)[i], path+"["+strconv.Itoa(i)+"]")
		}
	case json.Number:
		a, err := want.Float64()
		require.NoError(t, err)
		require.IsType(t, want, got, path)
		b, err := got.(json.Number).Float64()
		require.NoError(t, err)
		if want != got && math.Abs(a-b) > 1e-5*max(1, math.Abs(a)) {
			t.Fatalf("%s: %v, not %v", path, got, want)
		}
	default:
		require.Equal(t, want, got, path)
	}
}

// shapeOf gives the shape of nested lists.
func shapeOf(value any) (shape []int64) {
	for {
		list, is := value.([]any)
		if !is {
			return shape
		}
		if shape = append(shape, int64(len(list))); len(list) == 0 {
			return shape
		}
		value = list[0]
	}
}

// flat gives the values of nested lists.
func flat(value any) []any {
	list, is := value.([]any)
	if !is {
		return []any{value}
	}
	var all [][]any
	for _, inner := range list {
		all = append(all, flat(inner))
	}
	return slices.Concat(all...)
}
