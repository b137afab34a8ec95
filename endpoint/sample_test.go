package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

// keepSample registers a dataset of a file.
func keepSample(t *testing.T, ws *workspace.Workspace, name, text string) string {
	t.Helper()
	store, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	dir := t.TempDir()
	file(t, dir, name, text)
	_, err = store.Upload(t.Context(), dir, "", nil)
	require.NoError(t, err)
	paths := []dataset.Path{{Path: name}}
	d, err := ws.Datasets().FromFiles(t.Context(), paths, nil)
	if name == "rows.csv" {
		d, err = ws.Datasets().FromDelimitedFiles(t.Context(), paths, nil)
	}
	require.NoError(t, err)
	d, err = d.Register(t.Context(), "sample", nil)
	require.NoError(t, err)
	return d.Name() + ":1"
}

// TestOwnSample: a deployment that is given no sample request is tried with that of its
// model.
func TestOwnSample(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, text string
		sample     []byte
		want       []string // what the function got
	}{
		"the model's":       {"request.json", `{"x": 1}`, nil, []string{`{"x": 1}`}},
		"one that is given": {"request.json", `{"x": 1}`, []byte(`2`), []string{`2`}},
		"none":              {"request.json", `{"x": 1}`, []byte{}, nil},
		"no request":        {"notes.txt", `x`, nil, nil},
		"a table":           {"rows.csv", "a,b\n1,2\n", nil, nil}, // how a function wants it is not known
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := open(t)
			m := registerModel(t, ws.Models(), map[string]string{"weights": "1"}, &model.RegisterOptions{SampleInputDataset: keepSample(t, ws, c.file, c.text)})
			var got []string
			deploy(t, ws, "svc", endpoint.Config{Model: m, Sample: c.sample, Handler: func(_ context.Context, input json.RawMessage) (any, error) {
				got = append(got, string(input))
				return nil, nil
			}}, nil)
			require.Equal(t, c.want, got)
		})
	}
	ws := open(t)
	m := registerModel(t, ws.Models(), map[string]string{"weights": "1"}, &model.RegisterOptions{SampleInputDataset: keepSample(t, ws, "request.json", "1")})
	_, err := ws.Endpoints().Deploy(t.Context(), "svc", endpoint.Config{Model: m, Handler: func(context.Context, json.RawMessage) (any, error) {
		return nil, errors.New("it has no weights")
	}}, nil)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.ErrorContains(t, err, "phase sample")
}

// TestSampleOfMLflow: a model of MLflow's is tried with the first row of its sample
// dataset, or the example that MLflow has kept.
func TestSampleOfMLflow(t *testing.T) {
	t.Parallel()
	python := environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: testenv.MLflow(t)}}
	for name, c := range map[string]struct {
		example, rows string
		want          string // a part of the failure; "" for none
	}{
		"good example": {`{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}`, "", ""},
		"bad example":  {`{"dataframe_split": {"columns": ["a", "c"], "data": [[1, 2]]}}`, "", "phase sample"},
		"good row":     {"", "label,a,b\nx,1.5,2\n", ""},
		"bad row":      {"", "a,c\n1.5,2\n", "phase sample"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := open(t)
			files, opts := map[string]string{}, &model.RegisterOptions{}
			for name, text := range flavored {
				files[name] = text
			}
			if c.example != "" {
				files["serving_input_example.json"] = c.example
			} else {
				opts.SampleInputDataset = keepSample(t, ws, "rows.csv", c.rows)
			}
			m := registerModel(t, ws.Models(), files, opts)
			_, err := ws.Endpoints().Deploy(t.Context(), "adder", endpoint.Config{Model: m, Script: &endpoint.Script{Environment: python}}, nil)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, azml.ErrFailed)
			require.ErrorContains(t, err, c.want)
		})
	}
}
