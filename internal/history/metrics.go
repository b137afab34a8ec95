package history

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

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

// ModelPrefix gives the prefix of all objects of the logged model.
func ModelPrefix(id string) string { return "logged-models/" + id + "/" }

// ModelMetrics opens the metric log of the logged model, whatever runs log to
// it.
func ModelMetrics(h core.Handle, id string) (*metrics.Log, error) {
	return openMetrics(h, ModelPrefix(id), modelSpools, id)
}

func openMetrics(h core.Handle, prefix, spools, id string) (*metrics.Log, error) {
	spool, err := h.SpoolDir()
	if err != nil {
		return nil, err
	}
	return metrics.Open(h.Objects(), prefix+"metrics/", &metrics.Options{
		SpoolDir: filepath.Join(spool, spools, id), Logger: h.Logger(), Now: h.Now,
	}), nil
}

// RecoverMetrics stores what writers that died have left in spools on this
// machine, of all runs and logged models.
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
		if _, err := log.Recover(ctx); err != nil {
			return err
		}
	}
	return nil
}
