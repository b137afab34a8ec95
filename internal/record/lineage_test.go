package record

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// history is a state with all states that it goes on from, itself among them.
type history struct {
	Meta
	states map[string]bool
}

func (h history) within(other history) bool {
	for token := range h.states {
		if !other.states[token] {
			return false
		}
	}
	return true
}

// TestRelateAgainstHistories changes a record in four workspaces, whose clocks
// differ, copies it and decides conflicts at random, and compares each two states
// with the sets of all that they go on from.
func TestRelateAgainstHistories(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	names := []string{"a", "b", "c", "d"}
	seen := map[Relation]int{}
	for range 200 {
		token := 0
		touch := func(h *history, i int) {
			token++
			now := time.Unix(int64(r.IntN(50)+i*20), 0).UTC()
			h.Touch(fmt.Sprint(token), now)
			h.states = maps.Clone(h.states)
			if h.states == nil {
				h.states = map[string]bool{}
			}
			h.states[h.Token] = true
		}
		there := map[int]history{}
		first := history{}
		touch(&first, 0)
		there[0] = first
		for range 60 {
			i, j := r.IntN(4), r.IntN(4)
			from, have := there[i]
			if !have {
				continue
			}
			if i == j {
				touch(&from, i)
				there[i] = from
				continue
			}
			to, known := there[j]
			if !known {
				from.Move(names[i], names[j])
				there[j] = from
				continue
			}
			want := Diverged
			switch {
			case from.Token == to.Token:
				want = Same
			case to.within(from):
				want = Newer
			case from.within(to):
				want = Older
			}
			got := from.Relate(names[i], &to.Meta, names[j])
			require.Equal(t, want, got)
			seen[got]++
			switch {
			case got == Newer:
				from.Move(names[i], names[j])
				there[j] = from
			case got == Diverged && r.IntN(2) == 0: // one of the two wins, and goes on from both
				winner, loser := from, to
				if r.IntN(2) == 0 {
					winner.Move(names[i], names[j])
					winner.TakeIn(&loser.Meta, names[j])
				} else {
					winner, loser = to, from
					winner.TakeIn(&loser.Meta, names[i])
				}
				winner.states = maps.Clone(winner.states)
				maps.Copy(winner.states, loser.states)
				touch(&winner, j)
				there[j] = winner
			}
			now := there[j]
			require.True(t, now.Knows(names[0]) || j == 0)
		}
	}
	for _, relation := range []Relation{Same, Newer, Older, Diverged} {
		require.Positive(t, seen[relation])
	}
}

func TestStrangers(t *testing.T) {
	t.Parallel()
	var a, b Meta
	a.Touch("1", time.Unix(1, 0))
	b.Touch("2", time.Unix(1, 0))
	for range 2 {
		require.Equal(t, Strangers, a.Relate("x", &b, "y"))
		require.Equal(t, "1", a.Birth())
		a.Touch("3", time.Unix(2, 0))
	}
	require.Equal(t, "1", a.Born)
}

// TestCopiesShareNothing: a state that goes on changes none that it was made of.
func TestCopiesShareNothing(t *testing.T) {
	t.Parallel()
	var a Meta
	a.Touch("1", time.Unix(1, 0))
	a.Move("x", "y")
	a.Touch("2", time.Unix(2, 0))
	before := maps.Clone(a.Seen)
	b := a
	b.Move("y", "z")
	b.Touch("3", time.Unix(3, 0))
	require.Equal(t, before, a.Seen)
	require.Len(t, b.Seen, 2)
	require.Empty(t, b.Origin)
}
