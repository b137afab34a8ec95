//go:build linux

package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// lostRun is a run whose process is gone and had taken over two of five lines of its
// metrics file. The store does not answer when it is first asked for the output's log.
func lostRun(t *testing.T) *salvage {
	t.Helper()
	d := member(t, memory.NewObjects(), 0, "std_log.txt", 1)
	d.h.Objects().(*refusing).class = azml.ErrUnavailable
	d.place = nodePlace{count: 1}
	d.run = record.Run{ID: "lost", Experiment: "e", Life: "0123456789abcdef", Status: record.Running, Definition: &record.Definition{Command: []string{"/bin/sh"}}}
	log, err := history.Metrics(d.h, d.run)
	require.NoError(t, err)
	d.metrics, err = log.NewWriter()
	require.NoError(t, err)
	require.NoError(t, writeMarker(d.dir, d.metrics.ID()))
	var lines strings.Builder
	for n := range 5 {
		line := fmt.Sprintf(`{"name": "loss", "value": %d}`, n)
		lines.WriteString(line + "\n")
		if n < 2 {
			require.NoError(t, d.takeLine(t.Context(), []byte(line)))
		}
	}
	require.NoError(t, os.WriteFile(d.metricsFile(), []byte(lines.String()), 0o600))
	require.NoError(t, d.metrics.Close(t.Context()))
	return &salvage{drive: drive{h: d.h, run: d.run, dir: d.dir, place: d.place}}
}

// losses gives the points of a run.
func losses(t *testing.T, s *salvage) (values []any) {
	t.Helper()
	log, err := history.Metrics(s.h, s.run)
	require.NoError(t, err)
	for p, err := range log.Read(t.Context(), nil) {
		require.NoError(t, err)
		values = append(values, p.Value)
	}
	return values
}

var allLosses = []any{int64(0), int64(1), int64(2), int64(3), int64(4)}

// TestSalvageTriedAgain stores nothing twice.
func TestSalvageTriedAgain(t *testing.T) {
	t.Parallel()
	s := lostRun(t)
	require.ErrorIs(t, s.save(t.Context(), true), azml.ErrUnavailable)
	require.Equal(t, allLosses, losses(t, s), "what could be saved is")
	again := &salvage{drive: drive{h: s.h, run: s.run, dir: s.dir, place: s.place}}
	require.NoError(t, again.save(t.Context(), true))
	require.Equal(t, allLosses, losses(t, s))
	require.Empty(t, again.warnings)
	require.NoDirExists(t, s.dir)
}

// TestSalvageInterrupted leaves to the next one what it has not saved.
func TestSalvageInterrupted(t *testing.T) {
	t.Parallel()
	s := lostRun(t)
	ended, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, s.save(ended, true), context.Canceled)
	require.FileExists(t, filepath.Join(s.dir, marker))
	again := &salvage{drive: drive{h: s.h, run: s.run, dir: s.dir, place: s.place}}
	for again.save(t.Context(), true) != nil {
		require.DirExists(t, s.dir)
	}
	require.Equal(t, allLosses, losses(t, s))
}

// TestFilesWrittenAnew are read anew, however long they are by then.
func TestFilesWrittenAnew(t *testing.T) {
	t.Parallel()
	r := &lineReader{path: filepath.Join(t.TempDir(), "metrics.jsonl")}
	var got []string
	look := func(text string) []string {
		require.NoError(t, os.WriteFile(r.path, []byte(text), 0o600))
		got = nil
		r.take(false, func(number int, text []byte) { got = append(got, fmt.Sprintf("%d %s", number, text)) })
		require.NoError(t, r.err)
		return got
	}
	require.Equal(t, []string{"1 a", "2 b"}, look("a\nb\nc"))
	require.Equal(t, []string{"3 cd"}, look("a\nb\ncd\n"), "it has grown")
	require.Equal(t, []string{"1 x"}, look("x\n"), "it is shorter")
	require.Equal(t, []string{"1 y", "2 z"}, look("y\nz\n"), "it is longer")
	require.Equal(t, []string{"3 " + strings.Repeat("w", 1000)}, look("y\nz\n"+strings.Repeat("w", 1000)+"\n"))
	require.Empty(t, look("y\nz\n"+strings.Repeat("w", 1000)+"\n"), "it is the same")
}
