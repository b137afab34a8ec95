//go:build linux || darwin

package process

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/supervisor"
)

// Cancel implements backend.Compute. The supervisor does the work, so it goes
// on when the context or this process ends. Of two Cancels the one whose grace
// is over first counts.
func (d *Driver) Cancel(ctx context.Context, id string, grace time.Duration) error {
	asked, warned := false, false
	deadline := time.Now().Add(grace)
	for p := (&pacer{wait: time.Millisecond}); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := d.read(id)
		if err != nil || r.status().State != backend.JobRunning {
			return err
		}
		switch orphans := r.orphans(); {
		case r.held && !asked && r.Supervisor != 0:
			if asked, err = d.ask(r, grace); err != nil {
				return err
			}
		case len(orphans) > 0 && time.Now().After(deadline):
			supervisor.Signal(orphans, syscall.SIGKILL)
		case len(orphans) > 0 && !warned:
			warned = true
			supervisor.Signal(orphans, syscall.SIGTERM, syscall.SIGCONT)
		}
		if err := p.nap(ctx); err != nil {
			return err
		}
	}
}

// ask tells the supervisor to end the job. It says false when the supervisor
// is gone meanwhile: the process is taken hold of first and the lock looked at
// after, so that no other process of the same number can be meant.
func (d *Driver) ask(r record, grace time.Duration) (bool, error) {
	process, err := os.FindProcess(r.Supervisor)
	if err != nil {
		return false, nil
	}
	defer process.Release()
	if err := writeGrace(filepath.Join(d.dir, folder(r.ID)), grace); err != nil {
		return false, classify(err)
	}
	if again, err := d.read(r.ID); err != nil || !again.held {
		return false, err
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		return false, nil
	}
	_ = process.Signal(syscall.SIGCONT)
	return true, nil
}

// writeGrace leaves the time for the supervisor, whole at every moment.
func writeGrace(dir string, grace time.Duration) error {
	f, err := os.CreateTemp(dir, supervisor.CancelFile+"-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(grace.String())
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, supervisor.CancelFile))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
