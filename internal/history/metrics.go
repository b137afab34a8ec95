package history

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/metrics"
)

// runSpools and modelSpools are the folders, in that for spool files, with a
// folder for each run and each logged model.
const (
	runSpools   = "metrics"
	modelSpools = "model-metrics"
)

// Metrics opens the run's metric log.
func Metrics(h core.Handle, id string) (*metrics.Log, error) {
	return openMetrics(h, Prefix(id), runSpools, id)
}

// SealedKey gives the key of the record of the run's sealed metrics, which
// changes whenever some were sealed.
func SealedKey(id string) string { return Prefix(id) + "metrics/sealed.json" }

func openMetrics(h core.Handle, prefix, spools, id string) (*metrics.Log, error) {
	spool, err := h.SpoolDir()
	if err != nil {
		return nil, err
	}
	return metrics.Open(h.Objects(), prefix+"metrics/", &metrics.Options{
		SpoolDir: filepath.Join(spool, spools, id), Logger: h.Logger(), Now: h.Now, Shipped: h.Telemetry().PointsShipped,
	}), nil
}

// RecoverMetrics stores what writers that died have left in spools on this
// machine, of all runs and logged models. Damage of one keeps none of the others.
func RecoverMetrics(ctx context.Context, h core.Handle) error {
	for spools, open := range map[string]func(core.Handle, string) (*metrics.Log, error){runSpools: Metrics, modelSpools: ModelMetrics} {
		if err := recoverAll(ctx, h, spools, open); err != nil {
			return err
		}
	}
	return nil
}

func recoverAll(ctx context.Context, h core.Handle, spools string, open func(core.Handle, string) (*metrics.Log, error)) error {
	spool, err := h.SpoolDir()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(spool, spools))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if core.RunID.Check(entry.Name()) != nil {
			continue
		}
		log, err := open(h, entry.Name())
		if err != nil {
			return err
		}
		switch _, err := log.Recover(ctx); {
		case damaged(err):
			h.Logger().WarnContext(ctx, "metrics that a dead process has left can't be stored", "spool", filepath.Join(spools, entry.Name()), "error", err)
		case err != nil:
			return err
		}
	}
	return nil
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
	log, err := Metrics(h, id)
	if err != nil {
		return 0, err
	}
	done, err := log.Seal(ctx)
	if err = ignore(err, azml.ErrConflict, azml.ErrExists); err != nil {
		return 0, err // where somebody else was faster, all is done
	}
	if _, err := h.Objects().Stat(ctx, Ref(id).Key); errors.Is(err, azml.ErrNotFound) {
		return 0, deleteMetrics(ctx, h, id) // the run was deleted meanwhile
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

func deleteMetrics(ctx context.Context, h core.Handle, id string) error {
	var failed []error
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: Prefix(id) + "metrics/"}) {
		if err != nil {
			return err
		}
		failed = append(failed, ignore(h.Objects().Delete(ctx, info.Key, &backend.DeleteOptions{}), azml.ErrNotFound))
	}
	return errors.Join(failed...)
}

// SealEnded seals the metrics of all ended runs that have some unsealed, and
// deletes what sealings that were cut off before that time have left. It gives
// the number of runs. Damage of one run keeps none of the others.
func SealEnded(ctx context.Context, h core.Handle, before time.Time) (runs int, err error) {
	for id, err := range h.Children(ctx, "runs/") {
		if err != nil {
			return runs, err
		}
		points, err := seal(ctx, h, id)
		if err == nil {
			err = clearLeftovers(ctx, h, id, before)
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
	log, err := Metrics(h, id)
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

// EmptySpool stores what the spool of this machine still has of an ended run, so
// that none of it comes to a run that later gets the same ID. A recovery that
// has it in hand already is waited for, for two seconds at most.
func EmptySpool(ctx context.Context, h core.Handle, id string) error {
	log, err := Metrics(h, id)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * time.Second); ; {
		if _, err := log.Recover(ctx); err != nil {
			return err
		}
		writers, err := log.Writers(ctx)
		if err != nil {
			return err
		}
		spooled := 0
		for _, w := range writers {
			spooled += w.SpoolFiles
		}
		if spooled == 0 || time.Now().After(deadline) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
