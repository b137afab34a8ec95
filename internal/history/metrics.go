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

// Metrics opens the run's metric log.
func Metrics(h core.Handle, id string) (*metrics.Log, error) {
	spool, err := h.SpoolDir()
	if err != nil {
		return nil, err
	}
	return metrics.Open(h.Objects(), Prefix(id)+"metrics/", &metrics.Options{
		SpoolDir: filepath.Join(spool, "metrics", id), Logger: h.Logger(), Now: h.Now,
	}), nil
}

// RecoverMetrics stores what writers that died have left in spools on this
// machine, of all runs.
func RecoverMetrics(ctx context.Context, h core.Handle) error {
	spool, err := h.SpoolDir()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(spool, "metrics"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if core.RunID.Check(entry.Name()) != nil {
			continue
		}
		log, err := Metrics(h, entry.Name())
		if err != nil {
			return err
		}
		if _, err := log.Recover(ctx); err != nil {
			return err
		}
	}
	return nil
}
