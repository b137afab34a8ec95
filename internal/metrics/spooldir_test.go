package metrics

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
)

// TestSpoolFolderGoes says when the folder is deleted: with what is last in it.
func TestSpoolFolderGoes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(t *testing.T, l *Log)
		gone bool
	}{
		"the only writer closes": {func(t *testing.T, l *Log) { logAndClose(t, l) }, true},
		"another writer is open": {func(t *testing.T, l *Log) {
			newWriter(t, l)
			logAndClose(t, l)
		}, false},
		"the last of two closes": {func(t *testing.T, l *Log) {
			w := newWriter(t, l)
			logAndClose(t, l)
			require.NoError(t, w.Close(t.Context()))
		}, true},
		"a writer after it was deleted": {func(t *testing.T, l *Log) {
			logAndClose(t, l)
			require.NoError(t, newWriter(t, l).Log("x", 1, 1, testTime))
		}, false},
		"a dead writer is recovered": {func(t *testing.T, l *Log) {
			die(t, l)
			_, err := l.Recover(t.Context())
			require.NoError(t, err)
		}, true},
		"a dead writer is discarded": {func(t *testing.T, l *Log) {
			die(t, l)
			require.NoError(t, l.Discard(t.Context()))
			require.Empty(t, readAll(t, l))
		}, true},
		"a writer that lives is not discarded": {func(t *testing.T, l *Log) {
			w := newWriter(t, l)
			require.NoError(t, w.Log("x", 1, 1, testTime))
			require.NoError(t, l.Discard(t.Context()))
			require.Len(t, readAll(t, l), 1)
		}, false},
		"a dead writer is not recovered": {func(t *testing.T, l *Log) {
			die(t, l)
			logAndClose(t, l)
		}, false},
		"a folder was left empty": {func(t *testing.T, l *Log) {
			require.NoError(t, os.MkdirAll(string(l.spool), 0o700))
			_, err := l.Recover(t.Context())
			require.NoError(t, err)
		}, true},
		"a file of somebody else": {func(t *testing.T, l *Log) {
			require.NoError(t, os.MkdirAll(string(l.spool), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(string(l.spool), "kept.damaged"), nil, 0o600))
			logAndClose(t, l)
		}, false},
		"closing fails": {func(t *testing.T, l *Log) {
			w := newWriter(t, l)
			require.NoError(t, w.Log("x", 1, 1, testTime))
			canceled, cancel := context.WithCancel(t.Context())
			cancel()
			require.Error(t, w.Close(canceled))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openLog(t, memory.NewObjects(), filepath.Join(t.TempDir(), "spool"), smallLimits)
			tt.do(t, l)
			if tt.gone {
				require.NoDirExists(t, string(l.spool))
			} else {
				require.DirExists(t, string(l.spool))
			}
		})
	}
}

// TestSpoolFolderIsALink says that a link to the spool folder stays, whatever
// is behind it.
func TestSpoolFolderIsALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
	if err := os.Symlink("real", link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	l := openLog(t, memory.NewObjects(), link, smallLimits)
	logAndClose(t, l)
	_, err := os.Readlink(link)
	require.NoError(t, err)
}

// TestSpoolFolderComesAndGoes has writers of one run come and go, so that each
// deletes the folder under the feet of those that are about to log, while
// others look at it.
func TestSpoolFolderComesAndGoes(t *testing.T) {
	t.Parallel()
	objects, dir := memory.NewObjects(), filepath.Join(t.TempDir(), "metrics", "run")
	const writers, rounds = 8, 150
	var logging, looking sync.WaitGroup
	done := make(chan struct{})
	for range writers {
		logging.Go(func() {
			l := openLog(t, objects, dir, smallLimits)
			for i := range rounds {
				if err := logOne(l, int64(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, look := range []func(*Log) error{
		func(l *Log) error { _, err := l.Recover(context.Background()); return err },
		func(l *Log) error { _, err := l.Writers(context.Background()); return err },
		func(l *Log) error { _, err := l.Verify(context.Background(), nil); return err },
	} {
		looking.Go(func() {
			l := openLog(t, objects, dir, smallLimits)
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := look(l); err != nil {
					t.Error(err)
				}
			}
		})
	}
	logging.Wait()
	close(done)
	looking.Wait()
	l := openLog(t, objects, dir, smallLimits)
	require.Len(t, readAll(t, l), writers*rounds)
	_, err := l.Recover(t.Context())
	require.NoError(t, err)
	require.NoDirExists(t, dir)
}

func TestSpoolFolderCannotBeMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	spools := []string{"file", "file/below"}
	if os.Symlink("nowhere", filepath.Join(dir, "dangling")) == nil { // not everywhere
		spools = append(spools, "dangling")
	}
	for _, spool := range spools {
		_, err := openLog(t, memory.NewObjects(), filepath.Join(dir, spool), smallLimits).NewWriter()
		require.ErrorIs(t, err, azml.ErrUnavailable, spool)
	}
}

func logOne(l *Log, step int64) error {
	w, err := l.NewWriter()
	if err != nil {
		return err
	}
	if err := w.Log("x", 1, step, testTime); err != nil {
		return err
	}
	return w.Close(context.Background())
}

func logAndClose(t *testing.T, l *Log) {
	t.Helper()
	require.NoError(t, logOne(l, 1))
}

// die logs a point and leaves the spool as the death of the process does.
func die(t *testing.T, l *Log) {
	t.Helper()
	w, err := l.NewWriter()
	require.NoError(t, err)
	require.NoError(t, w.Log("x", 1, 1, testTime))
	require.NoError(t, w.stop())
	w.lock.release()
}
