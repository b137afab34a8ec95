//go:build linux

package agent

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// lostRun is a run whose process is gone and had taken over two of five points of its
// metrics file, behind which there is a parameter. The store does not answer when it is
// asked for the object of that name first.
func lostRun(t *testing.T, object string) *salvage {
	t.Helper()
	d := member(t, memory.NewObjects(), 0, "", 0)
	d.place = nodePlace{count: 1}
	d.run = record.Run{ID: "lost", Experiment: "e", Life: "0123456789abcdef", Status: record.Running, Definition: &record.Definition{Command: []string{"/bin/sh"}}}
	_, err := core.CreateQuiet(t.Context(), d.h, history.Ref(d.run.ID).Key, d.run)
	require.NoError(t, err)
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
		if n == 1 {
			lines.WriteString(`{"param": "rate", "value": 0.1}` + "\n")
		}
	}
	require.NoError(t, os.WriteFile(d.metricsFile(), []byte(lines.String()), 0o600))
	require.NoError(t, d.metrics.Close(t.Context()))
	refuse := d.h.Objects().(*refusing)
	refuse.log, refuse.class = object, azml.ErrUnavailable
	refuse.times.Store(1)
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

// requireSaved checks that all of a lost run is stored once.
func requireSaved(t *testing.T, s *salvage) {
	t.Helper()
	require.Equal(t, []any{int64(0), int64(1), int64(2), int64(3), int64(4)}, losses(t, s))
	stored, err := history.Get(t.Context(), s.h, s.run.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"rate": "0.1"}, stored.Value.Params)
	require.Empty(t, s.warnings)
	require.NoDirExists(t, s.dir)
}

// TestSalvageTriedAgain stores nothing twice, and leaves nothing out.
func TestSalvageTriedAgain(t *testing.T) {
	t.Parallel()
	for _, object := range []string{"std_log.txt", "run.json"} {
		t.Run(object, func(t *testing.T) {
			t.Parallel()
			s := lostRun(t, object)
			require.ErrorIs(t, s.save(t.Context(), true), azml.ErrUnavailable)
			again := &salvage{drive: drive{h: s.h, run: s.run, dir: s.dir, place: s.place}}
			require.NoError(t, again.save(t.Context(), true))
			requireSaved(t, again)
		})
	}
}

// TestSalvageInterrupted leaves to the next one what it has not saved.
func TestSalvageInterrupted(t *testing.T) {
	t.Parallel()
	s := lostRun(t, "")
	ended, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, s.save(ended, true), context.Canceled)
	require.FileExists(t, filepath.Join(s.dir, marker))
	again := &salvage{drive: drive{h: s.h, run: s.run, dir: s.dir, place: s.place}}
	require.NoError(t, again.save(t.Context(), true))
	requireSaved(t, again)
}

// TestLogsOfTheSnapshot are the run's as far as the script has changed them.
func TestLogsOfTheSnapshot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ after, streamed string }{
		"longer":                {"as it came\nand more\n", "and more\n"},
		"written anew, shorter": {"new\n", "new\n"},
		"written anew, longer":  {"new text that is longer\n", "new text that is longer\n"},
		"written anew, as long": {"as it went\n", "as it went\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := member(t, memory.NewObjects(), 0, "", 0)
			d.run = record.Run{ID: "r", Life: "0123456789abcdef"}
			file := filepath.Join(d.codeDir(), "logs", "train.log")
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
			require.NoError(t, os.WriteFile(file, []byte("as it came\n"), 0o600))
			long := time.Now().Add(-time.Hour)
			require.NoError(t, os.Chtimes(file, long, long))
			require.NoError(t, d.scan())
			require.NoError(t, os.WriteFile(file, []byte(c.after), 0o600))
			for range 2 { // attempts
				ended, stop := context.WithCancel(t.Context())
				stop()
				d.followLogs(ended, d.codeDir(), "logs", d.streamed)
			}
			log, err := history.OpenLog(t.Context(), d.h, history.LogKey(d.run, "logs/train.log"), nil)
			require.NoError(t, err)
			defer log.Close()
			text, err := io.ReadAll(log)
			require.NoError(t, err)
			require.Equal(t, c.streamed, string(text))
			require.Empty(t, d.warnings)
		})
	}
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
