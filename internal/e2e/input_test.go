package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// desk is a workspace with something of each kind, on which bad input is tried.
type desk struct {
	place  place
	ws     *workspace.Workspace
	exp    *experiment.Experiment
	r      *run.Run
	m      *model.Model
	source string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	ctx := t.Context()
	d := &desk{place: newPlace(t), source: sourceFolder(t)}
	d.ws = d.place.open(t)
	var err error
	d.exp, err = d.ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	d.r, err = d.exp.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, d.r.Log("loss", 1.0, nil))
	require.NoError(t, d.r.Upload(ctx, "outputs/model.txt", strings.NewReader("weights"), nil))
	d.m, err = d.r.RegisterModel(ctx, "churn", "outputs/model.txt", nil)
	require.NoError(t, err)
	_, err = d.ws.Environments().Register(ctx, environment.Spec{Name: "env"}, nil)
	require.NoError(t, err)
	require.NoError(t, d.r.Complete(ctx))
	require.Eventually(t, func() bool {
		for key := range d.keys(t) {
			if strings.HasSuffix(key, ".seg") {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond, "its metrics are sealed in the background")
	return d
}

// keys gives all objects of the workspace but the audit log, each with its state.
func (d *desk) keys(t *testing.T) map[string]backend.ETag {
	t.Helper()
	objects, err := localfs.New(d.place.Dir, nil)
	require.NoError(t, err)
	defer objects.Close()
	all := map[string]backend.ETag{}
	for info, err := range objects.List(t.Context(), &backend.ListOptions{}) {
		require.NoError(t, err)
		if !strings.HasPrefix(info.Key, "audit/") {
			all[info.Key] = info.ETag
		}
	}
	return all
}

func isContent(key string, _ backend.ETag) bool { return strings.HasPrefix(key, "files/") }

func TestBadInput(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	submit := func(change func(*experiment.ScriptRunConfig)) func(context.Context) error {
		return func(ctx context.Context) error {
			config := experiment.ScriptRunConfig{Source: d.source, Command: []string{"/bin/true"}}
			change(&config)
			_, err := d.exp.Submit(ctx, config, nil)
			return err
		}
	}
	script := func(name string) func(context.Context) error {
		return submit(func(c *experiment.ScriptRunConfig) { c.Command, c.Script = nil, name })
	}
	upload := func(name string) func(context.Context) error {
		return func(ctx context.Context) error { return d.r.Upload(ctx, name, strings.NewReader("x"), nil) }
	}
	deploy := func(change func(*endpoint.Config)) func(context.Context) error {
		return func(ctx context.Context) error {
			config := endpoint.Config{Model: d.m, Handler: double}
			change(&config)
			_, err := d.ws.Endpoints().Deploy(ctx, "service", config, nil)
			return err
		}
	}
	cases := []struct {
		name  string
		do    func(ctx context.Context) error
		class error
		text  string
	}{
		{"script that is not there", script("nope.py"), azml.ErrNotFound, "nope.py"},
		{"script outside the source folder", script("../train.py"), azml.ErrInvalid, "../train.py"},
		{"absolute script", script("/etc/passwd"), azml.ErrInvalid, "/etc/passwd"},
		{"script that is a folder", script("."), azml.ErrInvalid, `"."`},
		{"no source folder", submit(func(c *experiment.ScriptRunConfig) { c.Source = "/no/such/folder" }), azml.ErrNotFound, "/no/such/folder"},
		{"source that is a file", submit(func(c *experiment.ScriptRunConfig) { c.Source = filepath.Join(d.source, "train.sh") }), azml.ErrInvalid, "train.sh"},
		{"script and command", submit(func(c *experiment.ScriptRunConfig) { c.Script = "train.sh" }), azml.ErrInvalid, "either a script or a command"},
		{"neither script nor command", submit(func(c *experiment.ScriptRunConfig) { c.Command = nil }), azml.ErrInvalid, "either a script or a command"},
		{"empty program", submit(func(c *experiment.ScriptRunConfig) { c.Command = []string{""} }), azml.ErrInvalid, "program"},
		{"arguments of a command", submit(func(c *experiment.ScriptRunConfig) { c.Arguments = []string{"x"} }), azml.ErrInvalid, "arguments"},
		{"NUL in a command", submit(func(c *experiment.ScriptRunConfig) { c.Command = []string{"a", "\x00"} }), azml.ErrInvalid, "NUL"},
		{"unknown compute", submit(func(c *experiment.ScriptRunConfig) { c.Compute = "gpu-box" }), azml.ErrNotFound, "gpu-box"},
		{"unknown environment", submit(func(c *experiment.ScriptRunConfig) { c.Environment = environment.Reference("nope", "") }), azml.ErrNotFound, "nope"},
		{"unknown environment version", submit(func(c *experiment.ScriptRunConfig) { c.Environment = environment.Reference("env", "9") }), azml.ErrNotFound, "env"},
		{"bad variable", submit(func(c *experiment.ScriptRunConfig) { c.Variables = map[string]string{"A=B": ""} }), azml.ErrInvalid, "A=B"},
		{"negative time limit", submit(func(c *experiment.ScriptRunConfig) { c.MaxDuration = -time.Second }), azml.ErrInvalid, "-1s"},
		{"unknown parent", func(ctx context.Context) error {
			_, err := d.exp.Submit(ctx, experiment.ScriptRunConfig{Source: d.source, Command: []string{"true"}}, &experiment.SubmitOptions{Parent: "nobody"})
			return err
		}, azml.ErrNotFound, "nobody"},
		{"run ID of a submit that is taken", func(ctx context.Context) error {
			_, err := d.exp.Submit(ctx, experiment.ScriptRunConfig{Source: d.source, Command: []string{"true"}}, &experiment.SubmitOptions{RunID: d.r.ID()})
			return err
		}, azml.ErrExists, d.r.ID()},
		{"run ID that is taken", func(ctx context.Context) error {
			_, err := d.exp.StartLogging(ctx, &experiment.RunOptions{RunID: d.r.ID()})
			return err
		}, azml.ErrExists, ""},
		{"file that escapes", upload("../x"), azml.ErrInvalid, "../x"},
		{"file that escapes inside", upload("a/../../x"), azml.ErrInvalid, "a/../../x"},
		{"absolute file", upload("/x"), azml.ErrInvalid, "/x"},
		{"file without a name", upload(""), azml.ErrInvalid, ""},
		{"file with a NUL", upload("a\x00b"), azml.ErrInvalid, ""},
		{"file that is there", upload("outputs/model.txt"), azml.ErrExists, "outputs/model.txt"},
		{"upload of nothing", func(ctx context.Context) error { return d.r.UploadFile(ctx, "a", "/no/such/file", nil) }, azml.ErrNotFound, "/no/such/file"},
		{"download of nothing", func(ctx context.Context) error { return d.r.DownloadFile(ctx, "../x", t.TempDir()) }, azml.ErrNotFound, "../x"},
		{"download over a file", func(ctx context.Context) error {
			return d.r.DownloadFile(ctx, "outputs/model.txt", filepath.Join(d.source, "train.sh"))
		}, azml.ErrExists, "train.sh"},
		{"model of nothing", func(ctx context.Context) error {
			_, err := d.ws.Models().Register(ctx, "m", "/no/such/model", nil)
			return err
		}, azml.ErrNotFound, "/no/such/model"},
		{"model of an empty folder", func(ctx context.Context) error {
			_, err := d.ws.Models().Register(ctx, "m", t.TempDir(), nil)
			return err
		}, azml.ErrInvalid, "no files"},
		{"model of no output", func(ctx context.Context) error {
			_, err := d.r.RegisterModel(ctx, "m", "outputs/nope", nil)
			return err
		}, azml.ErrNotFound, "outputs/model.txt"},
		{"model version that is not there", func(ctx context.Context) error {
			_, err := d.ws.Models().Get(ctx, "churn", 7, nil)
			return err
		}, azml.ErrNotFound, "churn:7"},
		{"delete of no version", func(ctx context.Context) error { return d.ws.Models().Delete(ctx, "churn", 0, nil) }, azml.ErrInvalid, "churn"},
		{"two kinds of service", deploy(func(c *endpoint.Config) { c.Script = &endpoint.Script{} }), azml.ErrInvalid, "exactly one"},
		{"bad address", func(ctx context.Context) error {
			_, err := d.ws.Endpoints().Deploy(ctx, "bad", endpoint.Config{Handler: double}, &endpoint.DeployOptions{Serve: &endpoint.ServeOptions{Address: "nowhere"}})
			return err
		}, azml.ErrInvalid, "nowhere"},
		{"entry script that escapes", deploy(func(c *endpoint.Config) {
			c.Handler, c.Script = nil, &endpoint.Script{Source: d.source, EntryScript: "../score.py"}
		}), azml.ErrInvalid, "../score.py"},
		{"entry script that is not there", deploy(func(c *endpoint.Config) {
			c.Handler, c.Script = nil, &endpoint.Script{Source: d.source, EntryScript: "score.py"}
		}), azml.ErrNotFound, "score.py"},
		{"log to an ended run", func(context.Context) error { return d.r.Log("loss", 2.0, nil) }, azml.ErrClosed, d.r.ID()},
		{"log of a strange type", func(context.Context) error { return d.r.Log("loss", struct{}{}, nil) }, azml.ErrInvalid, "loss"},
		{"cancel of an ended run", func(ctx context.Context) error { return d.r.Cancel(ctx, nil) }, azml.ErrConflict, d.r.ID()},
		{"experiment with runs", func(ctx context.Context) error { return d.ws.Experiments().Delete(ctx, "churn", nil) }, azml.ErrConflict, "churn"},
		{"secret that is not there", func(ctx context.Context) error { return d.ws.Secrets().Delete(ctx, "nope") }, azml.ErrNotFound, "nope"},
		{"too many tags", func(ctx context.Context) error {
			tags := map[string]string{}
			for i := range 1001 {
				tags[fmt.Sprint("x", i)] = ""
			}
			return d.r.Update(ctx, run.Update{SetTags: tags})
		}, azml.ErrInvalid, "1001 tags"},
		{"long tag", func(ctx context.Context) error { return d.r.Tag(ctx, "long", strings.Repeat("x", 8001)) }, azml.ErrInvalid, "long"},
		{"property that changes", func(ctx context.Context) error {
			if err := d.r.Update(ctx, run.Update{AddProperties: map[string]string{"fixed": "a"}}); err != nil {
				return err
			}
			before := d.keys(t)
			err := d.r.Update(ctx, run.Update{AddProperties: map[string]string{"fixed": "b"}})
			require.Equal(t, before, d.keys(t))
			return err
		}, azml.ErrConflict, "fixed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := d.keys(t)
			err := c.do(t.Context())
			require.ErrorIs(t, err, c.class)
			require.ErrorContains(t, err, c.text)
			require.NotEmpty(t, err.Error())
			after := d.keys(t)
			if c.class == azml.ErrExists { // contents go first; the garbage collector removes what has no name
				maps.DeleteFunc(before, isContent)
				maps.DeleteFunc(after, isContent)
			}
			if c.class != azml.ErrConflict {
				require.Equal(t, before, after, "nothing was changed")
			}
		})
	}
	clean(t, d.ws)
}

func TestFoldersThatAreNoWorkspace(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "thesis.doc"), nil, 0o600))
	file := filepath.Join(other, "thesis.doc")
	newer := newDesk(t)
	data, err := os.ReadFile(filepath.Join(newer.place.Dir, "workspace.json"))
	require.NoError(t, err)
	data = []byte(strings.Replace(string(data), "azml.workspace/1", "azml.workspace/2", 1))
	require.NoError(t, os.WriteFile(filepath.Join(newer.place.Dir, "workspace.json"), data, 0o600))
	missing := filepath.Join(t.TempDir(), "missing")
	for _, c := range []struct {
		name, dir string
		exist     bool
		class     error
		text      string
	}{
		{"other things", other, false, azml.ErrInvalid, "thesis.doc"},
		{"a file", file, false, azml.ErrInvalid, "thesis.doc"},
		{"not there", missing, true, azml.ErrNotFound, missing},
		{"no name", "", false, azml.ErrInvalid, ""},
		{"newer format", newer.place.Dir, false, azml.ErrUnsupported, "update azml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := newPlace(t).options()
			opts.MustExist = c.exist
			before := filesBelow(t, other)
			_, err := workspace.Open(t.Context(), c.dir, opts)
			require.ErrorIs(t, err, c.class)
			require.ErrorContains(t, err, c.text)
			require.Equal(t, before, filesBelow(t, other))
		})
	}
	_, err = os.Stat(missing)
	require.ErrorIs(t, err, os.ErrNotExist, "MustExist makes nothing")
}
