package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func TestFullDisk(t *testing.T) {
	t.Parallel()
	const room = 32 << 20
	disk := testenv.SmallDisk(t, room)
	p := newPlace(t)
	p.Dir = filepath.Join(disk, "ws")
	d := &desk{place: p, source: sourceFolder(t)}
	ws := p.open(t)
	ctx := t.Context()
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "full", nil)
	require.NoError(t, err)
	running, err := exp.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, running.Log("loss", 0.0, &run.LogOptions{Step: 0}))
	require.NoError(t, running.Flush(ctx))
	model := filepath.Join(t.TempDir(), "model")
	require.NoError(t, os.WriteFile(model, []byte("weights"), 0o600))
	before := d.keys(t)

	empty := workspacetest.Fill(t, disk)
	for name, do := range map[string]func() error{
		"register": func() error { _, err := ws.Models().Register(ctx, "m", model, nil); return err },
		"submit": func() error {
			_, err := exp.Submit(ctx, experiment.ScriptRunConfig{Source: d.source, Command: []string{"true"}}, nil)
			return err
		},
		"start":  func() error { _, err := exp.StartLogging(ctx, nil); return err },
		"create": func() error { _, err := ws.Experiments().CreateOrUpdate(ctx, "more", nil); return err },
		"upload": func() error { return running.Upload(ctx, "a", strings.NewReader("a"), nil) },
		"tag":    func() error { return running.Tag(ctx, "a", "b") },
	} {
		require.ErrorIs(t, do(), azml.ErrUnavailable, name)
	}
	require.Equal(t, before, d.keys(t), "nothing was done by halves")
	logged := logUntilFull(t, running)

	empty()
	require.NoError(t, running.Flush(ctx))
	require.NoError(t, running.Complete(ctx))
	require.Equal(t, logged, series(t, running, "loss", 0), "every point that Log took, and no other")
	require.NoError(t, story(ctx, ws, d.source))
	_, err = ws.Models().Register(ctx, "m", model, nil)
	require.NoError(t, err)
	clean(t, ws)
}

// Outputs that find no room are waited for: the run says so, and goes on when
// there is room again.
func TestOutputsThatFindNoRoom(t *testing.T) {
	t.Parallel()
	const room, taken, output = 32 << 20, 24 << 20, 12 << 20
	disk := testenv.SmallDisk(t, room)
	p := newPlace(t)
	p.Dir = filepath.Join(disk, "ws")
	ws := p.open(t)
	ctx := t.Context()
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "full", nil)
	require.NoError(t, err)
	ballast := filepath.Join(disk, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, taken), 0o600))
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{Source: t.TempDir(),
		Command: []string{"/bin/sh", "-c", fmt.Sprintf("head -c %d /dev/urandom > outputs/model.bin", output)}}, nil)
	require.NoError(t, err)
	var told []string
	require.NoError(t, r.Wait(ctx, &run.WaitOptions{Progress: func(d run.Details) {
		if d.WaitsFor != "" {
			told = append(told, d.WaitsFor)
			require.Never(t, func() bool { // it is tried again and again, and told once
				now, err := ws.Runs().Get(ctx, r.ID(), nil)
				return err != nil || now.Details().WaitsFor != d.WaitsFor
			}, 3*time.Second, 100*time.Millisecond)
			require.NoError(t, os.Remove(ballast))
		}
	}}))
	require.Len(t, told, 1)
	require.Contains(t, told[0], "disk full")
	require.Empty(t, r.Details().WaitsFor)
	stored, err := r.Files(ctx, "outputs")
	require.NoError(t, err)
	require.EqualValues(t, output, stored[0].Size)
	clean(t, ws)
}

// logUntilFull logs until the spool finds no more room, and gives the number
// of points that were taken.
func logUntilFull(t *testing.T, r *run.Run) int64 {
	t.Helper()
	const most = 5_000_000
	for step := int64(1); step < most; step++ {
		err := r.Log("loss", float64(step), &run.LogOptions{Step: step})
		if err != nil {
			require.ErrorIs(t, err, azml.ErrUnavailable)
			return step
		}
	}
	require.Fail(t, "the disk never was full")
	return 0
}

// beRefused tries to change a workspace that it may only read.
func beRefused(ctx context.Context, ws *workspace.Workspace, ack func(string, ...any)) error {
	m, err := ws.Models().Get(ctx, "churn", 1, nil)
	if err != nil {
		return err
	}
	for r, err := range ws.Runs().List(ctx, nil) {
		if err != nil {
			return err
		}
		ack("read run %s %s and model %s", r.ID(), r.Status(), m.ID())
	}
	exp, err := ws.Experiments().Get(ctx, "churn", nil)
	if err != nil {
		return err
	}
	_, start := exp.StartLogging(ctx, nil)
	_, create := ws.Experiments().CreateOrUpdate(ctx, "mine", nil)
	remove := ws.Models().Delete(ctx, "churn", 1, nil)
	for _, err := range []error{start, create, remove} {
		if !errors.Is(err, azml.ErrDenied) {
			return errors.Join(errors.New("not denied"), err)
		}
		ack("denied: %v", err)
	}
	return nil
}

func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	setpriv, err := exec.LookPath("setpriv")
	if err != nil || os.Geteuid() != 0 {
		testenv.Skip(t, testenv.AbilityMount, "only root can become another user, with setpriv")
	}
	d := newDesk(t)
	closeAll(t, d.ws)
	// Another user may go and read everywhere, the key of the secrets but for one.
	base, err := os.MkdirTemp("", "azml-e2e-") //nolint:usetesting // the test's own folder is closed to other users
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(base)) })
	require.NoError(t, os.Chmod(base, 0o755))
	binary, folder := filepath.Join(base, "test"), filepath.Join(base, "ws")
	for _, command := range [][]string{
		{"cp", os.Args[0], binary}, {"cp", "-a", d.place.Dir, folder}, {"chmod", "-R", "a+rX,a-w", folder}, {"chmod", "755", binary},
		{"mkdir", "-m", "777", filepath.Join(base, "cache"), filepath.Join(base, "key")},
	} {
		out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	e := errand{Name: "refused", Place: place{Dir: folder, Cache: filepath.Join(base, "cache"), Key: filepath.Join(base, "key", "k")}}
	w := startAs(t, e, setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", binary)
	lines := w.finish(t)
	require.Len(t, lines, 4)
	require.Contains(t, lines[0], "Completed and model churn:1")
}
