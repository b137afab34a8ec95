package backendtest

import (
	"context"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

func cancelGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"cancellation", []check[ObjectsHarness]{
		{"before the call", checkCancelBefore},
		{"in a put", checkCancelPut},
		{"in a list", checkCancelList},
	}}
}

func checkCancelBefore(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	s.put("a", "data")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	opts := &backend.PutOptions{}
	_, err := s.Put(ctx, "b", strings.NewReader("x"), opts)
	require.ErrorIs(t, err, context.Canceled, "Put")
	_, err = s.Put(ctx, "a", strings.NewReader("x"), opts)
	require.ErrorIs(t, err, context.Canceled, "Put")
	_, err = s.Append(ctx, "c", 0, []byte("x"))
	require.ErrorIs(t, err, context.Canceled, "Append")
	_, err = s.Get(ctx, "a", &backend.GetOptions{})
	require.ErrorIs(t, err, context.Canceled, "Get")
	_, err = s.Stat(ctx, "a")
	require.ErrorIs(t, err, context.Canceled, "Stat")
	require.ErrorIs(t, s.Delete(ctx, "a", &backend.DeleteOptions{}), context.Canceled, "Delete")
	for _, prefix := range []string{"", "a", "nothing/"} {
		require.ErrorIs(t, lastError(s.List(ctx, &backend.ListOptions{Prefix: prefix})), context.Canceled, "List %q", prefix)
	}
	require.Equal(t, "data", s.get("a"))
	require.Equal(t, []string{"a"}, s.keys(backend.ListOptions{}))
}

// lastError gives the error that a list ends with.
func lastError[T any](list func(func(T, error) bool)) (last error) {
	for _, err := range list {
		if last = err; err != nil {
			break
		}
	}
	return last
}

// checkCancelPut cancels while the content is read: either the write was done,
// or nothing is there.
func checkCancelPut(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	content := watched(5<<20, func() error { cancel(); return nil })
	info, err := s.Put(ctx, "a", content, &backend.PutOptions{})
	if err == nil {
		requireInfo(t, info, s.stat("a"))
		return
	}
	require.ErrorIs(t, err, context.Canceled)
	for _, info := range s.infos(backend.ListOptions{}) {
		require.Equal(t, content.Size(), info.Size, "half a write was left")
	}
}

func checkCancelList(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	for i := range 10 {
		s.put(fmt.Sprintf("k%d", i), "")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, errs := 0, 0
	for _, err := range s.List(ctx, &backend.ListOptions{}) {
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			errs++
			continue // the list must end by itself
		}
		seen++
		cancel()
	}
	// A driver may hand out the page that it has already.
	require.True(t, errs == 1 || errs == 0 && seen == 10, "%d keys and %d errors after cancelling", seen, errs)
}
