package agent

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/mount"
)

// Sweep removes what runs that have ended or are not there have left on this
// machine: working folders and jobs. Their process died between writing the
// last status and clearing away.
func Sweep(ctx context.Context, h core.Handle) error {
	entries, err := os.ReadDir(WorkDir(h, ""))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if over, err := isOver(ctx, h, entry.Name()); err != nil {
			return err
		} else if !over {
			continue
		}
		dir := WorkDir(h, entry.Name())
		if err := errors.Join(mount.Detach(dir), os.RemoveAll(dir)); err != nil {
			return err
		}
	}
	return sweepJobs(ctx, h)
}

// isOver tells whether nobody needs the run's things of that name on this machine any
// more. Those of other nodes and processes have the run's ID and more behind a dot.
func isOver(ctx context.Context, h core.Handle, name string) (bool, error) {
	id, _, _ := strings.Cut(name, ".")
	run, err := history.Get(ctx, h, id)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
		return true, nil
	}
	return err == nil && run.Value.Status.Terminal(), err
}

// sweepJobs leaves jobs that still run: they are being ended.
func sweepJobs(ctx context.Context, h core.Handle) error {
	for job, err := range h.Local().List(ctx) {
		if err != nil {
			return err
		}
		over, err := isOver(ctx, h, job.ID)
		if err != nil {
			return err
		}
		if !over {
			continue
		}
		err = h.Local().Remove(ctx, job.ID)
		if err != nil && !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, azml.ErrConflict) {
			return err
		}
	}
	return nil
}
