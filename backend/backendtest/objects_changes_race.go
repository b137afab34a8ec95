package backendtest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// history is what one writer did to one key: the states in order, empty when
// the object was not there.
type history struct {
	mu      sync.Mutex
	states  []string
	done    int // the last state whose write has returned
	growing bool
}

// begin notes the state that is about to be written.
func (h *history) begin(state string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states = append(h.states, state)
}

// end notes that the last write has returned.
func (h *history) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = len(h.states) - 1
}

func (h *history) last() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.done
}

// had tells whether the state was that of the object at some time since the
// write with the number.
func (h *history) had(state string, since int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.states[since:], state)
}

// write does one random thing to the key, of which it is the only writer.
func (h *history) write(s store, rnd *rand.Rand, key string, features ObjectsFeatures) error {
	state, n := h.states[len(h.states)-1], len(h.states)
	add := fmt.Sprintf("%d;", n)
	defer h.end()
	switch what := rnd.IntN(3); {
	case what == 0 && state != "":
		h.begin("")
		return s.Delete(s.Context(), key, &backend.DeleteOptions{})
	case what == 1 && (state == "" || h.growing || features.AppendToPut):
		h.growing = h.growing || state == ""
		h.begin(state + add)
		_, err := s.Append(s.Context(), key, int64(len(state)), []byte(add))
		return err
	}
	h.growing = false
	h.begin(add)
	_, err := s.putIf(key, add, backend.PutOptions{IfNoneMatch: state == "" && !features.Retried && n%2 == 0})
	return err
}

// checkNothingMissed follows a store that many write to. After each call, what
// the follower knows of a key must be what it was at some time since the last
// write that had returned before the call.
func checkNothingMissed(f *follower, h ObjectsHarness) {
	const writers, keysEach, writes = 4, 3, 25
	histories, view := map[string]*history{}, map[string]string{}
	name := func(writer, key int) string { return fmt.Sprintf("w/%d/%d", writer, key) }
	for i := range writers * keysEach {
		histories[name(i/keysEach, i%keysEach)] = &history{states: []string{""}}
	}
	rnd, busy := random(f), atomic.Int64{}
	busy.Store(writers)
	var wg sync.WaitGroup
	for w := range writers {
		s, rnd := f.opening(h, w), rand.New(rand.NewPCG(rnd.Uint64(), 0))
		wg.Go(func() {
			defer busy.Add(-1)
			for range writes {
				key := name(w, rnd.IntN(keysEach))
				if !noError(f, histories[key].write(s, rnd, key, h.Features)) {
					return
				}
			}
		})
	}
	defer wg.Wait()
	for last := false; !last; {
		last = busy.Load() == 0
		returned := map[string]int{}
		for key, h := range histories {
			returned[key] = h.last()
		}
		for _, key := range f.next() {
			view[key] = f.state(key)
		}
		for key, h := range histories {
			require.True(f, h.had(view[key], returned[key]), "%q is %q to who follows, not what it was after write %d or later", key, view[key], returned[key])
		}
	}
}

// opening gives the store, or for every other writer another opening of it.
func (f *follower) opening(h ObjectsHarness, writer int) store {
	f.Helper()
	if writer%2 == 0 || h.Reopen == nil {
		return f.store
	}
	reopened, err := h.Reopen()
	require.NoError(f, err)
	return store{f.TB, reopened}
}

// state reads the object, which gives "" when it is not there.
func (f *follower) state(key string) string {
	f.Helper()
	o, err := f.Get(f.Context(), key, &backend.GetOptions{})
	if errors.Is(err, azml.ErrNotFound) {
		return ""
	}
	require.NoError(f, err)
	defer o.Body.Close()
	data, err := io.ReadAll(o.Body)
	require.NoError(f, err)
	return string(data)
}
