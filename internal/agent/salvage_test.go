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
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
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
	d.metrics, err = d.newWriter(0)
	require.NoError(t, err)
	var lines strings.Builder
	for n := range 5 {
		line := fmt.Sprintf(`{"name": "loss", "value": %d}`, n)
		lines.WriteString(line + "\n")
		if n < 2 {
			require.NoError(t, d.takeLine(t.Context(), d.metrics, []byte(line)))
		}
		if n == 1 {
			lines.WriteString(`{"param": "rate", "value": 0.1}` + "\n")
		}
	}
	require.NoError(t, os.WriteFile(d.metricsFile(0), []byte(lines.String()), 0o600))
	require.NoError(t, d.metrics.Close(t.Context()))
	refuse, _ := backend.As[*refusing](d.h.Objects())
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
	require.FileExists(t, s.metricsFile(0)+marker)
	again := &salvage{drive: drive{h: s.h, run: s.run, dir: s.dir, place: s.place}}
	require.NoError(t, again.save(t.Context(), true))
	requireSaved(t, again)
}

// TestSalvageOutputsAndLogs stores of outputs/ what the script has made or changed, and of
// logs/ what was not streamed yet.
func TestSalvageOutputsAndLogs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ secret, streamed, left, want string }{
		"nothing streamed":         {"", "", "as it came\nand more\n", "and more\n"},
		"nothing streamed, anew":   {"", "", "new\n", "new\n"},
		"all streamed":             {"", "as it came\nand more\n", "as it came\nand more\n", "and more\n"},
		"a part streamed":          {"", "as it came\nand\n", "as it came\nand\nmore\n", "and\nmore\n"},
		"a part streamed anew":     {"", "new\n", "new\nand more\n", "new\nand more\n"},
		"written anew since":       {"", "as it came\nand more\n", "new\n", "and more\nnew\n"},
		"a part streamed, secrets": {"hush", "as it came\nhush\n", "as it came\nhush\nmore hush\n", "****\nmore ****\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lostRun(t, "")
			if c.secret != "" {
				s.run.Definition.Secrets = []string{"pass"}
				require.NoError(t, s.h.Secrets().Set(t.Context(), "pass", c.secret))
				require.NoError(t, s.readSecrets(t.Context()))
			}
			put := func(name, text string) {
				file := filepath.Join(s.codeDir(), filepath.FromSlash(name))
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
				require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			}
			put("outputs/came", "with the snapshot")
			put("logs/train.log", "as it came\n")
			require.NoError(t, s.scan())
			put("outputs/deep/model", "weights")
			if c.streamed != "" {
				put("logs/train.log", c.streamed)
				ended, stop := context.WithCancel(t.Context())
				stop()
				s.followLogs(ended, s.codeDir(), "logs", s.streamed)
			}
			put("logs/train.log", c.left)
			for range 2 { // whoever is interrupted before the end has it done again
				again := &salvage{drive{h: s.h, run: s.run, dir: s.dir, place: s.place}}
				ended, stop := context.WithCancel(t.Context())
				require.NoError(t, again.saveOutputs(ended))
				require.NoError(t, again.readSecrets(ended))
				require.NoError(t, again.saveLogs(ended))
				stop()
			}
			stored, err := history.Files(t.Context(), s.h, s.run, "")
			require.NoError(t, err)
			require.Len(t, stored.Files, 1, "what came with the snapshot is no output")
			require.Equal(t, "outputs/deep/model", stored.Files[0].Path)
			require.Equal(t, c.want, logOf(t, &s.drive, "logs/train.log"))
		})
	}
}

// TestSalvageLogsOfANode stores the last lines of what a killed node has written to logs/,
// unless other nodes have written to the log since it began there.
func TestSalvageLogsOfANode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ secret, before, streamed, others, left, want string }{
		"alone":                {"", "", "one\n", "", "one\ntwo\n", "one\ntwo\n"},
		"nothing streamed":     {"", "other\n", "", "", "one\ntwo\n", "other\none\ntwo\n"},
		"all streamed":         {"", "", "one\n", "", "one\n", "one\n"},
		"behind another":       {"", "other\n", "one\n", "", "one\ntwo\n", "other\none\ntwo\n"},
		"beside another":       {"", "", "one\n", "other\n", "one\ntwo and more\n", "one\nother\n"},
		"all of another":       {"", "", "one\n", "other\n", "one\n", "one\nother\n"},
		"written anew":         {"", "", "one\n", "", "new\n", "one\n"},
		"a secret":             {"hush", "", "one hush\n", "", "one hush\ntwo hush\n", "one ****\ntwo ****\n"},
		"a secret, and others": {"hush", "", "one hush\n", "other\n", "one hush\ntwo hush\n", "one ****\nother\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lostRun(t, "")
			s.run.Definition.Nodes, s.place.count = 2, 2
			if c.secret != "" {
				s.run.Definition.Secrets = []string{"pass"}
				require.NoError(t, s.h.Secrets().Set(t.Context(), "pass", c.secret))
				require.NoError(t, s.readSecrets(t.Context()))
			}
			appended := func(text string) {
				log, err := history.NewLogWriter(t.Context(), s.h, history.LogKey(s.run, "logs/train.log"))
				require.NoError(t, err)
				_, err = log.Write([]byte(text))
				require.NoError(t, err)
				require.NoError(t, log.Close(t.Context()))
			}
			put := func(text string) {
				file := filepath.Join(s.codeDir(), "logs", "train.log")
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
				require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			}
			require.NoError(t, s.scan())
			appended(c.before)
			if c.streamed != "" {
				put(c.streamed)
				ended, stop := context.WithCancel(t.Context())
				stop()
				s.followLogs(ended, s.codeDir(), "logs", s.streamed)
			}
			appended(c.others)
			put(c.left)
			for range 2 { // whoever is interrupted before the end has it done again
				again := &salvage{drive{h: s.h, run: s.run, dir: s.dir, place: s.place}}
				require.NoError(t, again.saveOutputs(t.Context()))
				require.NoError(t, again.readSecrets(t.Context()))
				require.NoError(t, again.saveLogs(t.Context()))
				require.Empty(t, again.warnings)
			}
			require.Equal(t, c.want, logOf(t, &s.drive, "logs/train.log"))
		})
	}
}

// logOf gives a log of a run.
func logOf(t *testing.T, d *drive, name string) string {
	t.Helper()
	log, err := history.OpenLog(t.Context(), d.h, history.LogKey(d.run, name), nil)
	require.NoError(t, err)
	defer log.Close()
	text, err := io.ReadAll(log)
	require.NoError(t, err)
	return string(text)
}

// TestSalvageBeforeTheScript stores nothing of outputs/: what is there came with the
// snapshot, and may be half of it.
func TestSalvageBeforeTheScript(t *testing.T) {
	t.Parallel()
	s := lostRun(t, "")
	file := filepath.Join(s.codeDir(), "outputs", "came")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte("with"), 0o600))
	require.NoError(t, s.save(t.Context(), true))
	requireSaved(t, s)
	stored, err := history.Files(t.Context(), s.h, s.run, "")
	require.NoError(t, err)
	require.Empty(t, stored.Files)
}

// TestSalvageOfSeveralProcesses takes over the lines of each one's metrics file, once, on
// each node.
func TestSalvageOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	store := memory.NewObjects()
	main, other := member(t, store, 0, "", 0), member(t, store, 1, "", 0)
	begin(t, 0, "exit", main, other)
	var want []any
	for _, d := range []*drive{main, other} {
		for local := range 2 {
			r, err := d.newRank(t.Context(), local)
			require.NoError(t, err)
			d.ranks = append(d.ranks, r)
			var lines string
			for n := range 3 + local {
				value := int64(100*d.number(local) + n)
				line := fmt.Sprintf(`{"name": "loss", "value": %d}`+"\n", value)
				lines += line
				want = append(want, value)
				if n < 2 {
					require.NoError(t, d.takeLine(t.Context(), r.points, []byte(line)))
				}
			}
			require.NoError(t, os.WriteFile(r.metrics.path, []byte(lines), 0o600))
		}
		for _, w := range d.writers() {
			require.NoError(t, w.Close(t.Context()))
		}
	}
	for _, d := range []*drive{main, other} {
		s := &salvage{drive{h: d.h, run: d.run, dir: d.dir, place: d.place}}
		require.NoError(t, s.save(t.Context(), true))
		require.Empty(t, s.warnings)
		require.NoDirExists(t, d.dir)
	}
	require.ElementsMatch(t, want, losses(t, &salvage{drive{h: main.h, run: main.run}}))
}

// slow takes its time to tell of objects.
type slow struct{ backend.Objects }

func (s slow) Stat(ctx context.Context, key string) (backend.Info, error) {
	if strings.HasSuffix(key, "std_log.txt") {
		time.Sleep(10 * time.Minute)
	}
	return s.Objects.Stat(ctx, key)
}

// TestSalvageIsAlive has a salvage take long: nobody takes it for lost, too.
func TestSalvageIsAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := member(t, slow{memory.NewObjects()}, 0, "", 0)
		d.run = record.Run{ID: "lost", Life: "0123456789abcdef", Definition: &record.Definition{Command: []string{"/bin/sh"}}}
		_, err := core.CreateQuiet(t.Context(), d.h, history.Ref(d.run.ID).Key, d.run)
		require.NoError(t, err)
		require.NoError(t, history.Beat(t.Context(), d.h, d.run))
		s := &salvage{drive{h: d.h, run: d.run, dir: d.dir}}
		saved := make(chan error)
		go func() { saved <- s.saveAlive(t.Context(), true) }()
		time.Sleep(9 * time.Minute)
		silence, err := history.Silence(t.Context(), d.h, d.run)
		require.NoError(t, err)
		require.Less(t, silence, history.SilentAfter)
		require.NoError(t, <-saved)
	})
}

// TestLeftByAnEarlierAgent is none of the next one's on the same machine, which begins in an
// empty folder.
func TestLeftByAnEarlierAgent(t *testing.T) {
	t.Parallel()
	s := lostRun(t, "")
	next := &drive{h: s.h, run: s.run, dir: s.dir, place: s.place}
	require.NoError(t, next.open(t.Context()))
	require.NoFileExists(t, next.metricsFile(0))
	require.FileExists(t, next.metricsFile(0)+marker)
	require.NoError(t, next.saveAll(t.Context()))
}

// TestBurialOfACanceledRunTriedAgain does not have the run wait for nodes anew.
func TestBurialOfACanceledRunTriedAgain(t *testing.T) {
	t.Parallel()
	s := lostRun(t, "std_log.txt")
	stored, err := history.Update(t.Context(), s.h, s.run.ID, core.Quiet, func(r *record.Run) error {
		r.Status, r.Owner, r.Agent = record.CancelRequested, &record.Owner{ID: "lost", Host: "here", PID: 1}, &record.Agent{Job: "a", Requeue: true, Adopted: true}
		r.History = []record.Transition{{Status: record.Running}, {Status: record.CancelRequested}}
		return nil
	})
	require.NoError(t, err)
	_, err = bury(t.Context(), s.h, stored, true, "it was lost")
	require.ErrorIs(t, err, azml.ErrUnavailable)
	stored, err = history.Get(t.Context(), s.h, s.run.ID)
	require.NoError(t, err)
	require.Equal(t, "lost", stored.Value.Owner.ID)
	stored, err = bury(t.Context(), s.h, stored, true, "it was lost")
	require.NoError(t, err)
	require.Equal(t, record.Failed, stored.Value.Status)
}

// TestLongNamesAreStreamed also where a note of each can have no such name.
func TestLongNamesAreStreamed(t *testing.T) {
	t.Parallel()
	d := member(t, memory.NewObjects(), 0, "", 0)
	d.run = record.Run{ID: "r", Life: "0123456789abcdef"}
	name := "logs/" + strings.Repeat("lr=0.1,", 30) + "/train.log"
	file := filepath.Join(d.codeDir(), filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte("said\n"), 0o600))
	ended, stop := context.WithCancel(t.Context())
	stop()
	d.followLogs(ended, d.codeDir(), "logs", fileSet{})
	require.Equal(t, "said\n", logOf(t, d, name))
	begun, noted, err := d.startOf(name)
	require.NoError(t, err)
	require.True(t, noted)
	require.Zero(t, begun)
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
			require.Equal(t, c.streamed, logOf(t, d, "logs/train.log"))
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
