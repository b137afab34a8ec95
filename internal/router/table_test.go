package router

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// TestShares: of any hundred requests that begin at a multiple of a hundred,
// each deployment gets exactly its share, however many ask at once.
func TestShares(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		var routes []Route[int]
		left := 100
		for i := 0; left > 0; i++ {
			percent := min(rng.IntN(60), left)
			if i == 5 {
				percent = left
			}
			routes = append(routes, Route[int]{Name: fmt.Sprint("d", i), To: i, Percent: percent})
			left -= percent
		}
		table, err := NewTable(routes)
		require.NoError(t, err)
		var got [7]atomic.Int64
		var all sync.WaitGroup
		const each, rounds = 4, 25
		for range each {
			all.Go(func() {
				for range 100 * rounds {
					r, ok := table.Pick("")
					if !ok {
						t.Error("no deployment was picked")
					}
					got[r.To].Add(1)
				}
			})
		}
		all.Wait()
		for i, r := range routes {
			require.EqualValues(t, r.Percent*each*rounds, got[i].Load(), routes)
		}
	}
}

// TestSharesOfPeriodicRequests: every second request is of another kind, and
// both kinds meet both deployments about as often.
func TestSharesOfPeriodicRequests(t *testing.T) {
	t.Parallel()
	table, err := NewTable([]Route[int]{{Name: "a", To: 0, Percent: 50}, {Name: "b", To: 1, Percent: 50}})
	require.NoError(t, err)
	for _, period := range []int{2, 4, 5, 10, 50} {
		var first [2]int
		const n = 2000
		for range n {
			for i := range period {
				r, _ := table.Pick("")
				if i == 0 {
					first[r.To]++
				}
			}
		}
		require.InDelta(t, n/2, first[0], n/5, "period %d", period)
	}
}

func TestPickByName(t *testing.T) {
	t.Parallel()
	table, err := NewTable([]Route[string]{{Name: "a", To: "A", Percent: 100}, {Name: "b", To: "B"}})
	require.NoError(t, err)
	for name, want := range map[string]string{"": "A", "a": "A", "b": "B"} {
		r, ok := table.Pick(name)
		require.True(t, ok)
		require.Equal(t, want, r.To)
	}
	_, ok := table.Pick("c")
	require.False(t, ok)
	_, err = NewTable([]Route[string]{{Name: "a", Percent: 60}, {Name: "b", Percent: 10}})
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "which deployment gets the other 30 %", "no default takes what nobody was given")
	none, err := NewTable([]Route[string]{{Name: "a", To: "A"}})
	require.NoError(t, err)
	_, ok = none.Pick("")
	require.False(t, ok, "nobody has traffic")
	require.Len(t, none.Routes(), 1)
}

func TestMirror(t *testing.T) {
	t.Parallel()
	table, err := NewTable([]Route[int]{{Name: "a", Percent: 100}, {Name: "b", To: 1, Mirror: 20}})
	require.NoError(t, err)
	copies := 0
	for range 1000 {
		if r, ok := table.Mirror("a"); ok {
			copies++
			require.Equal(t, "b", r.Name)
		}
	}
	require.Equal(t, 200, copies)
	_, ok := table.Mirror("b")
	require.False(t, ok, "its own requests are not copied")
	without, err := NewTable([]Route[int]{{Name: "a", Percent: 100}})
	require.NoError(t, err)
	_, ok = without.Mirror("a")
	require.False(t, ok)
}

func TestTablesThatAreRefused(t *testing.T) {
	t.Parallel()
	many := make([]Route[int], 256)
	for i := range many {
		many[i].Name = fmt.Sprint(i)
	}
	for name, routes := range map[string][]Route[int]{
		"too little":  {{Name: "a", Percent: 99}},
		"too much":    {{Name: "a", Percent: 60}, {Name: "b", Percent: 60}},
		"negative":    {{Name: "a", Percent: -1}, {Name: "b", Percent: 101}},
		"twice":       {{Name: "a", Percent: 50}, {Name: "a", Percent: 50}},
		"two mirrors": {{Name: "a", Percent: 100, Mirror: 1}, {Name: "b", Mirror: 1}},
		"mirror":      {{Name: "a", Percent: 100}, {Name: "b", Mirror: 101}},
		"too many":    many,
	} {
		_, err := NewTable(routes)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
}
