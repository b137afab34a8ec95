package core

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/record"
)

// auditRecords reads all lines in the order of the objects; of those with one
// ID the last counts.
func auditRecords(t *testing.T, h Handle) []record.Audit {
	t.Helper()
	var lines []record.Audit
	for info, err := range h.Objects().List(t.Context(), &backend.ListOptions{Prefix: "audit/"}) {
		require.NoError(t, err)
		data, _, err := h.Read(t.Context(), info.Key)
		require.NoError(t, err)
		for text := range bytes.Lines(data) {
			var line record.Audit
			require.NoError(t, json.Unmarshal(text, &line))
			if i := slices.IndexFunc(lines, func(l record.Audit) bool { return l.ID == line.ID }); i >= 0 {
				lines[i] = line
			} else {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// auditLines gives each entry as "<op> <name>[: <failure>]".
func auditLines(t *testing.T, h Handle) []string {
	t.Helper()
	var texts []string
	for _, line := range auditRecords(t, h) {
		text := line.Op + " " + line.Name
		if line.Failure != "" {
			text += ": " + line.Failure
		}
		texts = append(texts, text)
	}
	return texts
}

func auditKeys(t *testing.T, objects backend.Objects) []string {
	t.Helper()
	var keys []string
	for info, err := range objects.List(t.Context(), &backend.ListOptions{Prefix: "audit/"}) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

func TestAuditSaysWhoWhatWhenFromWhere(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	before := h.Now()
	require.NoError(t, h.Audit(t.Context(), "set", Ref{Kind: "secret", Name: "s"}, "the detail", func() error { return nil }))
	refused := fmt.Errorf("%w: no", azml.ErrDenied)
	require.ErrorIs(t, h.Audit(t.Context(), "set", Ref{Kind: "secret", Name: "t"}, "", func() error { return refused }), azml.ErrDenied)
	lines := auditRecords(t, h)
	require.Len(t, lines, 2)
	require.Equal(t, record.Audit{ID: lines[0].ID, Time: lines[0].Time, Who: h.Who(), From: program(h.Owner()), Op: "set", Kind: "secret",
		Name: "s", Detail: "the detail"}, lines[0])
	require.False(t, lines[0].Time.Before(before))
	require.Equal(t, "permission denied", lines[1].Failure)
}

func TestAuditLineIsWrittenBeforeTheChange(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	require.NoError(t, h.Audit(t.Context(), "set", Ref{Kind: "secret", Name: "s"}, "", func() error {
		require.Equal(t, []string{"set s"}, auditLines(t, h))
		return nil
	}))
}

func TestNoChangeWithoutAnAuditLine(t *testing.T) {
	t.Parallel()
	store := &hooked{Objects: memory.NewObjects()}
	store.append = func(string, func() (backend.Info, error)) (backend.Info, error) {
		return backend.Info{}, fmt.Errorf("%w: disk full", azml.ErrUnavailable)
	}
	h := setup(t, store)
	_, err := Create(t.Context(), h, experimentRef("e"), experiment("e"))
	require.ErrorIs(t, err, azml.ErrUnavailable)
	_, err = Get[record.Experiment](t.Context(), h, experimentRef("e").Key)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// TestCreateAfter makes a record while its audit line, and something else that
// must be there before, are written: the record is not seen before both are there,
// nor when one of them or the making fails.
func TestCreateAfter(t *testing.T) {
	t.Parallel()
	wrong := fmt.Errorf("%w: no number", azml.ErrConflict)
	full := fmt.Errorf("%w: disk full", azml.ErrUnavailable)
	for name, c := range map[string]struct {
		making, ready, line error
		lines               []string
	}{
		"all go well":             {lines: []string{"create e"}},
		"the making fails":        {making: wrong, lines: []string{"create e: conflict"}},
		"what is before it fails": {ready: wrong, lines: []string{"create e: conflict"}},
		"the line fails":          {line: full, lines: []string{}},
		"making and line fail":    {making: wrong, line: full, lines: []string{}},
		"both before it fail":     {ready: wrong, line: full, lines: []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &hooked{Objects: memory.NewObjects()}
			h := setup(t, store)
			made := make(chan struct{})
			store.append = func(_ string, do func() (backend.Info, error)) (backend.Info, error) {
				if c.making == nil && c.ready == nil && c.line == nil {
					<-made // neither the making nor what is before waits for the line
				}
				_, err := Get[record.Experiment](t.Context(), h, experimentRef("e").Key)
				require.ErrorIs(t, err, azml.ErrNotFound)
				if c.line != nil {
					return backend.Info{}, c.line
				}
				return do()
			}
			_, err := CreateAfter(t.Context(), h, experimentRef("e"), func() (record.Experiment, func() error, error) {
				close(made)
				return experiment("e"), sync.OnceValue(func() error {
					_, err := Get[record.Experiment](t.Context(), h, experimentRef("e").Key)
					require.ErrorIs(t, err, azml.ErrNotFound)
					return c.ready
				}), c.making
			})
			require.ErrorIs(t, err, cmp.Or(c.line, c.making, c.ready))
			_, there := Get[record.Experiment](t.Context(), h, experimentRef("e").Key)
			require.Equal(t, err == nil, there == nil)
			require.ElementsMatch(t, c.lines, auditLines(t, h))
		})
	}
}

// While one append is under way, all lines that come are gathered for the next.
func TestAuditGroupsLines(t *testing.T) {
	t.Parallel()
	const lines = 50
	counting := faulty.New(memory.NewObjects(), faulty.Plan{})
	store := &hooked{Objects: counting}
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	store.append = func(_ string, do func() (backend.Info, error)) (backend.Info, error) {
		once.Do(func() { close(begun); <-release })
		return do()
	}
	h := setup(t, store)
	var all sync.WaitGroup
	add := func(name string) {
		all.Go(func() {
			require.NoError(t, h.Audit(t.Context(), "set", Ref{Kind: "secret", Name: name}, "", func() error { return nil }))
		})
	}
	add("first")
	<-begun
	for n := range lines {
		add(fmt.Sprint(n))
	}
	require.Eventually(t, func() bool {
		h.s.audit.mu.Lock()
		defer h.s.audit.mu.Unlock()
		return h.s.audit.pending != nil && bytes.Count(h.s.audit.pending.data, []byte("\n")) == lines
	}, 10*time.Second, time.Millisecond)
	close(release)
	all.Wait()
	require.Equal(t, 2, counting.Counts().Append)
	require.Len(t, auditLines(t, h), lines+1)
}

func TestAuditGoesOnInANewPartAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("lost=%v", lost), func(t *testing.T) {
			t.Parallel()
			store := &hooked{Objects: memory.NewObjects()}
			appends := 0
			store.append = func(_ string, do func() (backend.Info, error)) (backend.Info, error) {
				appends++
				if appends != 2 {
					return do()
				}
				if lost {
					_, err := do()
					require.NoError(t, err)
				}
				return backend.Info{}, fmt.Errorf("%w: no answer", azml.ErrUnavailable)
			}
			h := setup(t, store)
			add := func(name string) error {
				return h.Audit(t.Context(), "set", Ref{Kind: "secret", Name: name}, "", func() error { return nil })
			}
			require.NoError(t, add("a"))
			require.ErrorIs(t, add("b"), azml.ErrUnavailable)
			require.NoError(t, add("c"))
			require.NoError(t, add("d"))
			keys := auditKeys(t, h.Objects())
			require.Len(t, keys, 2)
			require.True(t, strings.HasSuffix(keys[0], "-1.jsonl"), keys)
			require.True(t, strings.HasSuffix(keys[1], "-2.jsonl"), keys)
			want := []string{"set a", "set c", "set d"}
			if lost {
				want = []string{"set a", "set b", "set c", "set d"}
			}
			require.Equal(t, want, auditLines(t, h))
		})
	}
}

// TestAuditLineThatWasSentTwice has conflicts that are our own writes, and then
// some that are not.
func TestAuditLineThatWasSentTwice(t *testing.T) {
	t.Parallel()
	store := &hooked{Objects: memory.NewObjects()}
	appends, refused := 0, false
	store.append = func(_ string, do func() (backend.Info, error)) (backend.Info, error) {
		appends++
		if !refused {
			_, err := do()
			require.NoError(t, err)
		}
		return backend.Info{}, fmt.Errorf("%w: something is there", azml.ErrConflict)
	}
	h := setup(t, store)
	add := func(name string) error {
		return h.Audit(t.Context(), "set", Ref{Kind: "secret", Name: name}, "", func() error { return nil })
	}
	require.NoError(t, errors.Join(add("a"), add("b"), add("c")))
	require.Len(t, auditKeys(t, h.Objects()), 1)
	require.Equal(t, []string{"set a", "set b", "set c"}, auditLines(t, h))
	appends, refused = 0, true
	require.ErrorIs(t, add("d"), azml.ErrConflict)
	require.Equal(t, auditTries, appends, "it does not go on for ever")
}

// TestAuditOfManyParts has the second line of each event refused at first, so that it
// goes to a new part, and there are more parts than one digit counts: it is still
// the last line of its event.
func TestAuditOfManyParts(t *testing.T) {
	t.Parallel()
	store := &hooked{Objects: memory.NewObjects()}
	appends := 0
	store.append = func(_ string, do func() (backend.Info, error)) (backend.Info, error) {
		appends++
		if appends%3 == 2 {
			return backend.Info{}, fmt.Errorf("%w: something else is there", azml.ErrConflict)
		}
		return do()
	}
	h := setup(t, store)
	const events = 12
	for range events {
		require.ErrorIs(t, h.Audit(t.Context(), "set", Ref{Kind: "secret", Name: "s"}, "", func() error { return azml.ErrDenied }), azml.ErrDenied)
	}
	require.Len(t, auditKeys(t, h.Objects()), events+1)
	var lines []record.Audit
	for day, err := range AuditDays(t.Context(), h, time.Time{}, func(key string, line int, err error) { t.Error(key, line, err) }) {
		require.NoError(t, err)
		lines = append(lines, day...)
	}
	require.Len(t, lines, events)
	for _, line := range lines {
		require.Equal(t, "permission denied", line.Failure)
	}
}

func TestAuditRollsByDayAndByAppends(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	h := setupConfig(t, Config{Objects: memory.NewObjects(), Now: clock})
	add := func() {
		require.NoError(t, h.Audit(t.Context(), "set", Ref{Kind: "secret", Name: "s"}, "", func() error { return nil }))
	}
	add()
	mu.Lock()
	now = now.Add(2 * time.Second)
	mu.Unlock()
	add()
	h.s.audit.mu.Lock()
	h.s.audit.lines = auditAppends // nothing is being appended now
	h.s.audit.mu.Unlock()
	add()
	writer := h.s.audit.writer
	require.Equal(t, []string{"audit/2026-03-01/" + writer + "-1.jsonl", "audit/2026-03-02/" + writer + "-2.jsonl",
		"audit/2026-03-02/" + writer + "-3.jsonl"}, auditKeys(t, h.Objects()))
}

// Each of several registrations at once leaves one entry, with the version that
// it got in the end.
func TestAuditNamesTheVersionThatWasAllotted(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	const writers, each = 6, 10
	var all sync.WaitGroup
	for range writers {
		h := setup(t, objects)
		all.Go(func() {
			for range each {
				_, _, err := Allot(t.Context(), h, testSeries, true, func(n int) (record.Model, error) { return record.Model{Version: n}, nil })
				require.NoError(t, err)
			}
		})
	}
	all.Wait()
	names := map[string]int{}
	for _, line := range auditRecords(t, setup(t, objects)) {
		require.Empty(t, line.Failure)
		names[line.Name]++
	}
	require.Len(t, names, writers*each)
	for n := 1; n <= writers*each; n++ {
		require.Equal(t, 1, names[testSeries.Ref(n).Name])
	}
}

// A change that fails after another one was faster leaves its failure.
func TestAuditOfAFailedChange(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	_, err := Create(t.Context(), h, experimentRef("e"), experiment("e"))
	require.NoError(t, err)
	_, err = Create(t.Context(), h, experimentRef("e"), experiment("e"))
	require.ErrorIs(t, err, azml.ErrExists)
	require.Equal(t, []string{"create e", "create e: already exists"}, auditLines(t, h))
}

// Who lost a race and then finds nothing left to change has changed nothing.
func TestAuditOfAChangeThatBecameNeedless(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	_, err := Create(ctx, h, experimentRef("e"), experiment("e"))
	require.NoError(t, err)
	tries := 0
	_, err = Update(ctx, h, experimentRef("e"), Updated("description"), func(e *record.Experiment) error {
		if tries++; tries > 1 {
			return ErrNoChange
		}
		_, err := Update(ctx, h, experimentRef("e"), Quiet, func(e *record.Experiment) error { e.Description = "x"; return nil })
		e.Description = "x"
		return err
	})
	require.NoError(t, err)
	lines := auditRecords(t, h)
	require.Len(t, lines, 2)
	require.Equal(t, azml.ErrConflict.Error(), lines[1].Failure)
}

func TestAuditHonoursTheCallersContext(t *testing.T) {
	t.Parallel()
	store := &hooked{Objects: memory.NewObjects()}
	release := make(chan struct{})
	store.append = func(_ string, do func() (backend.Info, error)) (backend.Info, error) { <-release; return do() }
	h := setup(t, store)
	defer close(release)
	ctx, cancel := withCancel(t)
	cancel()
	_, err := Create(ctx, h, experimentRef("e"), experiment("e"))
	require.True(t, errors.Is(err, ctx.Err()), err)
}
