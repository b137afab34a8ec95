package model_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

// registerDataset registers a table as a dataset of that name.
func registerDataset(t *testing.T, ws *workspace.Workspace, name string) string {
	t.Helper()
	ctx := t.Context()
	store, err := ws.Datastores().Default(ctx, nil)
	require.NoError(t, err)
	dir := t.TempDir()
	file(t, dir, name+".csv", "x,y\n1,2\n")
	_, err = store.Upload(ctx, dir, "", nil)
	require.NoError(t, err)
	d, err := ws.Datasets().FromDelimitedFiles(ctx, []dataset.Path{{Path: name + ".csv"}}, nil)
	require.NoError(t, err)
	d, err = d.Register(ctx, name, nil)
	require.NoError(t, err)
	return fmt.Sprintf("%s:%d", d.Name(), d.Version())
}

func TestDatasetsOfAModel(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	titanic := registerDataset(t, ws, "titanic")
	options := model.RegisterOptions{Datasets: []model.DatasetReference{{Relation: "training", Dataset: titanic}},
		SampleInputDataset: titanic, Resources: model.Resources{CPU: 0.5, MemoryGB: 2, GPU: 1}}
	m := register(t, ws.Models(), "m", &options)
	register(t, ws.Models(), "other", nil)
	m, err := m.Refresh(ctx)
	require.NoError(t, err)
	d := m.Details()
	require.Equal(t, options.Datasets, d.Datasets)
	require.Equal(t, titanic, d.SampleInputDataset)
	require.Equal(t, options.Resources, d.Resources)
	require.Equal(t, []string{"m:1"}, ids(t, ws.Models(), &model.ListOptions{Dataset: titanic}))
	require.Empty(t, ids(t, ws.Models(), &model.ListOptions{Dataset: "titanic:2"}))

	for name, bad := range map[string]model.RegisterOptions{
		`dataset "none:1"`:            {Datasets: []model.DatasetReference{{Relation: "training", Dataset: "none:1"}}},
		`"titanic": write name`:       {SampleOutputDataset: "titanic"},
		"say what it was":             {Datasets: []model.DatasetReference{{Dataset: titanic}}},
		"Resources.CPU is -1":         {Resources: model.Resources{CPU: -1}},
		"two fields have the name":    {Signature: &model.Signature{Inputs: []model.Field{{Name: "x", Type: "long"}, {Name: "x", Type: "long"}}}},
		`type "number": use one of`:   {Signature: &model.Signature{Outputs: []model.Field{{Name: "x", Type: "number"}}}},
		`child path "../weights.bin"`: {ChildPaths: []string{"../weights.bin"}},
	} {
		_, err := ws.Models().Register(ctx, "bad", file(t, t.TempDir(), "m.txt", "m"), &bad)
		require.Error(t, err, name)
		require.ErrorContains(t, err, name)
	}
	require.Empty(t, ids(t, ws.Models(), &model.ListOptions{Name: "bad"}), "nothing is registered")
}

func TestChildPaths(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	dir := t.TempDir()
	for _, name := range []string{"weights/a.bin", "weights/deep/b.bin", "vocabulary.txt", "notes.txt", "weights-old/a.bin"} {
		file(t, dir, name, name)
	}
	children := []string{"weights/deep", "weights/", "vocabulary.txt"}
	want := []string{"vocabulary.txt", "weights/a.bin", "weights/deep/b.bin"}
	m, err := ws.Models().Register(ctx, "m", dir, &model.RegisterOptions{ChildPaths: children})
	require.NoError(t, err)
	require.Equal(t, want, filePaths(t, m))
	_, err = ws.Models().Register(ctx, "m", dir, &model.RegisterOptions{ChildPaths: []string{"none"}})
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, `child path "none"`)

	exp, err := ws.Experiments().CreateOrUpdate(ctx, "e", nil)
	require.NoError(t, err)
	r, err := exp.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, r.UploadFolder(ctx, "outputs/model", dir, nil))
	m, err = r.RegisterModel(ctx, "m", "outputs/model", &model.RegisterOptions{ChildPaths: children})
	require.NoError(t, err)
	require.Equal(t, want, filePaths(t, m))
	_, err = r.RegisterModel(ctx, "m", "outputs/model", &model.RegisterOptions{ChildPaths: []string{"none"}})
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "vocabulary.txt", "the error names what there is")
	require.NoError(t, r.Complete(ctx))
}

func filePaths(t *testing.T, m *model.Model) (paths []string) {
	t.Helper()
	files, err := m.Files(t.Context())
	require.NoError(t, err)
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	return paths
}

const described = `
flavors: {python_function: {loader_module: mlflow.sklearn}}
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
`

func TestSignature(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	models := open(t).Models()
	dir := t.TempDir()
	file(t, dir, "model.pkl", "m")
	file(t, dir, "MLmodel", described)
	m, err := models.Register(ctx, "m", dir, nil)
	require.NoError(t, err)
	require.Equal(t, &model.Signature{Inputs: []model.Field{{Name: "x", Type: "double"}}, Outputs: []model.Field{{Type: "int64", Shape: []int{-1}}}},
		m.Details().Signature, "an MLflow model says it itself")

	given := &model.Signature{Inputs: []model.Field{{Name: "y", Type: "string", Optional: true}}}
	m, err = models.Register(ctx, "m", dir, &model.RegisterOptions{Signature: given})
	require.NoError(t, err)
	require.Equal(t, given, m.Details().Signature, "who registers it knows better")

	file(t, dir, "MLmodel", "signature: [")
	m, err = models.Register(ctx, "m", dir, nil)
	require.NoError(t, err, "a description that can't be read is a file like others")
	require.Nil(t, m.Details().Signature)
	_, err = model.ParseSignature([]byte("{"))
	require.ErrorIs(t, err, azml.ErrInvalid)
}

// history gives what was done to the model, a line for each.
func changes(t *testing.T, c *model.Client, name string, opts *model.HistoryOptions) (list []string) {
	t.Helper()
	for change, err := range c.History(t.Context(), name, opts) {
		require.NoError(t, err)
		require.NotEmpty(t, change.Who)
		require.False(t, change.Time.IsZero())
		list = append(list, change.Op+" "+change.Model+" "+change.Detail)
	}
	return list
}

func TestHistory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	models := open(t).Models()
	one := register(t, models, "m", nil)
	register(t, models, "m-2", nil)
	register(t, models, "m", nil)
	_, err := one.Update(ctx, model.Update{SetTags: map[string]string{"team": "risk", "old": ""}})
	require.NoError(t, err)
	_, err = one.Update(ctx, model.Update{SetTags: map[string]string{"team": "a;b"}, RemoveTags: []string{"old"}, Stage: model.StageStaging, AddProperties: map[string]string{"p": "1"}})
	require.NoError(t, err)
	_, err = one.Update(ctx, model.Update{AddProperties: map[string]string{"p": "2"}})
	require.ErrorIs(t, err, azml.ErrConflict)
	for _, version := range []int{1, 2, 2, 1} {
		require.NoError(t, models.SetAlias(ctx, "m", "champion", version, nil))
	}
	require.NoError(t, models.DeleteAlias(ctx, "m", "champion", nil))
	require.Equal(t, []string{
		"create m ",
		"create m:1 ",
		"create m:2 ",
		`update m:1 tag old: ""; tag team: "risk"`,
		`update m:1 stage: Staging; tag old removed, it was ""; tag team: "a;b", before "risk"; property p: "1"`,
		"update m alias champion: version 1",
		"update m alias champion: version 2, before version 1",
		"update m alias champion: version 1, before version 2",
		"update m alias champion removed, it was version 1",
	}, changes(t, models, "m", nil))
	require.Equal(t, []string{
		"create m:2 ",
		"update m alias champion: version 2, before version 1",
		"update m alias champion: version 1, before version 2",
	}, changes(t, models, "m", &model.HistoryOptions{Version: 2}))
	require.NoError(t, models.SetAlias(ctx, "m", "champion", 1, nil))
	require.NoError(t, models.SetAlias(ctx, "m", "spare", 2, nil))
	require.NoError(t, models.Delete(ctx, "m", 1, nil))
	register(t, models, "m", nil)
	require.NoError(t, models.Delete(ctx, "m", 3, nil))
	require.Equal(t, []string{
		"update m alias champion: version 1",
		"update m alias spare: version 2",
		"delete m:1 ",
		"update m alias champion removed, it was version 1",
		"create m:3 ",
		"delete m:3 ",
	}, changes(t, models, "m", nil)[9:], "who moved an alias is told of all that moved")
	require.NoError(t, models.DeleteRegistered(ctx, "m", nil))
	require.Contains(t, changes(t, models, "m", nil), "delete m:2 ", "what was deleted has a history")
	require.Empty(t, changes(t, models, "none", nil))
	for _, err := range models.History(ctx, "/", nil) {
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
}

func TestLineage(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	titanic := registerDataset(t, ws, "titanic")
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "e", nil)
	require.NoError(t, err)
	r, err := exp.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, r.UploadFile(ctx, "outputs/m", file(t, t.TempDir(), "m", "m"), nil))
	m, err := r.RegisterModel(ctx, "m", "outputs/m", &model.RegisterOptions{Datasets: []model.DatasetReference{{Relation: "training", Dataset: titanic}}})
	require.NoError(t, err)
	require.NoError(t, r.Complete(ctx))
	require.NoError(t, ws.Models().SetAlias(ctx, "m", "champion", 1, nil))
	l, err := ws.ModelLineage(ctx, "m@champion")
	require.NoError(t, err)
	require.Equal(t, m.ID(), l.Model.ID)
	require.Equal(t, []string{"champion"}, l.Aliases)
	require.Equal(t, &workspace.LineageRun{ID: r.ID(), Experiment: "e", Status: "Completed", Ended: l.Run.Ended}, l.Run)
	require.False(t, l.Run.Ended.IsZero())
	require.Equal(t, []model.DatasetReference{{Relation: "training", Dataset: titanic}}, l.Datasets)
	require.NoError(t, ws.Runs().Delete(ctx, r.ID(), nil))
	l, err = ws.ModelLineage(ctx, "m")
	require.NoError(t, err)
	require.Equal(t, &workspace.LineageRun{ID: r.ID(), Experiment: "e"}, l.Run, "a deleted run is told as far as the model knows it")
	_, err = ws.ModelLineage(ctx, "none")
	require.ErrorIs(t, err, azml.ErrNotFound)
}
