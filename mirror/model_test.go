package mirror_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("MIRROR_TEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed: MIRROR_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// edits is what a state goes on from: all changes that led to it. It says exactly
// what the vectors in records must tell.
type edits map[int]bool

func (e edits) within(other edits) bool {
	for n := range e {
		if !other[n] {
			return false
		}
	}
	return true
}

// item is a thing with a value that changes, as one workspace has it.
type item struct {
	value int
	edits edits
}

// modelled is a workspace beside what it must hold.
type modelled struct {
	ws      *workspace.Workspace
	items   map[string]item         // by "run <id>", "experiment <name>", "version <label>"
	points  map[string]map[int]bool // of runs, by their IDs
	files   map[string]map[string]bool
	deleted map[string]bool // runs
	live    map[string]*run.Run
}

// world is some workspaces that are synced with each other at random.
type world struct {
	t     *testing.T
	r     *rand.Rand
	sides []*modelled
	count int
	clash int
}

func (w *world) next() int { w.count++; return w.count }

// edit notes a change.
func (w *world) edit(m *modelled, name string) int {
	n := w.next()
	after := edits{n: true}
	maps.Copy(after, m.items[name].edits)
	m.items[name] = item{n, after}
	return n
}

// experiments and models are few, so that all workspaces have the same ones.
var (
	experimentNames = []string{"churn", "risk"}
	modelNames      = []string{"m", "n"}
)

// step does something at random in one workspace.
func (w *world) step(m *modelled) {
	ctx, t := w.t.Context(), w.t
	runs := w.runsOf(m)
	switch op := w.r.IntN(12); {
	case op < 3 || len(runs) == 0:
		name := experimentNames[w.r.IntN(len(experimentNames))]
		e, err := m.ws.Experiments().Get(ctx, name, nil)
		require.NoError(t, err)
		id := fmt.Sprintf("run-%d", w.next())
		r, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: id})
		require.NoError(t, err)
		m.live[id] = r
		w.edit(m, "run "+id)
		m.points[id], m.files[id] = map[int]bool{}, map[string]bool{}
	case op < 6:
		w.log(m, runs[w.r.IntN(len(runs))])
	case op == 6:
		for id, r := range m.live {
			require.NoError(t, r.Tag(ctx, "v", fmt.Sprint(w.edit(m, "run "+id))))
			require.NoError(t, r.Complete(ctx))
			delete(m.live, id)
			break
		}
	case op == 7:
		id := runs[w.r.IntN(len(runs))]
		r, err := m.ws.Runs().Get(ctx, id, nil)
		require.NoError(t, err)
		if r.Status().Terminal() {
			require.NoError(t, r.Tag(ctx, "v", fmt.Sprint(w.edit(m, "run "+id))))
		}
	case op == 8:
		w.register(m, runs[w.r.IntN(len(runs))])
	case op == 9:
		name := experimentNames[w.r.IntN(len(experimentNames))]
		text := fmt.Sprint(w.edit(m, "experiment "+name))
		_, err := m.ws.Experiments().CreateOrUpdate(ctx, name, &experiment.CreateOptions{Description: text})
		require.NoError(t, err)
	case op == 10:
		_, err := m.ws.GC(ctx, nil)
		require.NoError(t, err)
	case op == 11 && w.r.IntN(3) == 0:
		id := runs[w.r.IntN(len(runs))]
		r, err := m.ws.Runs().Get(ctx, id, nil)
		require.NoError(t, err)
		if m.live[id] == nil && r.Status().Terminal() {
			require.NoError(t, m.ws.Runs().Delete(ctx, id, nil))
			m.deleted[id] = true
			delete(m.items, "run "+id)
			delete(m.points, id)
			delete(m.files, id)
		}
	}
}

// log logs points and a file to a run, in the place where it goes on, or as a
// latecomer.
func (w *world) log(m *modelled, id string) {
	ctx, t := w.t.Context(), w.t
	r := m.live[id]
	if r == nil {
		return
	}
	for range 1 + w.r.IntN(50) {
		n := w.next()
		require.NoError(t, r.Log("loss", float64(n), nil))
		m.points[id][n] = true
	}
	require.NoError(t, r.Flush(ctx)) // what is not in the store yet is not synced
	if w.r.IntN(3) == 0 {
		path := fmt.Sprintf("outputs/%d.txt", w.next())
		require.NoError(t, r.Upload(ctx, path, strings.NewReader(strings.Repeat(path, 1+w.r.IntN(40_000))), nil))
		m.files[id][path] = true
	}
}

// register makes a version of a model of a run's file, or of one that no run has,
// with a label by which it is known under any number.
func (w *world) register(m *modelled, id string) {
	ctx, t := w.t.Context(), w.t
	label := fmt.Sprint(w.next())
	name, opts := modelNames[w.r.IntN(len(modelNames))], &model.RegisterOptions{Tags: map[string]string{"label": label}}
	if w.r.IntN(2) == 0 {
		file := filepath.Join(t.TempDir(), "model")
		require.NoError(t, os.WriteFile(file, []byte("model "+label), 0o600))
		opts.Tags["v"] = fmt.Sprint(w.edit(m, "version "+label))
		_, err := m.ws.Models().Register(ctx, name, file, opts)
		require.NoError(t, err)
		return
	}
	for path := range m.files[id] {
		r, err := m.ws.Runs().Get(ctx, id, nil)
		require.NoError(t, err)
		opts.Tags["v"] = fmt.Sprint(w.edit(m, "version "+label))
		_, err = r.RegisterModel(ctx, name, path, opts)
		require.NoError(t, err)
		return
	}
}

// labels gives the labels of a workspace's versions by their names and numbers.
func (w *world) labels(m *modelled) map[string]string {
	labels := map[string]string{}
	for v, err := range m.ws.Models().List(w.t.Context(), nil) {
		require.NoError(w.t, err)
		labels[v.ID()] = v.Details().Tags["label"]
	}
	return labels
}

func (w *world) runsOf(m *modelled) []string { return slices.Sorted(maps.Keys(m.points)) }

// sync syncs one workspace into another, and does the same with what they must
// hold.
func (w *world) sync(dst, src *modelled) {
	t := w.t
	before := map[string]bool{}
	for name := range dst.items {
		before[name] = true
	}
	conflicts := map[string]mirror.Choice{}
	left := map[string]bool{} // versions whose numbers others have
	theirLabels, myLabels := w.labels(src), w.labels(dst)
	numbers := []mirror.Choice{mirror.Both, mirror.Source}[w.r.IntN(2)]
	opts := &mirror.Options{Verify: w.r.IntN(4) == 0, Resolve: func(c mirror.Conflict) mirror.Choice {
		switch {
		case c.Kind == "model":
			return numbers
		case strings.HasPrefix(c.Kind, "registered"):
			return mirror.PreferNewer(c)
		}
		return mirror.Leave
	}}
	if w.r.IntN(2) == 0 {
		leave := opts.Resolve
		opts.Resolve = func(c mirror.Conflict) mirror.Choice {
			if c.Kind == "model" {
				return leave(c)
			}
			return mirror.PreferNewer(c)
		}
	}
	report := synced(t, dst.ws, src.ws, opts)
	require.Empty(t, report.Damaged)
	for _, c := range report.Conflicts {
		conflicts[c.Kind+" "+c.Name] = c.Choice
		switch {
		case c.Kind != "model":
		case c.Choice == mirror.Source:
			delete(dst.items, "version "+myLabels[c.Name])
		case c.Choice == mirror.Leave:
			left["version "+theirLabels[c.Name]] = true
		}
	}
	for name, theirs := range src.items {
		kind, id, _ := strings.Cut(name, " ")
		mine, there := dst.items[name]
		switch {
		case kind == "run" && dst.deleted[id], !there && left[name]:
			continue
		case !there, mine.edits.within(theirs.edits):
			dst.items[name] = theirs
		case theirs.edits.within(mine.edits), theirs.value == mine.value:
		default:
			choice, told := conflicts[name]
			require.True(t, told, "%s was changed on both sides and nobody was told: %v %v", name, mine, theirs)
			w.clash++
			merged := edits{w.next(): true} // a decision is a change of its own
			maps.Copy(merged, mine.edits)
			maps.Copy(merged, theirs.edits)
			switch choice {
			case mirror.Source:
				dst.items[name] = item{theirs.value, merged}
			case mirror.Destination:
				dst.items[name] = item{mine.value, merged}
			}
		}
		if kind == "run" {
			if dst.points[id] == nil {
				dst.points[id], dst.files[id] = map[int]bool{}, map[string]bool{}
			}
			maps.Copy(dst.points[id], src.points[id])
			maps.Copy(dst.files[id], src.files[id])
		}
	}
}

// check compares a workspace with what it must hold.
func (w *world) check(m *modelled) {
	ctx, t := w.t.Context(), w.t
	for _, name := range experimentNames {
		e, err := m.ws.Experiments().Get(ctx, name, nil)
		require.NoError(t, err)
		if want := m.items["experiment "+name].value; want > 0 {
			require.Equal(t, fmt.Sprint(want), e.Details().Description)
		}
	}
	have := map[string]bool{}
	numbers := map[string]bool{}
	for r, err := range m.ws.Runs().List(ctx, nil) {
		require.NoError(t, err)
		id := r.ID()
		have[id] = true
		d := r.Details()
		key := fmt.Sprint(d.Experiment, d.Number)
		require.False(t, numbers[key], "two runs are %s", key)
		numbers[key] = true
		require.NotNil(t, m.points[id], "run %s should not be here", id)
		if v := d.Tags["v"]; v != "" {
			require.Equal(t, fmt.Sprint(m.items["run "+id].value), v, "run %s", id)
		}
		points := map[int]bool{}
		for p, err := range r.Metrics(ctx, nil) {
			require.NoError(t, err)
			n := int(p.Value.(float64))
			require.False(t, points[n], "point %d is double", n)
			points[n] = true
		}
		require.Equal(t, m.points[id], points, "points of run %s", id)
		files := map[string]bool{}
		list, err := r.Files(ctx, "")
		require.NoError(t, err)
		for _, f := range list {
			files[f.Path] = true
		}
		require.Equal(t, m.files[id], files, "files of run %s", id)
	}
	require.Len(t, have, len(m.points))
	labels := map[string]bool{}
	for v, err := range m.ws.Models().List(ctx, nil) {
		require.NoError(t, err)
		tags := v.Details().Tags
		label := tags["label"]
		require.False(t, labels[label], "version %s is there twice", label)
		labels[label] = true
		require.Equal(t, fmt.Sprint(m.items["version "+label].value), tags["v"])
	}
	for name := range m.items {
		if label, ok := strings.CutPrefix(name, "version "); ok {
			require.True(t, labels[label], "version %s is missing", label)
		}
	}
	sound(t, m.ws)
}

// TestSyncAgainstAModel works and syncs between three workspaces at random, in all
// directions.
func TestSyncAgainstAModel(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		w := &world{t: t, r: newRand(t)}
		for _, name := range []string{"aaa", "bbb", "ccc"} {
			w.sides = append(w.sides, &modelled{ws: created(t, name, memory.NewObjects()), items: map[string]item{},
				points: map[string]map[int]bool{}, files: map[string]map[string]bool{}, deleted: map[string]bool{}, live: map[string]*run.Run{}})
		}
		for _, name := range experimentNames {
			_, err := w.sides[0].ws.Experiments().CreateOrUpdate(t.Context(), name, nil)
			require.NoError(t, err)
		}
		for _, m := range w.sides[1:] {
			synced(t, m.ws, w.sides[0].ws, nil)
		}
		for range 25 {
			for range w.r.IntN(8) {
				w.step(w.sides[w.r.IntN(3)])
			}
			i, j := w.r.IntN(3), w.r.IntN(3)
			if i == j {
				continue
			}
			w.sync(w.sides[i], w.sides[j])
			w.check(w.sides[i])
		}
		t.Logf("round %d: %d conflicts", round, w.clash)
		for _, m := range w.sides {
			w.check(m)
		}
	}
}
