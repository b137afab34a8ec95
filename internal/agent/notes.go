package agent

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/azml-go/azml/internal/atomicfile"
	"github.com/azml-go/azml/internal/history"
)

// Notes in the run's working folder say what only this process knows, for who saves what
// it left when it was killed. They outlive processes, not a loss of power, after which the
// files that they are about are not whole either.

// start is where a stream begins that goes into a log: from this byte of its file on, at
// this byte of the log.
type start struct{ From, At int64 }

// startFile is where the start of a process's output, or of a file, is noted. Names of files
// may be as long as a file system takes.
func (d *drive) startFile(stream string) string {
	return filepath.Join(d.dir, fmt.Sprintf("start-%x", sha256.Sum256([]byte(stream))))
}

// noteStart notes where a stream begins.
func (d *drive) noteStart(stream string, s start) error { return writeNote(d.startFile(stream), s) }

// tryNoteStart notes it if that can be done: a full disk keeps no file from being streamed.
func (d *drive) tryNoteStart(stream string, s start) {
	if err := d.noteStart(stream, s); err != nil {
		d.h.Logger().Warn("where the log of a file begins could not be noted", "run", d.run.ID, "file", stream, "error", err)
	}
}

// startOf gives where a stream begins; noted is false when nobody has said so.
func (d *drive) startOf(stream string) (s start, noted bool, err error) {
	noted, err = readNote(d.startFile(stream), &s)
	return s, noted, err
}

// noteLog notes it for a process whose log goes on from one before, whose output must be
// gone by then: who finds both after this process was killed would take it for new.
func (d *drive) noteLog(ctx context.Context, job, log string) error {
	var s start
	err := persist(ctx, d.waits, func(ctx context.Context) (err error) {
		s.At, err = history.LogSize(ctx, d.h, history.LogKey(d.run, log))
		return err
	})
	if err != nil {
		return err
	}
	return d.noteStart(job, s)
}

// forgetRankLogs removes what mpirun's processes have said in the attempt before, all of
// which is stored, and then where that began.
func (d *drive) forgetRankLogs() error {
	err := os.RemoveAll(filepath.Join(d.dir, rankDir))
	for _, log := range d.rankLogs() {
		if err == nil {
			err = os.Remove(d.startFile(log))
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return err
}

// earlier is what was in outputs/ and logs/ before the script began.
type earlier struct{ Outputs, Logs fileSet }

func (d *drive) earlierFile() string { return filepath.Join(d.dir, "earlier") }

// noteEarlier notes it. Without the note the script has not begun.
func (d *drive) noteEarlier() error {
	return writeNote(d.earlierFile(), earlier{d.before, d.streamed})
}

// readEarlier reads it, and tells whether the script has begun.
func (d *drive) readEarlier() (begun bool, err error) {
	e := earlier{fileSet{}, fileSet{}}
	begun, err = readNote(d.earlierFile(), &e)
	if begun {
		d.before, d.streamed = e.Outputs, e.Logs
	}
	return begun, err
}

func writeNote(path string, note any) error {
	text, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, text, 0o600)
}

// readNote reads a note, and tells whether there is one.
func readNote(path string, note any) (found bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, note)
	}
	if err != nil {
		return false, fmt.Errorf("read the note %s: %w", filepath.Base(path), err)
	}
	return true, nil
}
