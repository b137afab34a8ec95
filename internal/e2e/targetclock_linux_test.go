package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// skewed is a store whose clock is off.
type skewed struct {
	backend.Objects
	by time.Duration
}

func (s skewed) shift(info backend.Info, err error) (backend.Info, error) {
	if !info.Modified.IsZero() {
		info.Modified = info.Modified.Add(s.by)
	}
	return info, err
}

func (s skewed) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	object, err := s.Objects.Get(ctx, key, opts)
	if err == nil {
		object.Info, _ = s.shift(object.Info, nil)
	}
	return object, err
}

func (s skewed) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	return s.shift(s.Objects.Put(ctx, key, content, opts))
}

func (s skewed) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	return s.shift(s.Objects.Append(ctx, key, offset, data))
}

func (s skewed) Stat(ctx context.Context, key string) (backend.Info, error) {
	return s.shift(s.Objects.Stat(ctx, key))
}

func (s skewed) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		for info, err := range s.Objects.List(ctx, opts) {
			if !yield(s.shift(info, err)) {
				return
			}
		}
	}
}

// TestTargetClockSkew has runs on a store whose clock is an hour off that of all
// machines, and cancels one from a machine that is as far off: it gets its grace period.
func TestTargetClockSkew(t *testing.T) {
	t.Parallel()
	for name, by := range clocks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachHere(t, func(t *testing.T, on target) {
				if on.detach {
					t.Skip("another process can't open this store")
				}
				p := newPlace(t)
				s := on.site(t, p)
				objects, err := localfs.New(p.Dir, nil)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, objects.Close()) })
				file, err := programs()
				require.NoError(t, err)
				config := workspace.Config{Objects: skewed{objects, by}, Secrets: memory.NewSecrets(), Name: "skewed", CacheDir: filepath.Clean(p.Cache), Computes: drivers(), Program: file}
				ws, err := workspace.Create(t.Context(), config)
				require.NoError(t, err)
				t.Cleanup(func() { closeAll(t, ws) })
				_, err = ws.Compute().Create(t.Context(), on.compute, s.config, nil)
				require.NoError(t, err)

				r := on.begin(t, ws, `trap 'echo ending; sleep 4; echo ended; exit 0' TERM; echo begun; while :; do sleep 0.1; done`,
					func(c *experiment.ScriptRunConfig) { c.GracePeriod = time.Minute })
				hears(t, r, "begun\n")
				other, err := workspace.New(t.Context(), config)
				require.NoError(t, err)
				t.Cleanup(func() { closeAll(t, other) })
				seen, err := other.Runs().Get(t.Context(), r.ID(), nil)
				require.NoError(t, err)
				require.Equal(t, run.StatusRunning, seen.Status())
				elsewhere := core.New(core.Config{Objects: config.Objects, Secrets: config.Secrets, CacheDir: t.TempDir(), Workspace: workspace.Handle(ws).Workspace(),
					Now: func() time.Time { return time.Now().Add(by) }})
				t.Cleanup(func() { require.NoError(t, elsewhere.Close(context.Background())) })
				_, err = history.Transition(t.Context(), elsewhere, r.ID(), history.Step{To: record.CancelRequested, Reason: "from another machine"})
				require.NoError(t, err)
				require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrCanceled)
				require.Equal(t, "canceled on request", r.Details().Reason)
				require.Contains(t, outputOf(t, r), "ending\nended\n")
				s.requireNothing(t, r)
			})
		})
	}
}

// clocks are the two ways in which a machine's clock is an hour off.
var clocks = map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour}

// programsOff builds the program azml with clocks that are off: with a package time that
// adds to what the system's clock says.
var programsOff = sync.OnceValues(func() (files map[string]string, err error) {
	dir, err := os.MkdirTemp("", "azml-e2e-")
	if err != nil {
		return nil, err
	}
	atEnd = append(atEnd, func() { _ = os.RemoveAll(dir) })
	overlay, err := timeOff(dir)
	if err != nil {
		return nil, err
	}
	files = map[string]string{}
	for name, by := range clocks {
		files[name] = filepath.Join(dir, name)
		build := exec.Command("go", "build", "-overlay", overlay, "-ldflags", fmt.Sprintf("-X time.offBy=%d", int(by.Seconds())), "-o", files[name], "github.com/azml-go/azml/cmd/azml")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
	}
	return files, nil
})

// timeOff has the go command take another package time, and gives the file that tells
// it.
func timeOff(dir string) (overlay string, err error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	const clock = "sec, nsec, mono := runtimeNow()\n"
	off := strings.Replace(string(text), clock, clock+"\tsec += seconds\n", 1)
	if off == string(text) {
		return "", fmt.Errorf("%s of %s reads the clock in another way", source, runtime.Version())
	}
	off += "\nvar offBy string\n\nvar seconds = func() int64 { n, _ := atoi(offBy); return int64(n) }()\n"
	changed, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, []byte(off), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, list, 0o600)
}

// TestTargetAgentClockSkew has agents whose machine's clock is an hour off: one run
// completes, and one is canceled and gets its grace period.
func TestTargetAgentClockSkew(t *testing.T) {
	t.Parallel()
	for name, by := range clocks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachHere(t, func(t *testing.T, on target) {
				files, err := programsOff()
				require.NoError(t, err)
				ws, _, s := onSiteWith(t, on, files[name])
				r := on.begin(t, ws, `echo '{"name": "n", "value": 1, "step": 7}' >> "$AZML_METRICS_FILE"; echo done`, nil)
				require.NoError(t, r.Wait(t.Context(), nil))
				require.EqualValues(t, 1, series(t, r, "n", 7))
				for m, err := range r.Metrics(t.Context(), nil) {
					require.NoError(t, err)
					require.WithinDuration(t, time.Now().Add(by), m.Time, 10*time.Minute, "by the agent's clock")
				}
				require.Equal(t, "done\n", outputOf(t, r))
				s.requireNothing(t, r)

				r = on.begin(t, ws, `trap 'echo ending; sleep 4; echo ended; exit 0' TERM; echo begun; while :; do sleep 0.1; done`,
					func(c *experiment.ScriptRunConfig) { c.GracePeriod = time.Minute })
				hears(t, r, "begun\n")
				require.NoError(t, r.Cancel(t.Context(), nil))
				require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrCanceled)
				require.Equal(t, "canceled on request", r.Details().Reason)
				require.Contains(t, outputOf(t, r), "ending\nended\n")
				s.requireNothing(t, r)
				clean(t, ws)
			})
		})
	}
}
