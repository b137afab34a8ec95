package endpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// TestLogsOfSeveral: the lines of several processes come by their time, in whichever form
// that is, and who follows them goes on until the last one has ended.
func TestLogsOfSeveral(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := core.New(core.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Workspace: record.Workspace{ID: "w"}})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	logs := map[string]*history.LogWriter{}
	write := func(host, text string) {
		var err error
		if logs[host] == nil {
			logs[host], err = history.NewLogWriter(ctx, h, serviceLog.newKey(h, "svc", host))
			require.NoError(t, err)
			_, err = core.CreateQuiet(ctx, h, core.HostPrefix("svc")+host+".json", record.EndpointHost{ID: host, Owner: h.Owner(), Endpoint: "e"})
			require.NoError(t, err)
		}
		_, err = io.WriteString(logs[host], text)
		require.NoError(t, err)
		require.NoError(t, logs[host].Flush(ctx))
	}
	leave := func(host string) {
		require.NoError(t, h.Objects().Delete(ctx, core.HostPrefix("svc")+host+".json", &backend.DeleteOptions{}))
	}
	write("0a", "2026-03-01T10:00:01.000Z 1\n2026-03-01 10:00:03,000 E [7] azml - 3\nof two lines\n")
	write("0b", "2026-03-01 10:00:02,500 I [8] azml.print - 2\ntime=2026-03-01T12:00:04.000+02:00 level=INFO msg=4\n")
	all := "2026-03-01T10:00:01.000Z 1\n2026-03-01 10:00:02,500 I [8] azml.print - 2\n2026-03-01 10:00:03,000 E [7] azml - 3\nof two lines\n" +
		"time=2026-03-01T12:00:04.000+02:00 level=INFO msg=4\n"
	read := func(r io.Reader, n int) string {
		text := make([]byte, n)
		_, err := io.ReadFull(r, text)
		require.NoError(t, err)
		return string(text)
	}
	now, err := openLogs(ctx, h, "svc", serviceLog, false)
	require.NoError(t, err)
	require.Equal(t, all, read(now, len(all)))
	_, err = now.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)

	follow, err := openLogs(ctx, h, "svc", serviceLog, true)
	require.NoError(t, err)
	require.Equal(t, all, read(follow, len(all)))
	for _, host := range []string{"0a", "0c", "0b"} {
		line := "2026-03-01T10:00:05.000Z of " + host + "\n"
		write(host, line)
		require.Equal(t, line, read(follow, len(line)))
	}
	leave("0a")
	write("0b", "not yet whole")
	leave("0b")
	write("0c", "2026-03-01T10:00:06.000Z last\n")
	leave("0c")
	rest, err := io.ReadAll(follow)
	require.NoError(t, err)
	require.Equal(t, "not yet whole\n2026-03-01T10:00:06.000Z last\n", string(rest), "what has no end of a line is one when nobody writes it any more")
	require.NoError(t, errors.Join(now.Close(), follow.Close()))
}

// TestRequestsOfLogs: how often the store is asked does not grow with the lines, nor, of
// who follows, with each tenth of a second in which nothing is written.
func TestRequestsOfLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store := faulty.New(memory.NewObjects(), faulty.Plan{})
		h := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: dir, Workspace: record.Workspace{ID: "w"}})
		const hosts, lines = 10, 1000
		for n := range hosts {
			text := "2026-03-01T10:00:01.000Z ended\n"
			if n == 0 {
				text = strings.Repeat("2026-03-01T10:00:02.000Z goes on\n", lines)
			}
			_, err := h.Objects().Append(ctx, serviceLog.newKey(h, "svc", fmt.Sprintf("0%d", n)), 0, []byte(text))
			require.NoError(t, err)
		}
		_, err := core.CreateQuiet(ctx, h, core.HostPrefix("svc")+"00.json", record.EndpointHost{ID: "00", Owner: h.Owner(), Endpoint: "e"})
		require.NoError(t, err)
		for _, follow := range []bool{false, true} {
			before := store.Counts()
			log, err := openLogs(ctx, h, "svc", serviceLog, follow)
			require.NoError(t, err)
			read := bufio.NewScanner(log)
			for range hosts - 1 + lines {
				require.True(t, read.Scan(), read.Err())
			}
			require.LessOrEqual(t, store.Counts().Stat-before.Stat, 4*hosts)
			if follow {
				before, began := store.Counts(), time.Now()
				go func() {
					time.Sleep(time.Minute)
					_ = h.Objects().Delete(ctx, core.HostPrefix("svc")+"00.json", &backend.DeleteOptions{})
				}()
				require.False(t, read.Scan())
				require.Less(t, time.Since(began), time.Minute+2*followAtLeast)
				require.LessOrEqual(t, store.Counts().List-before.List, 2*40)
			}
			require.NoError(t, errors.Join(read.Err(), log.Close()))
		}
		require.NoError(t, h.Close(context.Background()))
	})
}

// TestFlushOfALog: who has something to tell does not wait for what else may be written.
func TestFlushOfALog(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := core.New(core.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Workspace: record.Workspace{ID: "w"}})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	log, err := newRotated(ctx, NewClient(h), func() string { return serviceLog.newKey(h, "svc", "0a") })
	require.NoError(t, err)
	s := newSteady(log, time.Hour, nil)
	for _, line := range []string{"one\n", "two\n"} {
		_, err = io.WriteString(s, line)
		require.NoError(t, err)
		require.NoError(t, s.Flush(ctx))
		log, err := openLogs(ctx, h, "svc", serviceLog, false)
		require.NoError(t, err)
		text, err := io.ReadAll(log)
		require.NoError(t, errors.Join(err, log.Close()))
		require.True(t, strings.HasSuffix(string(text), line))
	}
	require.NoError(t, s.Flush(ctx), "of nothing")
	require.NoError(t, s.Close(ctx))
	require.NoError(t, s.Flush(ctx), "all is there")
}

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
			if got == "{}\n" { // of another process
				n--
				continue
			}
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
