package experiment_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func create(t *testing.T, c *experiment.Client, name string, opts *experiment.CreateOptions) *experiment.Experiment {
	t.Helper()
	e, err := c.CreateOrUpdate(t.Context(), name, opts)
	require.NoError(t, err)
	return e
}

func names(t *testing.T, c *experiment.Client, opts *experiment.ListOptions) []string {
	t.Helper()
	list := []string{}
	for e, err := range c.List(t.Context(), opts) {
		require.NoError(t, err)
		list = append(list, e.Name())
	}
	return list
}

func TestCreateOrUpdate(t *testing.T) {
	t.Parallel()
	experiments := open(t).Experiments()
	first := create(t, experiments, "e", &experiment.CreateOptions{Description: "text", Tags: map[string]string{"a": "1"}})
	same := create(t, experiments, "e", nil)
	require.Equal(t, first.Details(), same.Details())
	same = create(t, experiments, "e", &experiment.CreateOptions{Description: "text", Tags: map[string]string{"a": "1"}})
	require.Equal(t, first.Details(), same.Details())
	changed := create(t, experiments, "e", &experiment.CreateOptions{Description: "other", Tags: map[string]string{"a": "", "b": "2"}})
	require.Equal(t, first.ID(), changed.ID())
	require.Equal(t, "other", changed.Details().Description)
	require.Equal(t, map[string]string{"a": "", "b": "2"}, changed.Details().Tags)
	for _, name := range []string{"", "a/b", "-a", strings.Repeat("a", 256)} {
		_, err := experiments.CreateOrUpdate(t.Context(), name, nil)
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	_, err := experiments.CreateOrUpdate(t.Context(), "f", &experiment.CreateOptions{Tags: map[string]string{"": "x"}})
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.Equal(t, []string{"e"}, names(t, experiments, nil))
}

func TestCreateOrUpdateAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all sync.WaitGroup
	var mu sync.Mutex
	ids, want := map[string]bool{}, map[string]string{}
	for n := range 8 {
		experiments, key := reopen(t, dir).Experiments(), fmt.Sprint(n)
		want[key] = key
		all.Go(func() {
			e, err := experiments.CreateOrUpdate(t.Context(), "e", &experiment.CreateOptions{Tags: map[string]string{key: key}})
			require.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			ids[e.ID()] = true
		})
	}
	all.Wait()
	require.Len(t, ids, 1)
	e, err := reopen(t, dir).Experiments().Get(t.Context(), "e", nil)
	require.NoError(t, err)
	require.True(t, maps.Equal(want, e.Details().Tags))
}

func TestArchive(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	experiments := open(t).Experiments()
	create(t, experiments, "active", &experiment.CreateOptions{Tags: map[string]string{"team": "a"}})
	e := create(t, experiments, "old", nil)
	archived, err := e.Archive(ctx)
	require.NoError(t, err)
	again, err := archived.Archive(ctx)
	require.NoError(t, err)
	require.Equal(t, archived.Details().Archived, again.Details().Archived)
	require.Equal(t, []string{"active"}, names(t, experiments, nil))
	require.Equal(t, []string{"old"}, names(t, experiments, &experiment.ListOptions{View: experiment.ArchivedOnly}))
	require.Equal(t, []string{"active", "old"}, names(t, experiments, &experiment.ListOptions{View: experiment.All}))
	require.Equal(t, []string{"active"}, names(t, experiments, &experiment.ListOptions{View: experiment.All, Tags: map[string]string{"team": ""}}))
	_, err = e.StartLogging(ctx, nil)
	require.ErrorIs(t, err, azml.ErrConflict)
	_, err = e.Submit(ctx, experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"true"}}, nil)
	require.ErrorIs(t, err, azml.ErrConflict)
	active, err := again.Reactivate(ctx)
	require.NoError(t, err)
	require.True(t, active.Details().Archived.IsZero())
	_, err = active.Archive(ctx)
	require.NoError(t, err)
	require.True(t, create(t, experiments, "old", nil).Details().Archived.IsZero(), "CreateOrUpdate makes it active again")
	r, err := e.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, r.Complete(ctx))
}

func TestUpdateAndDelete(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	experiments := ws.Experiments()
	e := create(t, experiments, "e", &experiment.CreateOptions{Tags: map[string]string{"a": "1", "b": "2"}})
	changed, err := e.Update(ctx, experiment.Update{Description: new("text"), SetTags: map[string]string{"a": "3"}, RemoveTags: []string{"b", "none"}})
	require.NoError(t, err)
	require.Equal(t, "text", changed.Details().Description)
	require.Equal(t, map[string]string{"a": "3"}, changed.Details().Tags)
	_, err = e.Update(ctx, experiment.Update{SetTags: map[string]string{"x": strings.Repeat("x", 20_001)}})
	require.ErrorIs(t, err, azml.ErrInvalid)
	r, err := e.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, r.Complete(ctx))
	require.ErrorIs(t, experiments.Delete(ctx, "e", nil), azml.ErrConflict)
	require.NoError(t, ws.Runs().Delete(ctx, r.ID(), nil))
	require.NoError(t, experiments.Delete(ctx, "e", nil))
	require.ErrorIs(t, experiments.Delete(ctx, "e", nil), azml.ErrNotFound)
	_, err = e.Update(ctx, experiment.Update{Description: new("x")})
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = e.StartLogging(ctx, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	again := create(t, experiments, "e", nil)
	r, err = again.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, 2, r.Number(), "a number is not given again")
	require.NoError(t, r.Complete(ctx))
}

// An experiment is deleted while a run is begun in it: either there is no run,
// or the experiment is there.
func TestDeleteAndRunAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	for n := range 50 {
		name := fmt.Sprint("e", n)
		e := create(t, ws.Experiments(), name, nil)
		var both sync.WaitGroup
		var r *run.Run
		var startErr error
		both.Go(func() { r, startErr = e.StartLogging(ctx, &experiment.RunOptions{RunID: name}) })
		deleteErr := ws.Experiments().Delete(ctx, name, nil)
		both.Wait()
		_, err := ws.Experiments().Get(ctx, name, nil)
		if startErr != nil {
			require.ErrorIs(t, startErr, azml.ErrNotFound)
			_, err := ws.Runs().Get(ctx, name, nil)
			require.ErrorIs(t, err, azml.ErrNotFound)
			continue
		}
		require.NoError(t, err, "the run's experiment is gone")
		require.ErrorIs(t, deleteErr, azml.ErrConflict)
		require.NoError(t, r.Complete(ctx))
	}
}

func TestSubmitChecksEverythingFirst(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	e := create(t, ws.Experiments(), "e", nil)
	src := t.TempDir()
	file(t, src, "train.py", "")
	file(t, src, "sub/other.py", "")
	file(t, src, "ignored.py", "")
	file(t, src, ".amlignore", "ignored.py\n")
	ended, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "taken"})
	require.NoError(t, err)
	require.NoError(t, ended.Complete(ctx))
	elsewhere, err := create(t, ws.Experiments(), "other", nil).StartLogging(ctx, &experiment.RunOptions{RunID: "elsewhere"})
	require.NoError(t, err)
	defer elsewhere.Complete(ctx) //nolint:errcheck // it is only there
	ok := experiment.ScriptRunConfig{Source: src, Script: "train.py"}
	with := func(change func(*experiment.ScriptRunConfig)) experiment.ScriptRunConfig {
		c := ok
		change(&c)
		return c
	}
	for name, test := range map[string]struct {
		config experiment.ScriptRunConfig
		opts   *experiment.SubmitOptions
		class  error
		text   string
	}{
		"nothing to run":      {experiment.ScriptRunConfig{Source: src}, nil, azml.ErrInvalid, "script or a command"},
		"both":                {with(func(c *experiment.ScriptRunConfig) { c.Command = []string{"x"} }), nil, azml.ErrInvalid, "script or a command"},
		"command arguments":   {experiment.ScriptRunConfig{Source: src, Command: []string{"x"}, Arguments: []string{"y"}}, nil, azml.ErrInvalid, "arguments"},
		"empty program":       {experiment.ScriptRunConfig{Source: src, Command: []string{""}}, nil, azml.ErrInvalid, "program"},
		"no folder":           {with(func(c *experiment.ScriptRunConfig) { c.Source = src + "/none" }), nil, azml.ErrNotFound, "none"},
		"source is a file":    {with(func(c *experiment.ScriptRunConfig) { c.Source = src + "/train.py" }), nil, azml.ErrInvalid, "no folder"},
		"no script":           {with(func(c *experiment.ScriptRunConfig) { c.Script = "none.py" }), nil, azml.ErrNotFound, "none.py"},
		"script is a folder":  {with(func(c *experiment.ScriptRunConfig) { c.Script = "sub" }), nil, azml.ErrInvalid, "no file"},
		"script outside":      {with(func(c *experiment.ScriptRunConfig) { c.Script = "../train.py" }), nil, azml.ErrInvalid, "inside"},
		"ignored script":      {with(func(c *experiment.ScriptRunConfig) { c.Script = "ignored.py" }), nil, azml.ErrInvalid, ".amlignore:1"},
		"absolute script":     {with(func(c *experiment.ScriptRunConfig) { c.Script = filepath.Join(src, "train.py") }), nil, azml.ErrInvalid, "inside"},
		"compute":             {with(func(c *experiment.ScriptRunConfig) { c.Compute = "none" }), nil, azml.ErrNotFound, "none"},
		"environment":         {with(func(c *experiment.ScriptRunConfig) { c.Environment = environment.Reference("none", "") }), nil, azml.ErrNotFound, "none"},
		"requirement":         {with(func(c *experiment.ScriptRunConfig) { c.Environment.Python.Pip = []string{"??"} }), nil, azml.ErrInvalid, "??"},
		"variable":            {with(func(c *experiment.ScriptRunConfig) { c.Variables = map[string]string{"=": "x"} }), nil, azml.ErrInvalid, "variable"},
		"NUL":                 {with(func(c *experiment.ScriptRunConfig) { c.Arguments = []string{"\x00"} }), nil, azml.ErrInvalid, "NUL"},
		"argument no UTF-8":   {with(func(c *experiment.ScriptRunConfig) { c.Arguments = []string{"\xff"} }), nil, azml.ErrInvalid, "UTF-8"},
		"negative time":       {with(func(c *experiment.ScriptRunConfig) { c.MaxDuration = -time.Second }), nil, azml.ErrInvalid, "negative"},
		"negative grace":      {with(func(c *experiment.ScriptRunConfig) { c.GracePeriod = -1 }), nil, azml.ErrInvalid, "negative"},
		"run ID":              {ok, &experiment.SubmitOptions{RunID: "a/b"}, azml.ErrInvalid, "a/b"},
		"run ID taken":        {ok, &experiment.SubmitOptions{RunID: "taken"}, azml.ErrExists, ""},
		"tags":                {ok, &experiment.SubmitOptions{Tags: map[string]string{"": "x"}}, azml.ErrInvalid, "tags"},
		"properties":          {ok, &experiment.SubmitOptions{Properties: map[string]string{"x": "\xff"}}, azml.ErrInvalid, "UTF-8"},
		"display name":        {ok, &experiment.SubmitOptions{DisplayName: strings.Repeat("x", 257)}, azml.ErrInvalid, "display name"},
		"display name, bytes": {ok, &experiment.SubmitOptions{DisplayName: "\xff"}, azml.ErrInvalid, "display name"},
		"no parent":           {ok, &experiment.SubmitOptions{Parent: "none"}, azml.ErrNotFound, "none"},
		"parent elsewhere":    {ok, &experiment.SubmitOptions{Parent: "elsewhere"}, azml.ErrInvalid, `experiment "other"`},
		"ended parent":        {ok, &experiment.SubmitOptions{Parent: "taken"}, azml.ErrConflict, "taken"},
	} {
		_, err := e.Submit(ctx, test.config, test.opts)
		require.ErrorIs(t, err, test.class, name)
		require.ErrorContains(t, err, test.text, name)
		require.ErrorContains(t, err, `submit run to experiment "e"`, name)
	}
	count := 0
	for _, err := range ws.Runs().List(ctx, nil) {
		require.NoError(t, err)
		count++
	}
	require.Equal(t, 2, count, "no run was created")
	for env, err := range ws.Environments().List(ctx, nil) {
		require.NoError(t, err)
		t.Errorf("environment %s was created", env.ID())
	}
}

func restored(t *testing.T, r *run.Run) []string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, r.RestoreSnapshot(t.Context(), dir, nil))
	var list []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			relative, _ := filepath.Rel(dir, path)
			list = append(list, filepath.ToSlash(relative))
		}
		return err
	}))
	slices.Sort(list)
	return list
}

func TestSnapshotOfTheSource(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	src := t.TempDir()
	ws := reopen(t, src) // the workspace, its cache and its key lie inside the source folder
	e := create(t, ws.Experiments(), "e", nil)
	file(t, src, "train.py", "print(1)")
	file(t, src, "sub/lib.py", "")
	file(t, src, "data/big.bin", "x")
	file(t, src, "sub/keep.log", "x")
	file(t, src, "sub/drop.log", "x")
	file(t, src, ".venv/pyvenv.cfg", "x")
	file(t, src, "__pycache__/a.pyc", "x")
	file(t, src, ".gitignore", "nothing.txt\n")
	file(t, src, ".amlignore", "/data/\n*.log\n!keep.log\n")
	start := func() *run.Run {
		r, err := e.StartLogging(ctx, &experiment.RunOptions{Source: src, Properties: map[string]string{"mine": ""}})
		require.NoError(t, err)
		require.NoError(t, r.Complete(ctx))
		return r
	}
	first := start()
	require.Equal(t, []string{".amlignore", ".gitignore", "sub/keep.log", "sub/lib.py", "train.py"}, restored(t, first))
	require.Equal(t, first.SnapshotID(), first.Details().Properties["ContentSnapshotId"])
	require.Contains(t, first.Details().Properties, "mine", "a property of the caller's stays, whatever its value")
	require.Equal(t, first.SnapshotID(), start().SnapshotID(), "an unchanged folder has the same snapshot")
	file(t, src, "train.py", "print(2)")
	file(t, src, "new.py", "")
	require.NoError(t, os.Remove(filepath.Join(src, "sub", "lib.py")))
	third := start()
	diff, err := first.DiffSnapshots(ctx, third)
	require.NoError(t, err)
	require.Equal(t, "new.py", diff.Added[0].Path)
	require.Equal(t, "sub/lib.py", diff.Removed[0].Path)
	require.Equal(t, "train.py", diff.Changed[0].Path)
	none, err := e.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, none.Complete(ctx))
	require.ErrorIs(t, none.RestoreSnapshot(ctx, t.TempDir(), nil), azml.ErrNotFound)
	_, err = first.DiffSnapshots(ctx, none)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestGitPropertiesAreSet(t *testing.T) {
	t.Parallel()
	git := testenv.Git(t)
	src := t.TempDir()
	file(t, src, "train.py", "")
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."},
		{"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "x"},
		{"remote", "add", "origin", "https://user:secret@example.org/repo.git"}} {
		out, err := exec.CommandContext(t.Context(), git, append([]string{"-C", src}, args...)...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	e := create(t, open(t).Experiments(), "e", nil)
	r, err := e.StartLogging(t.Context(), &experiment.RunOptions{Source: src})
	require.NoError(t, err)
	require.NoError(t, r.Complete(t.Context()))
	p := r.Details().Properties
	require.Equal(t, "main", p["azureml.git.branch"])
	require.Len(t, p["azureml.git.commit"], 40)
	require.Equal(t, "False", p["azureml.git.dirty"])
	require.Equal(t, p["azureml.git.commit"], p["mlflow.source.git.commit"])
	require.NotContains(t, fmt.Sprint(p), "secret")
	require.NoError(t, r.Tag(t.Context(), "after", "x"))
}

// The facts that a snapshot adds don't count against the caller's properties.
func TestFiftyPropertiesBesideASnapshot(t *testing.T) {
	t.Parallel()
	src := t.TempDir()
	file(t, src, "train.py", "")
	properties := map[string]string{}
	for n := range 50 {
		properties[fmt.Sprint(n)] = "x"
	}
	e := create(t, open(t).Experiments(), "e", nil)
	r, err := e.StartLogging(t.Context(), &experiment.RunOptions{Source: src, Properties: properties})
	require.NoError(t, err)
	require.NoError(t, r.Tag(t.Context(), "after", "x"))
	require.NoError(t, r.Complete(t.Context()))
}

func TestPlanSnapshot(t *testing.T) {
	t.Parallel()
	src := t.TempDir()
	file(t, src, "a.py", "12345")
	file(t, src, "data/big.bin", strings.Repeat("x", 1000))
	file(t, src, "drop.log", "x")
	file(t, src, ".amlignore", "*.log\n")
	file(t, src, ".venv/pyvenv.cfg", "x")
	inside, err := workspace.Open(t.Context(), filepath.Join(src, "ws"), workspacetest.Options(t.TempDir()))
	require.NoError(t, err)
	require.NoError(t, inside.Close(t.Context()))
	plan, err := experiment.PlanSnapshot(t.Context(), src, &experiment.PlanOptions{Largest: 1})
	require.NoError(t, err)
	require.Equal(t, []experiment.PlannedFile{{Path: ".amlignore", Size: 6}, {Path: "a.py", Size: 5}, {Path: "data/big.bin", Size: 1000}}, plan.Files)
	require.EqualValues(t, 1011, plan.Size)
	var ignored []string
	for _, i := range plan.Ignored {
		require.NotEmpty(t, i.Reason)
		ignored = append(ignored, i.Path)
	}
	require.ElementsMatch(t, []string{".venv/", "drop.log", "ws/"}, ignored, "a workspace, too, stays out, as with a submit")
	require.Len(t, plan.Largest, 1)
	require.Contains(t, plan.Largest[0].Path, "data/")
	_, err = experiment.PlanSnapshot(t.Context(), src+"/none", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = experiment.PlanSnapshot(t.Context(), src+"/a.py", nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestSubmitRunsTheScript(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	python := testenv.Python(t)
	ws := open(t)
	e := create(t, ws.Experiments(), "e", nil)
	src := t.TempDir()
	file(t, src, "train.py", "import sys\nprint('args', sys.argv[1:])\nsys.exit(int(sys.argv[1]))\n")
	env := environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: python}}
	stored := 0
	parent, err := e.StartLogging(ctx, nil)
	require.NoError(t, err)
	r, err := e.Submit(ctx, experiment.ScriptRunConfig{Source: src, Script: "./train.py", Arguments: []string{"3"}, Environment: env},
		&experiment.SubmitOptions{Parent: parent.ID(), Tags: map[string]string{"a": "b"}, Progress: func(done, _ int) { stored = done }})
	require.NoError(t, err)
	require.Regexp(t, `^e_[0-9]+_[0-9a-f]{8}$`, r.ID())
	require.Equal(t, 1, stored)
	err = r.Wait(ctx, nil)
	require.ErrorIs(t, err, azml.ErrFailed)
	d := r.Details()
	require.Equal(t, run.StatusFailed, d.Status)
	require.Equal(t, 3, *d.Error.ExitCode)
	require.Contains(t, strings.Join(d.Error.LastLines, "\n"), "args ['3']")
	require.Equal(t, run.StatusRunning, d.Error.Phase)
	require.Equal(t, parent.ID(), d.ParentRunID)
	require.Equal(t, "default-environment:1", d.Environment)
	require.NoError(t, parent.Complete(ctx))
}

func TestRunGivesTheRunAlsoWhenItFailed(t *testing.T) {
	t.Parallel()
	e := create(t, open(t).Experiments(), "e", nil)
	boom := errors.New("boom")
	r, err := e.Run(t.Context(), func(context.Context, *run.Run) error { return boom }, &experiment.RunOptions{DisplayName: "mine"})
	require.ErrorIs(t, err, boom)
	require.Equal(t, run.StatusFailed, r.Status())
	require.Equal(t, "boom", r.Details().Error.Message)
	require.Equal(t, "mine", r.Details().DisplayName)
	_, err = e.Run(t.Context(), func(context.Context, *run.Run) error { return nil }, &experiment.RunOptions{RunID: r.ID()})
	require.ErrorIs(t, err, azml.ErrExists)
}
