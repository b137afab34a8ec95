package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/record"
)

func TestUpdateUnderContentionLosesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	objects := memory.NewObjects()
	ref := experimentRef("e")
	_, err := Create(ctx, setup(t, objects), ref, experiment("e"))
	require.NoError(t, err)
	const writers, updates = 8, 25
	var all sync.WaitGroup
	for w := range writers {
		h := setup(t, objects)
		all.Go(func() {
			for n := range updates {
				_, err := Update(ctx, h, ref, Quiet, func(e *record.Experiment) error {
					e.Description += "x"
					e.Tags = map[string]string{"last": fmt.Sprint(w, n)}
					return nil
				})
				require.NoError(t, err)
			}
		})
	}
	all.Wait()
	s, err := Get[record.Experiment](ctx, setup(t, objects), ref.Key)
	require.NoError(t, err)
	require.Len(t, s.Value.Description, writers*updates)
}

func TestUpdateGivesUpAfterManyLostRaces(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	tries := 0
	store := &hooked{Objects: memory.NewObjects()}
	h := setup(t, store)
	_, err := Create(ctx, h, experimentRef("e"), experiment("e"))
	require.NoError(t, err)
	store.put = func(string, func() (backend.Info, error)) (backend.Info, error) {
		tries++
		return backend.Info{}, fmt.Errorf("%w: always", azml.ErrConflict)
	}
	_, err = Update(ctx, h, experimentRef("e"), Quiet, func(e *record.Experiment) error { e.Description += "x"; return nil })
	require.ErrorIs(t, err, azml.ErrConflict)
	require.Equal(t, maxTries, tries)
}

func TestUpdateOfADeletedRecord(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	ref := experimentRef("e")
	_, err := Create(ctx, h, ref, experiment("e"))
	require.NoError(t, err)
	_, err = Update(ctx, h, ref, Updated("x"), func(e *record.Experiment) error {
		e.Description += "x"
		err := h.Objects().Delete(ctx, ref.Key, &backend.DeleteOptions{})
		if errors.Is(err, azml.ErrNotFound) {
			return nil
		}
		return err
	})
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.Equal(t, []string{"create e", "update e: not found"}, auditLines(t, h))
}

// TestUpdateFromWhatIsHeld reads nothing while nobody else has changed the record, and loses
// nothing, nor decides by what was, when somebody has.
func TestUpdateFromWhatIsHeld(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := &hooked{Objects: memory.NewObjects()}
	h, ref := setup(t, store), experimentRef("e")
	created := experiment("e")
	created.Tags = map[string]string{"by": "nobody"}
	held, err := Create(ctx, h, ref, created)
	require.NoError(t, err)
	tag := func(value string) func(*record.Experiment) error {
		return func(e *record.Experiment) error { e.Tags["by"] = value; return nil }
	}
	next, err := UpdateFrom(ctx, h, ref, held, Quiet, tag("us"))
	require.NoError(t, err)
	require.Zero(t, store.gets.Load())
	require.Equal(t, "nobody", held.Value.Tags["by"], "what is held is not changed")
	again, err := UpdateFrom(ctx, h, ref, next, Quiet, tag("us again"))
	require.NoError(t, err)
	require.Zero(t, store.gets.Load())
	_, err = Update(ctx, h, ref, Quiet, func(e *record.Experiment) error { e.Description = "theirs"; return nil })
	require.NoError(t, err)
	after, err := UpdateFrom(ctx, h, ref, again, Quiet, tag("us at last"))
	require.NoError(t, err)
	require.Equal(t, "theirs", after.Value.Description)
	require.Equal(t, "us at last", after.Value.Tags["by"])
	_, err = UpdateFrom(ctx, h, ref, held, Quiet, func(e *record.Experiment) error {
		if e.Description == "" {
			return fmt.Errorf("%w: of what is no more so", azml.ErrInvalid)
		}
		return fmt.Errorf("%w: of what is so", azml.ErrDenied)
	})
	require.ErrorIs(t, err, azml.ErrDenied)
}

func TestNoChangeWritesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	before, err := Create(ctx, h, experimentRef("e"), experiment("e"))
	require.NoError(t, err)
	after, err := Update(ctx, h, experimentRef("e"), Updated("x"), func(e *record.Experiment) error {
		e.Description = "this must not be seen"
		return fmt.Errorf("it is so already: %w", ErrNoChange)
	})
	require.NoError(t, err)
	require.Equal(t, before.ETag, after.ETag)
	require.Empty(t, after.Value.Description)
	require.Equal(t, []string{"create e"}, auditLines(t, h))
}

func TestErrorOfAChangeEndsTheUpdate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	before, err := Create(ctx, h, experimentRef("e"), experiment("e"))
	require.NoError(t, err)
	_, err = Update(ctx, h, experimentRef("e"), Updated("x"), func(*record.Experiment) error { return azml.ErrInvalid })
	require.ErrorIs(t, err, azml.ErrInvalid)
	after, err := Get[record.Experiment](ctx, h, experimentRef("e").Key)
	require.NoError(t, err)
	require.Equal(t, before.ETag, after.ETag)
}

// A layer below that tries again after a lost answer meets its own write.
func TestOwnWriteIsRecognisedByItsToken(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{azml.ErrExists, azml.ErrConflict} {
		t.Run(refusal.Error(), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			store := &hooked{Objects: memory.NewObjects()}
			store.put = func(_ string, do func() (backend.Info, error)) (backend.Info, error) {
				if _, err := do(); err != nil {
					return backend.Info{}, err
				}
				return backend.Info{}, fmt.Errorf("%w: met on the second try", refusal)
			}
			h := setup(t, store)
			created, err := Create(ctx, h, experimentRef("e"), experiment("e"))
			require.NoError(t, err)
			require.NotEmpty(t, created.ETag)
			for range 3 {
				_, err = Update(ctx, h, experimentRef("e"), Quiet, func(e *record.Experiment) error { e.Description += "x"; return nil })
				require.NoError(t, err)
			}
			s, err := Get[record.Experiment](ctx, h, experimentRef("e").Key)
			require.NoError(t, err)
			require.Equal(t, "xxx", s.Value.Description)
		})
	}
}

func TestSomebodyElsesWriteIsNotOurs(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	objects := memory.NewObjects()
	_, err := Create(ctx, setup(t, objects), experimentRef("e"), experiment("e"))
	require.NoError(t, err)
	_, err = Create(ctx, setup(t, objects), experimentRef("e"), experiment("e"))
	require.ErrorIs(t, err, azml.ErrExists)
}

func TestLostAnswerIsUnavailableAndDone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	inner := memory.NewObjects()
	h := setup(t, faulty.New(inner, faulty.Plan{Seed: 1, Lost: 1}))
	_, err := CreateQuiet(ctx, h, "experiments/e.json", experiment("e"))
	require.ErrorIs(t, err, azml.ErrUnavailable)
	s, err := Get[record.Experiment](ctx, setup(t, inner), "experiments/e.json")
	require.NoError(t, err)
	require.Equal(t, "e", s.Value.Name)
}

func TestDeleteOfAnOlderState(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	old, err := Create(ctx, h, experimentRef("e"), experiment("e"))
	require.NoError(t, err)
	_, err = Update(ctx, h, experimentRef("e"), Quiet, func(e *record.Experiment) error { e.Description = "x"; return nil })
	require.NoError(t, err)
	require.ErrorIs(t, Delete(ctx, h, experimentRef("e"), old.ETag), azml.ErrConflict)
	require.NoError(t, Delete(ctx, h, experimentRef("e"), ""))
	require.NoError(t, Delete(ctx, h, experimentRef("e"), ""), "what is gone is deleted")
	require.Equal(t, []string{"create e", "delete e: conflict", "delete e", "delete e"}, auditLines(t, h))
}

func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"empty": "", "cut": `{"schema": "azml.exp`, "other kind": `{"schema": "azml.model/1"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := setup(t, memory.NewObjects())
			_, err := h.Objects().Put(t.Context(), "experiments/e.json", strings.NewReader(content), &backend.PutOptions{})
			require.NoError(t, err)
			_, err = Get[record.Experiment](t.Context(), h, "experiments/e.json")
			require.ErrorIs(t, err, azml.ErrDamaged)
			require.ErrorContains(t, err, "experiments/e.json")
			for _, err := range List[record.Experiment](t.Context(), h, "experiments/", nil) {
				require.ErrorIs(t, err, azml.ErrDamaged)
			}
		})
	}
}

func TestTooLargeForARecord(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	_, err := h.Objects().Put(t.Context(), "big", bytes.NewReader(make([]byte, maxRecord+1)), &backend.PutOptions{})
	require.NoError(t, err)
	_, _, err = h.Read(t.Context(), "big")
	require.ErrorIs(t, err, azml.ErrDamaged)
}

// together is a store in which reads wait until so many are under way.
type together struct {
	backend.Objects
	missing atomic.Int32
	all     chan struct{}
}

func (s *together) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if s.missing.Add(-1) == 0 {
		close(s.all)
	}
	select {
	case <-s.all:
		return s.Objects.Get(ctx, key, opts)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestListReadsAhead: the records of a list are read side by side.
func TestListReadsAhead(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	objects := memory.NewObjects()
	h := setup(t, objects)
	for _, name := range []string{"a", "b", "c"} {
		_, err := CreateQuiet(ctx, h, experimentRef(name).Key, experiment(name))
		require.NoError(t, err)
	}
	store := &together{Objects: objects, all: make(chan struct{})}
	store.missing.Store(3)
	var names []string
	for s, err := range List[record.Experiment](ctx, setup(t, store), "experiments/", nil) {
		require.NoError(t, err)
		names = append(names, s.Value.Name)
	}
	require.Equal(t, []string{"a", "b", "c"}, names)
}

func TestListAndChildren(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	for _, name := range []string{"b", "a", "c"} {
		_, err := CreateQuiet(ctx, h, experimentRef(name).Key, experiment(name))
		require.NoError(t, err)
	}
	_, err := CreateQuiet(ctx, h, "experiments/a/runs/0000000001.json", record.RunNumber{RunID: "r"})
	require.NoError(t, err)
	pick := func(key string) bool { return strings.Count(key, "/") == 1 && !strings.Contains(key, "b") }
	var names []string
	for s, err := range List[record.Experiment](ctx, h, "experiments/", pick) {
		require.NoError(t, err)
		names = append(names, s.Value.Name)
	}
	require.Equal(t, []string{"a", "c"}, names)
	var children []string
	for child, err := range h.Children(ctx, "experiments/") {
		require.NoError(t, err)
		children = append(children, child)
	}
	require.Equal(t, []string{"a.json", "a", "b.json", "c.json"}, children, "the order is that of the keys")
}
