package retrying_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/retrying"
)

// loseFirst loses the answer to the first write, and then lets another writer
// act before the next try.
type loseFirst struct {
	backend.Objects
	done  bool
	other func()
}

func (l *loseFirst) lose(err error) error {
	if l.done || err != nil {
		return err
	}
	if l.done = true; l.other != nil {
		l.other()
	}
	return azml.ErrUnavailable
}

func (l *loseFirst) Put(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	info, err := l.Objects.Put(ctx, key, c, opts)
	return info, l.lose(err)
}

func (l *loseFirst) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	info, err := l.Objects.Append(ctx, key, offset, data)
	return info, l.lose(err)
}

func (l *loseFirst) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	return l.lose(l.Objects.Delete(ctx, key, opts))
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	overwrite := func(s backend.Objects) {
		_, _ = s.Put(context.Background(), "a", strings.NewReader("other"), &backend.PutOptions{})
	}
	appendMore := func(s backend.Objects) {
		_, _ = s.Append(context.Background(), "a", 3, []byte("+"))
	}
	create := func(ctx context.Context, s backend.Objects) error {
		_, err := s.Put(ctx, "a", strings.NewReader("own"), &backend.PutOptions{IfNoneMatch: true})
		return err
	}
	swap := func(ctx context.Context, s backend.Objects) error {
		info, err := s.Stat(ctx, "a")
		if err == nil {
			_, err = s.Put(ctx, "a", strings.NewReader("own"), &backend.PutOptions{IfMatch: info.ETag})
		}
		return err
	}
	grow := func(ctx context.Context, s backend.Objects) error {
		_, err := s.Append(ctx, "a", 0, []byte("own"))
		return err
	}
	remove := func(ctx context.Context, s backend.Objects) error {
		return s.Delete(ctx, "a", &backend.DeleteOptions{})
	}
	for _, test := range []struct {
		name   string
		before string
		call   func(context.Context, backend.Objects) error
		other  func(backend.Objects)
		class  error
		after  string
	}{
		{"create", "", create, nil, nil, "own"},
		{"create, replaced since", "", create, overwrite, azml.ErrExists, "other"},
		{"swap", "old", swap, nil, nil, "own"},
		{"swap, replaced since", "old", swap, overwrite, azml.ErrConflict, "other"},
		{"append", "", grow, nil, nil, "own"},
		{"append, more since", "", grow, appendMore, nil, "own+"},
		{"append, replaced since", "", grow, overwrite, azml.ErrConflict, "other"},
		{"delete", "old", remove, nil, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := memory.NewObjects()
			if test.before != "" {
				_, err := m.Put(t.Context(), "a", strings.NewReader(test.before), &backend.PutOptions{})
				require.NoError(t, err)
			}
			l := &loseFirst{Objects: m}
			if test.other != nil {
				l.other = func() { test.other(m) }
			}
			err := test.call(t.Context(), retrying.New(l, quick))
			require.Equal(t, test.class, azml.ClassOf(err), "%v", err)
			got := ""
			if o, err := m.Get(t.Context(), "a", &backend.GetOptions{}); err == nil {
				data, _ := io.ReadAll(o.Body)
				got = string(data)
			}
			require.Equal(t, test.after, got)
		})
	}
}

// TestWaitedForOnce has Put wait for what is unavailable: that was tried again
// where it was done.
func TestWaitedForOnce(t *testing.T) {
	t.Parallel()
	s := retrying.New(memory.NewObjects(), nil)
	waits := 0
	_, err := s.Put(t.Context(), "a", strings.NewReader("x"), &backend.PutOptions{Before: func() error { waits++; return azml.ErrUnavailable }})
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.Equal(t, 1, waits)
	_, err = s.Stat(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestTornReads(t *testing.T) {
	t.Parallel()
	m := memory.NewObjects()
	data := strings.Repeat("0123456789", 500)
	_, err := m.Put(t.Context(), "a", strings.NewReader(data), &backend.PutOptions{})
	require.NoError(t, err)
	broken := faulty.New(m, faulty.Plan{Seed: 3, Torn: 0.7})
	s := retrying.New(broken, quick)
	for range 50 {
		o, err := s.Get(t.Context(), "a", &backend.GetOptions{Offset: 3, Length: 4000})
		require.NoError(t, err)
		got, err := io.ReadAll(o.Body)
		require.NoError(t, err)
		require.NoError(t, o.Body.Close())
		require.Equal(t, data[3:4003], string(got))
	}
	require.NotZero(t, broken.Counts().Faults)
}

// TestTornReadOfDeletedObject says both that it is another state and that it is
// gone: who reads what is replaced by something else looks for that.
func TestTornReadOfDeletedObject(t *testing.T) {
	t.Parallel()
	m := memory.NewObjects()
	_, err := m.Put(t.Context(), "a", strings.NewReader(strings.Repeat("x", 5000)), &backend.PutOptions{})
	require.NoError(t, err)
	s := retrying.New(faulty.New(m, faulty.Plan{Seed: 3, Torn: 1}), quick)
	o, err := s.Get(t.Context(), "a", &backend.GetOptions{})
	require.NoError(t, err)
	defer o.Body.Close()
	require.NoError(t, m.Delete(t.Context(), "a", &backend.DeleteOptions{}))
	_, err = io.ReadAll(o.Body)
	require.ErrorIs(t, err, azml.ErrConflict)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestTornReadOfReplacedObject(t *testing.T) {
	t.Parallel()
	m := memory.NewObjects()
	s := retrying.New(faulty.New(m, faulty.Plan{Seed: 1, Torn: 1}), quick)
	_, err := m.Put(t.Context(), "a", strings.NewReader(strings.Repeat("old", 1000)), &backend.PutOptions{})
	require.NoError(t, err)
	o, err := s.Get(t.Context(), "a", &backend.GetOptions{})
	require.NoError(t, err)
	defer o.Body.Close()
	_, err = m.Put(t.Context(), "a", strings.NewReader(strings.Repeat("new", 1000)), &backend.PutOptions{})
	require.NoError(t, err)
	got, err := io.ReadAll(o.Body)
	require.ErrorIs(t, err, azml.ErrConflict)
	require.NotContains(t, string(got), "new")
}

func TestBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := faulty.New(memory.NewObjects(), faulty.Plan{Errors: 1})
		start := time.Now()
		_, err := retrying.New(broken, &retrying.Options{Attempts: 4, Base: time.Second}).Stat(t.Context(), "a")
		require.ErrorIs(t, err, azml.ErrUnavailable)
		require.Equal(t, 4, broken.Counts().Stat)
		require.InDelta(t, 5.25, time.Since(start).Seconds(), 1.75) // 1+2+4 seconds, or down to half of it

		start = time.Now()
		_, err = retrying.New(broken, &retrying.Options{Attempts: 1000, Elapsed: 10 * time.Second}).Stat(t.Context(), "a")
		require.ErrorIs(t, err, azml.ErrUnavailable)
		require.LessOrEqual(t, time.Since(start), 10*time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start = time.Now()
		_, err = retrying.New(broken, &retrying.Options{Base: time.Minute, Max: time.Hour, Elapsed: time.Hour}).Stat(ctx, "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestOtherClassesAreFinal(t *testing.T) {
	t.Parallel()
	counted := faulty.New(memory.NewObjects(), faulty.Plan{})
	_, err := retrying.New(counted, quick).Stat(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.Equal(t, 1, counted.Counts().Stat)
}
