package localfs_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
)

// churn writes without end, to keys of its own and to some that all write to.
func churn(dir, id string) error {
	s, err := localfs.New(dir, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	s.FillJournalAt(20_000)
	for n := 0; ; n++ {
		key := fmt.Sprintf("own/%s/%d", id, rand.IntN(10))
		if rand.IntN(3) == 0 {
			key = fmt.Sprintf("all/%d", rand.IntN(5))
		}
		if err := churnOne(s, key, rand.IntN(4)); err != nil {
			return err
		}
		if n == 0 {
			fmt.Println("began")
		}
	}
}

func churnOne(s *localfs.Store, key string, what int) error {
	ctx := context.Background()
	info, err := s.Stat(ctx, key)
	there := err == nil
	switch {
	case what == 0 && there:
		err = s.Delete(ctx, key, &backend.DeleteOptions{})
	case what == 1:
		_, err = s.Append(ctx, key, info.Size, []byte("x"))
	default:
		_, err = s.Put(ctx, key, strings.NewReader("xyz"), &backend.PutOptions{IfNoneMatch: !there})
	}
	switch azml.ClassOf(err) {
	case azml.ErrNotFound, azml.ErrExists, azml.ErrConflict: // another one was faster
		return nil
	}
	return err
}

// index is what who follows a store knows of it.
type index struct {
	*localfs.Store
	cursor string
	etags  map[string]backend.ETag
	lost   int
}

// update brings the index up to date, and tells how many keys were named.
func (x *index) update(t *testing.T) int {
	t.Helper()
	got := changes(t, x.Store, x.cursor)
	x.cursor = got.Cursor
	if got.Lost {
		x.lost++
		x.etags = x.listed(t)
	}
	for _, key := range got.Keys {
		info, err := x.Stat(t.Context(), key)
		if err == nil {
			x.etags[key] = info.ETag
			continue
		}
		require.ErrorIs(t, err, azml.ErrNotFound)
		delete(x.etags, key)
	}
	return len(got.Keys)
}

func (x *index) listed(t *testing.T) map[string]backend.ETag {
	t.Helper()
	etags := map[string]backend.ETag{}
	for info, err := range x.List(t.Context(), &backend.ListOptions{}) {
		require.NoError(t, err)
		etags[info.Key] = info.ETag
	}
	return etags
}

// TestKilledWriters kills processes at random moments. What they changed, also
// with a write that never returned, must be known to who follows.
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	const rounds, writers = 15, 3
	dir := t.TempDir()
	x := &index{Store: open(t, dir)}
	named := 0
	for round := range rounds {
		cmds := make([]*exec.Cmd, writers)
		for i := range cmds {
			cmds[i] = command(t, dir, "churn", i)
			cmds[i].Stderr = os.Stderr
			out, err := cmds[i].StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmds[i].Start())
			_, err = out.Read(make([]byte, 1))
			require.NoError(t, err, "a child ended by itself")
			go func() { _, _ = io.Copy(io.Discard, out) }() // until it is killed
		}
		for end := time.Now().Add(time.Duration(rand.IntN(40)) * time.Millisecond); time.Now().Before(end); {
			named += x.update(t)
		}
		for _, cmd := range cmds {
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait() // killed
		}
		named += x.update(t)
		require.True(t, maps.Equal(x.listed(t), x.etags), "round %d: %v is not %v", round, x.etags, x.listed(t))
		require.Zero(t, x.update(t), "round %d: named when nobody writes", round)
	}
	t.Logf("%d keys named, %d times lost", named, x.lost)
	require.Less(t, x.lost, rounds/3, "cursors are lost too often")
	require.Greater(t, named, 100)
}
