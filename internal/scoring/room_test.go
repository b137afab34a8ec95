package scoring

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestReadBody: bodies of all sizes at which the reading changes, in pieces of any
// size, with and without a length.
func TestReadBody(t *testing.T) {
	t.Parallel()
	const most = 4 * freeBody
	for _, size := range []int{0, 1, firstReadSize, freeBody - 1, freeBody, freeBody + 1, 2 * freeBody, most - 1, most, most + 1} {
		sent := bytes.Repeat([]byte("body"), size/4+1)[:size]
		for name, length := range map[string]int64{"with a length": int64(size), "without": -1, "cut off": int64(size) + 1} {
			share := &share{of: newRoom(most)}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
			require.NoError(t, err)
			r.Body, r.ContentLength = io.NopCloser(iotest.DataErrReader(bytes.NewReader(sent))), length
			got, err := readBody(nil, r, most, share)
			switch {
			case length > most || size > most:
				require.ErrorAs(t, err, new(*http.MaxBytesError), "%d %s", size, name)
			case length > int64(size):
				require.Error(t, err, "%d %s", size, name)
			default:
				require.NoError(t, err, "%d %s", size, name)
				require.True(t, bytes.Equal(sent, got), "%d %s", size, name)
			}
			require.LessOrEqual(t, share.held, int64(most)+1)
			share.leave()
			require.Equal(t, share.of.size, share.of.free, "all is given back")
		}
	}
}

// TestRoomForBodies: large bodies wait for room and are refused when there is none,
// small ones need none, and an answer waits with its replica until there is some.
func TestRoomForBodies(t *testing.T) {
	t.Parallel()
	large := Handler(func(_ context.Context, input json.RawMessage) (any, error) {
		var n int
		if json.Unmarshal(input, &n) != nil {
			return len(input), nil
		}
		return strings.Repeat("x", n), nil
	})
	s := serve(t, options{MaxBody: 16 << 20}, large)
	room := s.scoring.limits.Load().room
	room.wait = 50 * time.Millisecond
	require.Equal(t, 200, s.ask(t, "POST", "/score", strings.Repeat(" ", 1<<20)+`"x"`).status)
	others := [2]share{{of: room}, {of: room}}
	require.True(t, others[0].needNow(room.size), "nothing is held between requests")
	require.NoError(t, others[1].need(t.Context(), 1<<20), "one has what it needs beside that")
	for _, path := range []string{"/score", "/v2/models/model/infer"} {
		got := s.ask(t, "POST", path, strings.Repeat(" ", 1<<20)+`"x"`)
		require.Equal(t, 503, got.status, path)
		require.Equal(t, "1", got.header.Get("Retry-After"))
		require.NotContains(t, got.body, "memory", "how it is with others is not the client's business")
	}
	require.Equal(t, 200, s.ask(t, "POST", "/score", `"x"`).status, "what is small needs no room")
	answered := make(chan answer, 1)
	go func() { answered <- s.ask(t, "POST", "/score", "1000000") }()
	require.Eventually(t, func() bool { return s.deployment.Stats().Calls == 1 }, 20*time.Second, time.Millisecond)
	require.Never(t, func() bool { return s.deployment.Stats().Calls == 0 }, 50*time.Millisecond, time.Millisecond, "the replica waits with its answer")
	s.scoring.SetLimits(Limits{MaxBody: 16 << 20})
	require.Same(t, room, s.scoring.limits.Load().room, "the same limit has the same room")
	others[0].leave()
	others[1].leave()
	got := <-answered
	require.Equal(t, 200, got.status)
	require.Len(t, got.body, 1000002)
}

// TestGrowingBodies: bodies that have together more than there is room for, and which keep
// what they have while they wait for more, are all read, one after the other if need be.
func TestGrowingBodies(t *testing.T) {
	t.Parallel()
	const most, bodies = 1 << 20, 40
	synctest.Test(t, func(t *testing.T) {
		room := newRoom(most)
		room.size, room.free = 3*most, 3*most
		var all sync.WaitGroup
		for range bodies {
			all.Go(func() {
				s := &share{of: room}
				for size := int64(2 * freeBody); size <= most; size *= 2 {
					time.Sleep(time.Millisecond) // all grow at the same time
					if err := s.grow(t.Context(), size); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(time.Millisecond)
				s.leave()
			})
		}
		all.Wait()
		require.Equal(t, room.size, room.free)
		require.False(t, room.beside)
		require.Empty(t, room.waiting)
	})
}

// TestRoomIsLeft: who waits no longer holds up nobody, and nothing of what it had is lost.
func TestRoomIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		room := newRoom(leastRoom)
		holds, beside := &share{of: room}, &share{of: room}
		require.NoError(t, holds.need(t.Context(), room.size-freeBody))
		require.NoError(t, beside.need(t.Context(), 1<<20))
		ctx, cancel := context.WithCancel(t.Context())
		large, small := make(chan error, 1), make(chan error, 1)
		go func() { large <- (&share{of: room}).need(ctx, 1<<20) }()
		synctest.Wait()
		next := &share{of: room}
		require.False(t, next.needNow(freeBody+1), "others were there first")
		holds.leave()
		synctest.Wait()
		require.NoError(t, <-large)
		require.True(t, holds.needNow(room.free))
		go func() { large <- (&share{of: room}).need(ctx, 1<<20) }()
		synctest.Wait()
		go func() { small <- next.need(t.Context(), freeBody+1) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-large, context.Canceled)
		beside.leave()
		require.NoError(t, <-small)
		require.True(t, next.beside)
	})
}
