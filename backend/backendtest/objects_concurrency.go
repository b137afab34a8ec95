package backendtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func concurrencyGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"concurrency", []check[ObjectsHarness]{
		{"one creator wins", checkCreateRace},
		{"no lost update", checkNoLostUpdate},
		{"one append wins", checkAppendRace},
		{"whole values only", checkWholeValues},
		{"folders come and go", checkFoldersComeAndGo},
		{"one deleter wins", checkDeleteRace},
	}}
}

// together runs f n times at once.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func checkCreateRace(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	for round := range 5 {
		key := fmt.Sprintf("race/%d", round)
		var winner, wins, others atomic.Int64
		together(16, func(i int) {
			_, err := s.putIf(key, strconv.Itoa(i), backend.PutOptions{IfNoneMatch: true})
			switch {
			case err == nil:
				winner.Store(int64(i))
				wins.Add(1)
			case !errors.Is(err, azml.ErrExists):
				t.Logf("%v", err)
				others.Add(1)
			}
		})
		require.EqualValues(t, 1, wins.Load(), "creators that won")
		require.Zero(t, others.Load(), "errors other than ErrExists")
		require.Equal(t, strconv.Itoa(int(winner.Load())), s.get(key))
	}
}

// increment adds one to the number in the object, by compare-and-swap until it
// succeeds. As in records, a token makes the bytes of every write its own.
func increment(t TB, objects backend.Objects, key string) {
	s := store{t, objects}
	for range 10_000 { // ends for every store that is not broken
		o, err := s.Get(t.Context(), key, &backend.GetOptions{})
		if !noError(t, err) {
			return
		}
		text, err := io.ReadAll(o.Body)
		o.Body.Close()
		if !noError(t, err) {
			return
		}
		n, err := number(string(text))
		if !noError(t, err) {
			return
		}
		_, err = s.putIf(key, fmt.Sprint(n+1, " ", rand.Text()), backend.PutOptions{IfMatch: o.Info.ETag})
		if !errors.Is(err, azml.ErrConflict) {
			noError(t, err)
			return
		}
	}
	t.Errorf("compare-and-swap never succeeds")
}

// noError reports an error without ending the check, for goroutines.
func noError(t TB, err error) bool {
	if err != nil {
		t.Errorf("%v", err)
	}
	return err == nil
}

func checkNoLostUpdate(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	s.put("counter", "0")
	together(8, func(int) {
		for range 8 {
			increment(t, h.Objects, "counter")
		}
	})
	n, err := number(s.get("counter"))
	require.NoError(t, err)
	// A write whose answer was lost and that others have replaced since is
	// taken for lost, and done again.
	require.True(t, n == 64 || n > 64 && h.Features.Retried, "64 increments gave %d", n)
}

// number reads what increment writes.
func number(text string) (int, error) {
	digits, _, _ := strings.Cut(text, " ")
	return strconv.Atoi(digits)
}

func checkAppendRace(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	var total, failures atomic.Int64
	together(8, func(i int) {
		line := []byte(fmt.Sprintf("%07d\n", i))
		for offset := int64(0); offset < 8*12; {
			_, err := s.Append(t.Context(), "log", offset, line)
			switch {
			case err == nil:
				total.Add(1)
			case !errors.Is(err, azml.ErrConflict):
				t.Logf("%v", err)
				failures.Add(1)
				return
			}
			offset += int64(len(line)) // won or lost, this place is taken
		}
	})
	require.Zero(t, failures.Load(), "errors other than ErrConflict")
	require.EqualValues(t, 12, total.Load(), "appends that won, one for each offset")
	require.Len(t, s.get("log"), 8*12)
	require.Len(t, strings.Fields(s.get("log")), 12)
}

// checkWholeValues replaces an object while others read it: each must see one
// single value.
func checkWholeValues(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	value := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 1000*(1+i%7)) }
	s.put("v", value(0))
	var done atomic.Bool
	together(4, func(i int) {
		if i == 0 {
			defer done.Store(true)
			for n := range 40 {
				_, err := s.putIf("v", value(n), backend.PutOptions{})
				noError(t, err)
			}
			return
		}
		for !done.Load() {
			text := s.snapshot("v")
			data, _, _ := strings.Cut(text, " ")
			if len(data) == 0 || len(data)%1000 != 0 || strings.Count(data, data[:1]) != len(data) {
				t.Errorf("read a mixture: %.200q", text)
				return
			}
		}
	})
}

// checkFoldersComeAndGo creates and deletes the only objects below a common
// prefix, which stores with folders may do wrong.
func checkFoldersComeAndGo(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	together(8, func(i int) {
		key := fmt.Sprintf("come/and/go/%d", i)
		for range 8 {
			_, err := s.putIf(key, "x", backend.PutOptions{IfNoneMatch: true})
			if noError(t, err) {
				noError(t, s.Delete(t.Context(), key, &backend.DeleteOptions{}))
			}
		}
	})
	require.Empty(t, s.keys(backend.ListOptions{Delimiter: "/"}))
}

func checkDeleteRace(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	for range 5 {
		s.put("a", "x")
		var wins, others atomic.Int64
		together(8, func(int) {
			switch err := s.Delete(t.Context(), "a", &backend.DeleteOptions{}); {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, azml.ErrNotFound):
				others.Add(1)
			}
		})
		require.True(t, wins.Load() == 1 || wins.Load() > 1 && h.Features.Retried, "%d deleters won", wins.Load())
		require.Zero(t, others.Load(), "errors other than ErrNotFound")
	}
}
