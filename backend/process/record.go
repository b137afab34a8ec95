//go:build linux || darwin

package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/supervisor"
)

// The files in a job's folder.
const (
	recordFile = "job.jsonl"
	outputFile = "output"
)

// record is what job.jsonl says. Every line of the file holds some of the
// fields; together they are the record.
type record struct {
	// Written by Start, before the supervisor is there.
	ID      string    `json:"id,omitempty"`
	Command []string  `json:"command,omitempty"`
	Dir     string    `json:"dir,omitempty"`
	Created time.Time `json:"created,omitzero"`

	// Written by the supervisor when the command runs.
	supervisor.Beginning
	// Written by the supervisor when no process is left.
	supervisor.End

	// held says that the lock is held: the supervisor, or Start before it,
	// lives.
	held bool
}

// appendTo adds r's fields as one line, in one write.
func (r record) appendTo(f *os.File) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return err
}

// read gives the record of the job. A torn last line, which only a crash of
// the machine leaves, is as if it had not been written.
func (d *Driver) read(id string) (record, error) {
	if err := validID(id); err != nil {
		return record{}, err
	}
	r, err := readRecord(filepath.Join(d.dir, folder(id), recordFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && r.ID != id {
		return record{}, fmt.Errorf("%w: job %q is not in %s", azml.ErrNotFound, id, d.dir)
	}
	if err != nil {
		return record{}, classify(err)
	}
	return r, nil
}

func readRecord(path string) (record, error) {
	f, err := os.Open(path)
	if err != nil {
		return record{}, err
	}
	defer f.Close()
	// The lock is looked at first: when it is free, all is written that ever
	// will be.
	var r record
	r.held = errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
	data, err := io.ReadAll(f)
	if err != nil {
		return record{}, err
	}
	for line := range bytes.Lines(data) {
		if json.Unmarshal(line, &r) != nil {
			break
		}
	}
	return r, nil
}

// status says in the seam's words how the job is.
func (r record) status() backend.JobStatus {
	s := backend.JobStatus{ID: r.ID, Started: r.Started, Ended: r.Ended}
	switch {
	case !r.Ended.IsZero():
		s.State, s.ExitCode, s.Reason = r.outcome()
	case r.held:
		s.State = backend.JobRunning
	case len(r.orphans()) > 0:
		s.State, s.Reason = backend.JobRunning, "its supervisor was killed, its processes still run"
	case r.PID == 0:
		s.State, s.Reason = backend.JobLost, "the starting process died before the command ran"
	case r.Boot != supervisor.BootID():
		s.State, s.Reason = backend.JobLost, "the machine was started anew"
	default:
		s.State, s.Reason = backend.JobLost, "its supervisor was killed"
	}
	return s
}

// outcome says how an ended job ended.
func (r record) outcome() (backend.JobState, int, string) {
	state, reason := backend.JobExited, ""
	if r.Signal != 0 {
		state = backend.JobKilled
		reason = fmt.Sprintf("killed by signal %d (%s)", r.Signal, syscall.Signal(r.Signal))
	}
	if r.Cancelled {
		reason = "cancelled" + map[bool]string{true: ", " + reason}[reason != ""]
	}
	return state, r.ExitCode, reason
}

// orphans gives the process groups that outlived the supervisor.
func (r record) orphans() []int {
	if r.PID == 0 || !r.Ended.IsZero() || r.held || r.Boot != supervisor.BootID() {
		return nil
	}
	return supervisor.SessionGroups(r.PID, r.Birth)
}
