//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Start implements backend.Compute. Dir is an absolute path. The command gets
// a session of its own, and the starting process's umask and resource limits;
// its signals are at their defaults. Errors: ErrUnsupported when the job asks
// for an image or for limits.
func (d *Driver) Start(ctx context.Context, job backend.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := validID(job.ID); err != nil {
		return err
	}
	dir := filepath.Join(d.dir, folder(job.ID))
	if _, err := os.Lstat(dir); err == nil {
		return existsError(job.ID, d.dir)
	}
	s, err := newSpec(job)
	if err != nil {
		return err
	}
	s.LeftoverGrace = d.grace
	files, err := d.claim(job, dir)
	if err != nil {
		return err
	}
	defer files.close()
	if err := d.launch(ctx, job.ID, dir, s, files); err != nil {
		return errors.Join(err, d.discard(dir))
	}
	return nil
}

func existsError(id, dir string) error {
	return fmt.Errorf("%w: job %q in %s; IDs are unique for ever", azml.ErrExists, id, dir)
}

// jobFiles are the open files that the supervisor inherits.
type jobFiles struct{ record, output *os.File }

func (f jobFiles) close() {
	_ = f.record.Close()
	_ = f.output.Close()
}

// claim makes the job's folder. It is filled and locked under another name and
// then renamed, so that nobody ever sees a half of it or finds it unlocked.
func (d *Driver) claim(job backend.Job, dir string) (jobFiles, error) {
	tmp, err := d.scratch()
	if err != nil {
		return jobFiles{}, classify(err)
	}
	files, err := createFiles(tmp, job)
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err == nil {
		return files, nil
	}
	files.close()
	_ = os.RemoveAll(tmp)
	err = classify(err)
	if errors.Is(err, azml.ErrExists) {
		err = existsError(job.ID, d.dir)
	}
	return jobFiles{}, err
}

func createFiles(dir string, job backend.Job) (f jobFiles, err error) {
	const flags = os.O_CREATE | os.O_EXCL | os.O_WRONLY | os.O_APPEND
	if f.record, err = os.OpenFile(filepath.Join(dir, recordFile), flags, 0o600); err != nil {
		return f, err
	}
	if err = syscall.Flock(int(f.record.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return f, err
	}
	if f.output, err = os.OpenFile(filepath.Join(dir, outputFile), flags, 0o600); err != nil {
		return f, err
	}
	return f, record{ID: job.ID, Command: job.Command, Dir: job.Dir, Created: time.Now()}.appendTo(f.record)
}

// discard deletes a job's folder, at once as others see it.
func (d *Driver) discard(dir string) error {
	tmp, err := d.scratch()
	if err != nil {
		return classify(err)
	}
	if err := os.Rename(dir, filepath.Join(tmp, "job")); err != nil {
		return errors.Join(classify(err), os.Remove(tmp))
	}
	if err := os.RemoveAll(tmp); err != nil {
		return classify(err)
	}
	return nil
}
