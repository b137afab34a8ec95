package endpoint

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// TestLogsAreBounded: a log goes on in one object after the other, of which the last
// are kept, and who follows it from the beginning reads every line.
func TestLogsAreBounded(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := core.New(core.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Workspace: record.Workspace{ID: "w"}})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	c := NewClient(h)
	_, err := openLogs(ctx, h, "svc", requestLog, false)
	require.ErrorContains(t, err, "no request")
	const id = "0a0b"
	_, err = core.CreateQuiet(ctx, h, core.HostPrefix("svc")+id+".json", record.EndpointHost{ID: id, Owner: h.Owner(), Endpoint: "e"})
	require.NoError(t, err)
	log, err := newRotated(ctx, c, func() string { return requestLog.newKey(h, "svc", id) })
	require.NoError(t, err)
	line := func(n int) string { return fmt.Sprintf("%07d %s\n", n, strings.Repeat("x", 1<<20-9)) }
	write := func(n int) {
		_, err := io.WriteString(log, line(n))
		require.NoError(t, err)
		require.NoError(t, log.current.Flush(ctx))
	}
	write(0)

	reader, err := openLogs(ctx, h, "svc", requestLog, true)
	require.NoError(t, err)
	var read atomic.Int64
	ended := make(chan error, 1)
	go func() {
		lines := bufio.NewReader(reader)
		for n := 0; ; n++ {
			got, err := lines.ReadString('\n')
			if err != nil || got != line(n) {
				ended <- fmt.Errorf("line %d: %.10q: %w", n, got, err)
				return
			}
			read.Store(int64(n) + 1)
		}
	}()
	const all = 10 * 8
	for n := 1; n < all; n++ {
		write(n)
		require.Eventually(t, func() bool { return read.Load() == int64(n)+1 }, 60*time.Second, time.Millisecond, "it is followed")
	}
	held := func() (keys []string, bytes int64) {
		for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: "endpoints/svc/requests/"}) {
			require.NoError(t, err)
			keys, bytes = append(keys, info.Key), bytes+info.Size
		}
		return keys, bytes
	}
	keys, bytes := held()
	require.Len(t, keys, keepOwn)
	require.EqualValues(t, keepOwn*logBytes, bytes)
	for n := range 3 {
		_, err := h.Objects().Append(ctx, fmt.Sprintf("endpoints/svc/requests/20060102T150405.00000000%dZ-dead.jsonl", n), 0, []byte("{}\n"))
		require.NoError(t, err)
	}
	require.NoError(t, c.dropLogs(ctx, "svc"))
	keys, _ = held()
	require.Len(t, keys, keepOwn+3, "nothing is taken from who is alive")

	require.NoError(t, log.close(ctx))
	require.NoError(t, h.Objects().Delete(ctx, core.HostPrefix("svc")+id+".json", &backend.DeleteOptions{}))
	require.ErrorIs(t, <-ended, io.EOF, "it ends with its writer")
	require.NoError(t, reader.Close())
	require.EqualValues(t, all, read.Load())
	require.NoError(t, c.dropLogs(ctx, "svc"))
	keys, _ = held()
	require.Len(t, keys, keepLogs)
}
