package faulty_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
)

func put(t *testing.T, s backend.Objects, key string) error {
	t.Helper()
	_, err := s.Put(t.Context(), key, strings.NewReader("x"), &backend.PutOptions{})
	return err
}

// fates says how calls in a fixed order end.
func fates(t *testing.T, seed uint64) (text string) {
	s := faulty.New(memory.NewObjects(), faulty.Plan{Seed: seed, Errors: 0.3, Lost: 0.3, Torn: 0.3})
	for i := range 50 {
		text += fmt.Sprint(put(t, s, "a"), s.Delete(t.Context(), "a", &backend.DeleteOptions{}), i)
	}
	return text
}

func TestSeed(t *testing.T) {
	t.Parallel()
	require.Equal(t, fates(t, 1), fates(t, 1))
	require.NotEqual(t, fates(t, 1), fates(t, 2))
}

func TestErrorsAndLostAnswers(t *testing.T) {
	t.Parallel()
	m := memory.NewObjects()
	require.ErrorIs(t, put(t, faulty.New(m, faulty.Plan{Errors: 1}), "a"), azml.ErrUnavailable)
	_, err := m.Stat(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound, "nothing was done")
	require.ErrorIs(t, put(t, faulty.New(m, faulty.Plan{Lost: 1}), "a"), azml.ErrUnavailable)
	_, err = m.Stat(t.Context(), "a")
	require.NoError(t, err, "the write was done")
}

func TestStopAfterEachWrite(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 3; n++ {
		m := memory.NewObjects()
		s := faulty.New(m, faulty.Plan{StopAfterWrites: n})
		secrets := s.Secrets(memory.NewSecrets())
		for i := range 5 {
			err := put(t, s, fmt.Sprint(i))
			require.Equal(t, i >= n, err != nil)
			if err != nil {
				require.ErrorIs(t, err, azml.ErrClosed)
			}
		}
		_, err := s.Stat(t.Context(), "0")
		require.ErrorIs(t, err, azml.ErrClosed)
		require.ErrorIs(t, secrets.Set(t.Context(), "a", "1"), azml.ErrClosed, "the secrets stop together")
		require.Equal(t, n, s.Counts().Writes)
		require.Equal(t, 5, s.Counts().Put-1, "Set counts as Put")
		keys := 0
		for range m.List(t.Context(), &backend.ListOptions{}) {
			keys++
		}
		require.Equal(t, n, keys)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	s := faulty.New(memory.NewObjects(), faulty.Plan{})
	require.NoError(t, put(t, s, "a"))
	s.Stop()
	require.ErrorIs(t, put(t, s, "b"), azml.ErrClosed)
	for _, err := range s.List(t.Context(), &backend.ListOptions{}) {
		require.ErrorIs(t, err, azml.ErrClosed)
	}
}
