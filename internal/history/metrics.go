package history

import (
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
