package history

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// runSpools and modelSpools are the folders, in that for spool files, with a
// folder for each run and each logged model.
const (
	runSpools   = "metrics"
	modelSpools = "model-metrics"
)

// sealing is the folder, in that for spool files, for files that are only used
// while metrics are sealed.
const sealing = "sealing"

// maxSpoolName is from which length on the ID of a run is cut in two: file
// systems take names of 255 bytes.
const maxSpoolName = 128

// moreSuffix ends the name of a folder that has the beginning of IDs only.
const moreSuffix = "+"

// spoolName gives the name of the folder of the run's spool files, "<id>.<life>".
func spoolName(run record.Run) string {
	name := run.ID + "." + run.Life
	if len(run.ID) > maxSpoolName {
		name = name[:maxSpoolName] + moreSuffix + string(filepath.Separator) + name[maxSpoolName:]
	}
	return name
}

// Spooled tells whether the run has metrics in spool files on this machine,
// which may not be in the store yet.
func Spooled(h core.Handle, run record.Run) (bool, error) {
	return spooled(h, runSpools, spoolName(run))
}

// ModelSpooled is Spooled for a logged model.
func ModelSpooled(h core.Handle, id string) (bool, error) { return spooled(h, modelSpools, id) }

func spooled(h core.Handle, spools, name string) (bool, error) {
	files, err := entries(h, spools, name)
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".spool") {
			return true, nil
		}
	}
	return false, err
}

// entries lists a folder in that for spool files; none when it is not there.
func entries(h core.Handle, folder ...string) ([]fs.DirEntry, error) {
	spool, err := h.SpoolDir()
	if err != nil {
		return nil, err
	}
	list, err := os.ReadDir(filepath.Join(spool, filepath.Join(folder...)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return list, err
}

// RecoverMetrics stores what writers that died have left in spools on this
// machine, of all runs and logged models, and deletes what they have left of
// runs that are deleted. Damage of one keeps none of the others.
func RecoverMetrics(ctx context.Context, h core.Handle) error {
	runs, err := SpooledRuns(h)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := recoverRun(ctx, h, run); err != nil {
			return err
		}
	}
	models, err := entries(h, modelSpools)
	if err != nil {
		return err
	}
	for _, model := range models {
		if core.RunID.Check(model.Name()) != nil {
			continue
		}
		log, err := ModelMetrics(h, model.Name())
		if err == nil {
			err = recoverLog(ctx, h, log, filepath.Join(modelSpools, model.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SpooledRuns gives all runs, by ID and life, that have a folder for spool files on
// this machine. Cost: the reading of one folder, and of one more for each long ID.
func SpooledRuns(h core.Handle) ([]record.Run, error) { return spooledRuns(h, "") }

// spooledRuns gives those whose IDs begin so.
func spooledRuns(h core.Handle, begin string) (runs []record.Run, err error) {
	folder := ""
	if begin != "" {
		folder = begin + moreSuffix
	}
	spools, err := entries(h, runSpools, folder)
	for _, spool := range spools {
		id, life, whole := strings.Cut(begin+spool.Name(), ".")
		switch more, cut := strings.CutSuffix(spool.Name(), moreSuffix); {
		case whole && core.RunID.Check(id) == nil:
			runs = append(runs, record.Run{ID: id, Life: life})
		case cut && begin == "":
			below, failed := spooledRuns(h, more)
			runs, err = append(runs, below...), errors.Join(err, failed)
		}
	}
	return runs, err
}

func recoverRun(ctx context.Context, h core.Handle, run record.Run) error {
	log, err := Metrics(h, run)
	if err != nil {
		return err
	}
	now, err := Get(ctx, h, run.ID)
	if err == nil {
		err = SameLife(now.Value, run.Life)
	}
	switch {
	case errors.Is(err, azml.ErrNotFound):
		return log.Discard(ctx)
	case damaged(err): // whether it is the same run is not known
		return nil
	case err != nil:
		return err
	}
	return recoverLog(ctx, h, log, filepath.Join(runSpools, spoolName(run)))
}

func recoverLog(ctx context.Context, h core.Handle, log *metrics.Log, spool string) error {
	_, err := log.Recover(ctx)
	if damaged(err) {
		h.Logger().WarnContext(ctx, "metrics that a dead process has left can't be stored", "spool", spool, "error", err)
		return nil
	}
	return err
}

// SweepSealing deletes the temporary files of sealings whose process died. Those
// in use have no name, or can't be deleted where they need one.
func SweepSealing(h core.Handle) error {
	files, err := entries(h, sealing)
	if err != nil {
		return err
	}
	spool, err := h.SpoolDir()
	for _, f := range files {
		if err == nil {
			_ = os.Remove(filepath.Join(spool, sealing, f.Name()))
		}
	}
	return err
}

// DiscardMetrics deletes what dead writers of a deleted run have left in spools
// on this machine.
func DiscardMetrics(ctx context.Context, h core.Handle, run record.Run) error {
	log, err := Metrics(h, run)
	if err != nil {
		return err
	}
	return log.Discard(ctx)
}
