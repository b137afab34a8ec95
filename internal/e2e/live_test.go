package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// life is a process that does all kinds of things until it is killed. It says
// what it is about to do where that matters, and what it has done once the call
// has returned: "did" lines are acknowledgements.
type life struct {
	ws   *workspace.Workspace
	exp  *experiment.Experiment
	e    errand
	rnd  *rand.Rand
	ack  func(string, ...any)
	done int // things done, for names
}

func liveUntilKilled(ctx context.Context, ws *workspace.Workspace, e errand, ack func(string, ...any)) error {
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "life", nil)
	if err != nil {
		return err
	}
	l := &life{ws: ws, exp: exp, e: e, rnd: rand.New(rand.NewPCG(e.Seed, 1)), ack: ack}
	deeds := []func(context.Context) error{l.logRun, l.logRun, l.submit, l.submit, l.register, l.deploy, l.setSecret, l.deleteModel, l.deleteRun}
	for {
		l.done++
		if err := deeds[l.rnd.IntN(len(deeds))](ctx); err != nil {
			return err
		}
	}
}

// name makes a name that no other process uses.
func (l *life) name(kind string) string { return fmt.Sprintf("%s-%d-%d", kind, l.e.Seed, l.done) }

// logRun logs a run in process; each acknowledged point counts.
func (l *life) logRun(ctx context.Context) error {
	id := l.name("logged")
	r, err := l.exp.StartLogging(ctx, &experiment.RunOptions{RunID: id})
	if err != nil {
		return err
	}
	l.ack("did run %s", id)
	for step := range 1 + l.rnd.Int64N(300) {
		if err := r.Log("loss", float64(step), &run.LogOptions{Step: step}); err != nil {
			return err
		}
		if step%16 == 0 {
			l.ack("did points %s %d", id, step+1)
		}
	}
	if l.rnd.IntN(2) == 0 {
		if err := r.Upload(ctx, "outputs/model.txt", strings.NewReader(id), nil); err != nil {
			return err
		}
		l.ack("did file %s", id)
		m, err := r.RegisterModel(ctx, "from-run", "outputs/model.txt", nil)
		if err != nil {
			return err
		}
		l.ack("did model %s %d %s", m.Name(), m.Version(), id)
	}
	l.ack("will complete %s", id)
	if err := r.Complete(ctx); err != nil {
		return err
	}
	l.ack("did complete %s", id)
	return nil
}

// submit submits a script and waits for it, or leaves it to itself.
func (l *life) submit(ctx context.Context) error {
	id := l.name("script")
	config := experiment.ScriptRunConfig{Source: l.e.Dir, Command: []string{"/bin/sh", "train.sh", fmt.Sprint(1 + l.rnd.IntN(50))},
		Variables: map[string]string{"PROGRESS": filepath.Join(l.e.Dir, "progress", id)}}
	if l.rnd.IntN(8) == 0 {
		config.Command, config.Script, config.Arguments = nil, "train.py", []string{fmt.Sprint(1 + l.rnd.IntN(50))}
	}
	l.ack("will submit %s", id)
	r, err := l.exp.Submit(ctx, config, &experiment.SubmitOptions{RunID: id})
	if err != nil {
		return err
	}
	l.ack("did run %s", id)
	if l.rnd.IntN(3) == 0 {
		return nil
	}
	if err := r.Wait(ctx, nil); err != nil {
		return err
	}
	l.ack("did complete %s", id)
	return nil
}

func (l *life) register(ctx context.Context) error {
	content := l.name("content")
	file := filepath.Join(l.e.Dir, "progress", content)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return err
	}
	m, err := l.ws.Models().Register(ctx, "registered", file, nil)
	if err != nil {
		return err
	}
	l.ack("did model %s %d %s", m.Name(), m.Version(), content)
	return nil
}

func (l *life) deploy(ctx context.Context) error {
	m, err := l.ws.Models().Get(ctx, "registered", 0, nil)
	if err != nil {
		return l.register(ctx)
	}
	name := l.name("ep")
	config := endpoint.Config{Model: m, Handler: double}
	if l.rnd.IntN(3) == 0 {
		config.Handler, config.Script = nil, &endpoint.Script{Source: l.e.Dir, EntryScript: "score.py"}
	}
	ep, err := l.ws.Endpoints().Deploy(ctx, name, config, nil)
	if err != nil {
		return err
	}
	l.ack("did endpoint %s %s", name, m.ID())
	var answer float64
	return ep.InvokeJSON(ctx, 2, &answer, nil)
}

func (l *life) setSecret(ctx context.Context) error {
	name := l.name("secret")
	if err := l.ws.Secrets().Set(ctx, name, "value of "+name); err != nil {
		return err
	}
	l.ack("did secret %s", name)
	return nil
}

// deleteModel registers a model and deletes it.
func (l *life) deleteModel(ctx context.Context) error {
	file := filepath.Join(l.e.Dir, "progress", l.name("content"))
	if err := os.WriteFile(file, []byte(file), 0o600); err != nil {
		return err
	}
	m, err := l.ws.Models().Register(ctx, "deleted", file, nil)
	if err != nil {
		return err
	}
	if err := l.ws.Models().Delete(ctx, m.Name(), m.Version(), nil); err != nil {
		return err
	}
	l.ack("did unmodel %s %d", m.Name(), m.Version())
	return nil
}

// deleteRun deletes a run with some points and files.
func (l *life) deleteRun(ctx context.Context) error {
	id := l.name("short")
	r, err := l.exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
		return errors.Join(r.Log("a", 1.0, nil), r.Upload(ctx, "a", strings.NewReader(id), nil), r.Upload(ctx, "b", strings.NewReader(id), nil))
	}, &experiment.RunOptions{RunID: id})
	if err != nil {
		return err
	}
	if err := l.ws.Runs().Delete(ctx, r.ID(), nil); err != nil {
		return err
	}
	l.ack("did unrun %s", id)
	return nil
}

// How a script of the life shows how far it came: it writes a number to a file
// of its own after the line with that number is out.
const (
	lifeShell = `
(sleep 600; echo never) &
for i in $(seq 1 $1); do
  echo "line $i"
  echo "{\"name\": \"acc\", \"value\": $i, \"step\": $i}" >> "$AZML_METRICS_FILE"
  echo "$i" > "$PROGRESS.new" && mv "$PROGRESS.new" "$PROGRESS"
  sleep 0.005
done
`
	lifeScore = `
import json
def init(): pass
def run(data): return 2 * json.loads(data)
`
	lifePython = `
import json, os, sys, time
for i in range(1, int(sys.argv[1]) + 1):
    print("line", i, flush=True)
    with open(os.environ["AZML_METRICS_FILE"], "a") as f:
        f.write(json.dumps({"name": "acc", "value": i, "step": i}) + "\n")
    with open(os.environ["PROGRESS"] + ".new", "w") as f:
        f.write(str(i))
    os.rename(os.environ["PROGRESS"] + ".new", os.environ["PROGRESS"])
    time.sleep(0.005)
`
)

// soon bounds how long a test waits for what must happen within seconds.
const soon = 20 * time.Second
