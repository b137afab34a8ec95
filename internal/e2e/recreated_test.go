package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// The runs of this test have few IDs, which are used again and again. Each logs
// its number, which no other run has, and has a file with it: so whatever belongs
// to a run that had the ID before shows.
const (
	valuesPerRun = 5
	numberMetric = "number"
	numberFile   = "number.txt"
)

var recreatedIDs = []string{"a", "b"}

// recreator does random things with runs whose IDs are used again.
type recreator struct {
	ws     *workspace.Workspace
	exp    *experiment.Experiment
	random *rand.Rand
	ack    func(string, ...any)
	late   []*run.Run // that were going on when they were read
}

// recreateRuns has goroutines make, read, search and delete runs, of which it
// tells each that has ended.
func recreateRuns(ctx context.Context, ws *workspace.Workspace, e errand, ack func(string, ...any)) error {
	const goroutines = 3
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "again", nil)
	if err != nil {
		return err
	}
	failures := make([]error, goroutines)
	var working sync.WaitGroup
	for i := range failures {
		r := &recreator{ws: ws, exp: exp, random: rand.New(rand.NewPCG(e.Seed, uint64(i))), ack: ack}
		working.Go(func() {
			for n := 0; n < e.Count && failures[i] == nil; n++ {
				failures[i] = r.step(ctx)
			}
		})
	}
	working.Wait()
	return errors.Join(failures...)
}

func (r *recreator) step(ctx context.Context) error {
	id := recreatedIDs[r.random.IntN(len(recreatedIDs))]
	switch n := r.random.IntN(20); {
	case n < 7:
		return r.make(ctx, id)
	case n < 12:
		return but(r.ws.Runs().Delete(ctx, id, nil), "delete", azml.ErrNotFound, azml.ErrConflict)
	case n < 15:
		found, err := r.ws.Runs().Get(ctx, id, nil)
		if err != nil {
			return but(err, "get", azml.ErrNotFound)
		}
		return checkNumber(ctx, found)
	case n < 17:
		return r.search(ctx)
	case n < 19:
		return r.logLate(ctx)
	}
	_, err := r.ws.GC(ctx, nil)
	return but(err, "gc", azml.ErrConflict) // another is at work
}

// but gives the error, unless it is one that others may cause who do something
// with the run at the same time.
func but(err error, what string, classes ...error) error {
	for _, class := range classes {
		if errors.Is(err, class) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (r *recreator) make(ctx context.Context, id string) error {
	made, err := r.exp.StartLogging(ctx, &experiment.RunOptions{RunID: id})
	if err != nil {
		return but(err, "start", azml.ErrExists)
	}
	for range valuesPerRun {
		if err := made.Log(numberMetric, made.Number(), nil); err != nil {
			return err
		}
	}
	late, err := r.ws.Runs().Get(ctx, id, nil)
	if err != nil {
		return err
	}
	if r.late = append(r.late, late); len(r.late) > 3 {
		r.late = r.late[1:]
	}
	if err := made.Upload(ctx, numberFile, strings.NewReader(strconv.Itoa(made.Number())), nil); err != nil {
		return err
	}
	if err := made.Complete(ctx); err != nil {
		return err
	}
	r.ack("%d", made.Number())
	return nil
}

func (r *recreator) logLate(ctx context.Context) error {
	if len(r.late) == 0 {
		return nil
	}
	late := r.late[r.random.IntN(len(r.late))]
	return errors.Join(late.Log(numberMetric, late.Number(), nil), late.Flush(ctx))
}

func (r *recreator) search(ctx context.Context) error {
	for found, err := range r.ws.Runs().Search(ctx, "experiment = 'again'", nil) {
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		m, there := found.Indexed()[numberMetric]
		if want := float64(found.Number()); there && (m.Min != want || m.Max != want || m.Last != want) {
			return fmt.Errorf("a search finds run %s of number %d with %+v", found.ID(), found.Number(), m)
		}
	}
	return nil
}

// checkNumber checks that all that the run has is its own.
func checkNumber(ctx context.Context, r *run.Run) error {
	for m, err := range r.Metrics(ctx, nil) {
		if err != nil {
			return but(err, "read metrics", azml.ErrNotFound)
		}
		if m.Value != int64(r.Number()) {
			return fmt.Errorf("run %s of number %d has the value %v", r.ID(), r.Number(), m.Value)
		}
	}
	file, err := r.Open(ctx, numberFile)
	if err != nil {
		return but(err, "open", azml.ErrNotFound)
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err == nil && string(data) != strconv.Itoa(r.Number()) {
		err = fmt.Errorf("run %s of number %d has the file of run %s", r.ID(), r.Number(), data)
	}
	return err
}

// TestIDsUsedAgain has processes delete runs and use their IDs again, while
// others log to them, read and search them, and metrics are sealed.
func TestIDsUsedAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ws := p.open(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	completed := map[int]bool{}
	for _, line := range all(t, 3, errand{Name: "recreate", Place: p, Count: size(60, 15), Seed: seed}) {
		number, err := strconv.Atoi(line)
		require.NoError(t, err)
		require.False(t, completed[number], "two runs have number %d", number)
		completed[number] = true
	}
	for r, err := range ws.Runs().List(t.Context(), nil) {
		require.NoError(t, err)
		require.NoError(t, checkNumber(t.Context(), r))
		if !completed[r.Number()] {
			continue
		}
		require.Equal(t, run.StatusCompleted, r.Status())
		sums, err := r.Summaries(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, sums[numberMetric].Count, int64(valuesPerRun))
		files, err := r.Files(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, files, 1)
	}
	clean(t, ws)
	_, err := ws.GC(t.Context(), &workspace.GCOptions{Exclusive: true})
	require.NoError(t, err)
	report, err := ws.Fsck(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	for _, note := range report.Notes {
		require.NotRegexp(t, "^runs/", note.Key, "what was written to deleted runs is gone")
	}
}
