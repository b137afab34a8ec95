package history

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// Metrics opens the run's metric log.
func Metrics(h core.Handle, run record.Run) (*metrics.Log, error) {
	return openMetrics(h, folder(run, "metrics"), filepath.Join(runSpools, spoolName(run)))
}

// SealedKey gives the key of the record of the run's sealed metrics, which
// changes whenever some were sealed.
func SealedKey(run record.Run) string { return folder(run, "metrics") + "sealed.json" }

// openMetrics opens the log with this prefix, whose spool files are in the folder
// spool, in that of the workspace.
func openMetrics(h core.Handle, prefix, spool string) (*metrics.Log, error) {
	dir, err := h.SpoolDir()
	if err != nil {
		return nil, err
	}
	return metrics.Open(h.Objects(), prefix, &metrics.Options{
		SpoolDir: filepath.Join(dir, spool), TempDir: filepath.Join(dir, sealing), Logger: h.Logger(), Now: h.Now, Shipped: h.Telemetry().PointsShipped,
	}), nil
}

// Seal seals the metrics of a run that has ended; what keeps it from that is
// logged, and the next garbage collection tries again. It does nothing for a
// run that goes on.
func Seal(ctx context.Context, h core.Handle, id string) {
	if err := sealOne(ctx, h, id); err != nil {
		h.Logger().WarnContext(ctx, "metrics of an ended run can't be sealed yet; a garbage collection will", "run", id, "error", err)
	}
}

func sealOne(ctx context.Context, h core.Handle, id string) (err error) {
	defer h.Operation(&ctx, &err, "seal metrics of", "run", id)()
	_, err = seal(ctx, h, id)
	return err
}

// SealLater does Seal as work that the workspace owns. One that is being closed
// leaves it to a garbage collection.
func SealLater(h core.Handle, id string) {
	_ = h.Go(func(ctx context.Context) { Seal(ctx, h, id) })
}

// seal gives how many points were sealed.
func seal(ctx context.Context, h core.Handle, id string) (int64, error) {
	run, err := Get(ctx, h, id)
	if err != nil || !run.Value.Status.Terminal() {
		return 0, ignore(err, azml.ErrNotFound)
	}
	log, err := Metrics(h, run.Value)
	if err != nil {
		return 0, err
	}
	done, err := log.Seal(ctx)
	if err = ignore(err, azml.ErrConflict, azml.ErrExists); err != nil {
		return 0, err // where somebody else was faster, all is done
	}
	now, err := Get(ctx, h, id)
	if err == nil {
		err = SameLife(now.Value, run.Value.Life)
	}
	if errors.Is(err, azml.ErrNotFound) {
		return 0, deleteMetrics(ctx, h, run.Value) // it was deleted meanwhile
	}
	return done.Points, nil
}

// damaged tells whether the error is about what is stored of one run, which
// trying again does not change.
func damaged(err error) bool {
	return errors.Is(err, azml.ErrDamaged) || errors.Is(err, azml.ErrUnsupported)
}

func ignore(err error, classes ...error) error {
	for _, class := range classes {
		if errors.Is(err, class) {
			return nil
		}
	}
	return err
}

func deleteMetrics(ctx context.Context, h core.Handle, run record.Run) error {
	var failed []error
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: folder(run, "metrics")}) {
		if err != nil {
			return err
		}
		failed = append(failed, ignore(h.Objects().Delete(ctx, info.Key, &backend.DeleteOptions{}), azml.ErrNotFound))
	}
	return errors.Join(failed...)
}

// SealEnded seals the metrics of all ended runs that have some unsealed, and
// deletes what sealings that were cut off before that time have left, and what
// was written by then to runs that are deleted. It gives the number of runs.
// Damage of one run keeps none of the others.
func SealEnded(ctx context.Context, h core.Handle, before time.Time) (runs int, err error) {
	for id, err := range h.Folders(ctx, Prefix) {
		if err != nil {
			return runs, err
		}
		points, err := seal(ctx, h, id)
		if err == nil {
			err = errors.Join(clearLeftovers(ctx, h, id, before), sweep(ctx, h, id, before))
		}
		switch {
		case damaged(err):
			h.Logger().WarnContext(ctx, "metrics of an ended run can't be sealed", "run", id, "error", err)
		case err != nil:
			return runs, err
		case points > 0:
			runs++
		}
	}
	return runs, nil
}

func clearLeftovers(ctx context.Context, h core.Handle, id string, before time.Time) error {
	run, err := Get(ctx, h, id)
	if err != nil {
		return ignore(err, azml.ErrNotFound)
	}
	log, err := Metrics(h, run.Value)
	if err != nil {
		return err
	}
	left, err := log.Leftovers(ctx)
	for _, info := range left {
		if err == nil && info.Modified.Before(before) {
			err = ignore(h.Objects().Delete(ctx, info.Key, &backend.DeleteOptions{IfMatch: info.ETag}), azml.ErrNotFound, azml.ErrConflict)
		}
	}
	return err
}
