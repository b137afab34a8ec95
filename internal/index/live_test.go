package index

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// begin stores a run that owner answers for, and opens its metrics.
func (s *space) begin(t *testing.T, id string, owner record.Owner) *metrics.Writer {
	t.Helper()
	s.put(t, id, func(r *record.Run) { r.Status, r.Owner = record.Running, &owner })
	log, err := history.Metrics(s.Handle, s.get(t, id))
	require.NoError(t, err)
	w, err := log.NewWriter()
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

// TestLive finds what running runs have logged up to now, whether it is in the
// store or in a spool, from the process that logs and from another.
func TestLive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, other := local(t, dir, t.TempDir()), local(t, dir, t.TempDir())
	w := s.begin(t, "r", s.Owner())
	second := s.begin(t, "r", s.Owner())
	for i := range 60 {
		v := float64(i)
		require.NoError(t, w.Log("loss", v, int64(i), time.Time{}))
		if i%7 == 3 {
			require.NoError(t, second.Log("loss", v+0.5, int64(i), time.Time{}))
			v += 0.5
		}
		if i%10 == 5 {
			require.NoError(t, w.Flush(t.Context()))
		}
		for _, who := range []*space{s, other} {
			hits := who.hits(t, "metrics.loss > 0 or metrics.loss = 0")
			require.Len(t, hits, 1)
			sum := hits[0].Metrics["loss"]
			require.Equal(t, v, sum.Last, "%d", i)
			require.EqualValues(t, i+1+(i+4)/7, sum.Count)
			require.Zero(t, sum.Min)
			require.GreaterOrEqual(t, sum.Max, v)
		}
	}
	require.NoError(t, w.Close(t.Context()))
	require.NoError(t, second.Close(t.Context()))
	live := s.hits(t, "")[0].Metrics["loss"]
	live.last = metrics.Order{} // which an ended run has no use for
	_, err := history.Transition(t.Context(), s.Handle, "r", history.Step{To: record.Completed})
	require.NoError(t, err)
	for _, who := range []*space{s, other} {
		ended := who.hits(t, "status = 'Completed'")[0].Metrics["loss"]
		require.Equal(t, live, ended)
		require.Empty(t, who.log.warnings())
	}
}

// TestLiveLastValue has two writers that say themselves when values were observed,
// back and forth. Looks in between must come to what one look at all comes to.
func TestLiveLastValue(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	s := local(t, t.TempDir(), t.TempDir())
	writers := []*metrics.Writer{s.begin(t, "r", s.Owner()), s.begin(t, "r", s.Owner())}
	log, err := history.Metrics(s.Handle, s.get(t, "r"))
	require.NoError(t, err)
	for i := range 200 {
		w := writers[random.IntN(2)]
		require.NoError(t, w.Log("m", float64(i), int64(i), time.Unix(int64(random.IntN(50)), 0)))
		if random.IntN(4) > 0 {
			continue
		}
		all, err := log.Summary(t.Context())
		require.NoError(t, err)
		got := s.hits(t, "")[0].Metrics["m"]
		require.EqualValues(t, all["m"].Last.Value, got.Last, "%d", i)
		require.Equal(t, all["m"].Last.Time, got.Time)
		require.Equal(t, all["m"].Count, got.Count)
	}
}

func (s *space) hits(t *testing.T, text string) []Hit {
	t.Helper()
	hits, _, err := Some(t.Context(), s.Handle, Request{Kind: Runs, Filter: text}, "", 100, func(h Hit) (Hit, error) { return h, nil })
	require.NoError(t, err)
	return hits
}

// TestLostRun finds a run as Failed whose process is gone, with what it has left
// in its spool.
func TestLostRun(t *testing.T) {
	t.Parallel()
	s := local(t, t.TempDir(), t.TempDir())
	gone := s.Owner()
	gone.ID, gone.PID, gone.Started = "gone", 1<<30, 1
	alive := s.begin(t, "alive", s.Owner())
	require.NoError(t, alive.Log("m", 1, 0, time.Time{}))
	lost := s.begin(t, "lost", gone)
	require.NoError(t, lost.Log("m", 2, 0, time.Time{}))
	require.Equal(t, []string{"alive"}, s.ids(t, "status = 'Running' and metrics.m = 1"))
	require.Equal(t, []string{"lost"}, s.ids(t, "status = 'Failed' and metrics.m = 2"))
	stored, err := history.Get(t.Context(), s.Handle, "lost")
	require.NoError(t, err)
	require.Equal(t, record.Failed, stored.Value.Status)
}

// TestKinds searches experiments and models as they come, change and go.
func TestKinds(t *testing.T) {
	t.Parallel()
	s := open(t, memory.NewObjects(), t.TempDir())
	find := func(k *Kind, text string, orderBy ...string) []string {
		ids, err := s.search(t.Context(), k, text, orderBy...)
		require.NoError(t, err)
		return ids
	}
	for _, name := range []string{"b", "a-b", "a"} {
		require.NoError(t, core.PutQuiet(t.Context(), s.Handle, experimentPrefix+name+".json", record.Experiment{Name: name, ID: "id-" + name, Tags: map[string]string{"t": name}}))
	}
	require.NoError(t, core.PutQuiet(t.Context(), s.Handle, experimentPrefix+"a/runs/0000000001.json", record.RunNumber{RunID: "r"}))
	require.Equal(t, []string{"a", "a-b", "b"}, find(Experiments, ""))
	require.Equal(t, []string{"b"}, find(Experiments, "tags.t = 'b' and archive_time is null"))
	require.Equal(t, []string{"a-b", "a"}, find(Experiments, "name LIKE 'a%'", "name desc"))

	for n, change := range []func(*record.Model){
		func(m *record.Model) { m.Tags = map[string]string{"stage": "old"} }, func(m *record.Model) { m.Deleted = time.Now() }, func(*record.Model) {}} {
		m := record.Model{Name: "m", Version: n + 1, RunID: "r", Size: int64(n * 100)}
		change(&m)
		require.NoError(t, core.PutQuiet(t.Context(), s.Handle, core.Series{Prefix: modelPrefix + "m/"}.Key(n+1), m))
	}
	require.Equal(t, []string{"m:3", "m:1"}, find(Models, ""))
	require.Equal(t, []string{"m:3"}, find(Models, "tags.stage != 'old'"), "missing is unequal")
	require.Equal(t, []string{"m:1"}, find(Models, "version < 2 and size = 0 and run_id = 'r'"))

	require.NoError(t, s.Objects().Delete(t.Context(), experimentPrefix+"a.json", &backend.DeleteOptions{}))
	require.Equal(t, []string{"a-b", "b"}, find(Experiments, ""))
	require.Empty(t, s.log.warnings())
}

// noFeed hides the store's change feed.
type noFeed struct{ backend.Objects }

// TestWithoutFeed compares listings instead.
func TestWithoutFeed(t *testing.T) {
	t.Parallel()
	s := open(t, noFeed{memory.NewObjects()}, t.TempDir())
	for _, id := range []string{"r-1", "r", "r-1-1"} {
		s.put(t, id, nil)
		s.logTo(t, id, map[string][]float64{"m": {1}})
	}
	require.Len(t, s.ids(t, "metrics.m = 1"), 3)
	s.logTo(t, "r-1", map[string][]float64{"m": {2}})
	require.Equal(t, []string{"r-1"}, s.ids(t, "metrics.m = 2"))
	s.put(t, "r", func(r *record.Run) { r.DisplayName = "new" })
	require.Equal(t, []string{"r"}, s.ids(t, "run_name = 'new' and metrics.m = 1"))
	require.NoError(t, s.Objects().Delete(t.Context(), "runs/r-1/run.json", &backend.DeleteOptions{}))
	require.Len(t, s.ids(t, ""), 2)
}

// TestStoreFails gives the store's errors, and goes on when they are over.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	store := memory.NewObjects()
	broken := open(t, faulty.New(store, faulty.Plan{Errors: 1}), t.TempDir())
	_, err := broken.search(t.Context(), Runs, "")
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.Empty(t, broken.log.warnings(), "the index is not to blame")

	s := open(t, store, t.TempDir())
	s.put(t, "r", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.search(ctx, Runs, "")
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, s.ids(t, ""), 1)
}

// TestDamagedRecord leaves out a record that can't be read, and says so.
func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	s := open(t, memory.NewObjects(), t.TempDir())
	s.put(t, "good", nil)
	require.NoError(t, core.PutQuiet(t.Context(), s.Handle, history.Ref("bad").Key, record.Experiment{Name: "not a run"}))
	require.Equal(t, []string{"good"}, s.ids(t, ""))
	require.Contains(t, s.log.warnings(), "runs/bad/run.json")
	s.put(t, "bad", nil)
	require.Len(t, s.ids(t, ""), 2)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := open(t, memory.NewObjects(), t.TempDir())
	for _, id := range []string{"a", "b", "c"} {
		s.put(t, id, nil)
	}
	page := func(token, text string, orderBy ...string) ([]string, string, error) {
		return Some(t.Context(), s.Handle, Request{Kind: Runs, Filter: text, OrderBy: orderBy}, token, 1, func(h Hit) (string, error) { return h.ID, nil })
	}
	_, token, err := page("", "status = 'Completed'", "run_id")
	require.NoError(t, err)
	next, _, err := page(token, " attributes.status='Completed'", "run_id ASC")
	require.NoError(t, err, "the same in other words")
	require.Equal(t, []string{"b"}, next)
	changed := []byte(token)
	changed[len(changed)-3] ^= 1
	for name, try := range map[string][3]string{
		"other filter": {token, "status = 'Failed'", "run_id"}, "other order": {token, "status = 'Completed'", "run_id desc"},
		"changed": {string(changed), "status = 'Completed'", "run_id"}, "nonsense": {"!", "status = 'Completed'", "run_id"},
		"cut off": {token[:4], "status = 'Completed'", "run_id"},
	} {
		_, _, err := page(try[0], try[1], try[2])
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.ErrorContains(t, err, "page token", name)
	}
	_, _, err = Some(t.Context(), s.Handle, Request{Kind: Runs}, "", 0, func(h Hit) (string, error) { return h.ID, nil })
	require.ErrorIs(t, err, azml.ErrInvalid)
}

// TestIDUsedAgain deletes runs between two searches and gives others their IDs:
// nothing that was summed up of the first is found of the second.
func TestIDUsedAgain(t *testing.T) {
	t.Parallel()
	for _, feed := range []bool{true, false} {
		for _, first := range []record.Status{record.Running, record.Completed} {
			for _, second := range []record.Status{record.Running, record.Completed} {
				t.Run(fmt.Sprint(first, " then ", second, ", feed ", feed), func(t *testing.T) {
					t.Parallel()
					var objects backend.Objects = memory.NewObjects()
					if !feed {
						objects = noFeed{objects}
					}
					s := open(t, objects, t.TempDir())
					owner := s.Owner()
					for i, status := range []record.Status{first, second} {
						s.put(t, "r", func(r *record.Run) { r.Life, r.Status, r.Owner = core.NewID(8), status, &owner })
						s.logTo(t, "r", map[string][]float64{[]string{"a", "b"}[i]: {1, 2, 3}, "both": {float64(i)}})
						sums := s.hits(t, "")[0].Metrics
						require.Len(t, sums, 2)
						require.EqualValues(t, 3, sums[[]string{"a", "b"}[i]].Count)
						require.EqualValues(t, 1, sums["both"].Count)
						require.EqualValues(t, i, sums["both"].Last)
						keys, err := history.Keys(t.Context(), s.Handle, s.get(t, "r"))
						require.NoError(t, err)
						for _, key := range append(keys, history.Ref("r").Key) {
							require.NoError(t, objects.Delete(t.Context(), key, &backend.DeleteOptions{}))
						}
					}
					require.Empty(t, s.hits(t, ""))
					s.put(t, "r", func(r *record.Run) { r.Life = core.NewID(8) })
					require.Empty(t, s.hits(t, "")[0].Metrics)
				})
			}
		}
	}
}
