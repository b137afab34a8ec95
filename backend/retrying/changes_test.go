package retrying_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/prefixed"
	"github.com/azml-go/azml/backend/retrying"
)

// TestNoFeedInside has each decorator around a store that has no change feed.
func TestNoFeedInside(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(backend.Objects) backend.Objects{
		"retrying": func(s backend.Objects) backend.Objects { return retrying.New(s, quick) },
		"faulty":   func(s backend.Objects) backend.Objects { return faulty.New(s, faulty.Plan{}) },
		"prefixed": func(s backend.Objects) backend.Objects { return prefixed.New(s, "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Objects(t, func(*testing.T) backendtest.ObjectsHarness {
				feedless := struct{ backend.Objects }{memory.NewObjects()}
				return backendtest.ObjectsHarness{
					Objects:  wrap(feedless),
					Features: backendtest.ObjectsFeatures{AppendToPut: true, Retried: true},
				}
			})
		})
	}
}

// TestFeedUnderFaults loses answers of writes, which the feed names all the
// same, and the feed's place, which it finds again.
func TestFeedUnderFaults(t *testing.T) {
	t.Parallel()
	m := memory.NewObjects()
	cursor := func() string {
		got, err := m.Changes(t.Context(), "", &backend.ChangesOptions{})
		require.NoError(t, err)
		return got.Cursor
	}()
	lossy := faulty.New(m, faulty.Plan{Lost: 1})
	_, err := lossy.Put(t.Context(), "a", strings.NewReader("1"), &backend.PutOptions{})
	require.ErrorIs(t, err, azml.ErrUnavailable)
	got, err := lossy.Changes(t.Context(), cursor, &backend.ChangesOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, got.Keys)

	got, err = faulty.New(m, faulty.Plan{Torn: 1}).Changes(t.Context(), cursor, &backend.ChangesOptions{})
	require.NoError(t, err)
	require.Equal(t, backend.Changes{Lost: true}, got)

	broken := faulty.New(m, faulty.Plan{Errors: 1})
	_, err = broken.Changes(t.Context(), cursor, &backend.ChangesOptions{})
	require.ErrorIs(t, err, azml.ErrUnavailable)
	_, err = retrying.New(broken, &retrying.Options{Attempts: 3, Base: 1, Max: 1}).Changes(t.Context(), cursor, &backend.ChangesOptions{})
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.Equal(t, 4, broken.Counts().Changes)
}
