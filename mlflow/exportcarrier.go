package mlflow

import (
	"context"
	"errors"

	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

// MLflow registers models from runs. The files of a version that no run of the
// server has are artifacts of a run that is made for them, in an experiment of
// such runs.
const (
	carrierExperiment = "azml models"
	carrierFolder     = "model"
)

// carrier gives the run with the files of a version.
func (x *exporter) carrier(ctx context.Context, title string, rec record.Model, list []files.File) (id string, err error) {
	if x.home == nil {
		there, _, err := x.findExperiment(ctx, record.Experiment{Name: carrierExperiment})
		if err != nil {
			return "", err
		}
		known, _, err := x.known(ctx, there.id)
		if err != nil {
			return "", err
		}
		x.home = &target{id: there.id, runs: known}
	}
	as := record.Run{ID: versionID(title, rec.Version), DisplayName: versionID(title, rec.Version), Experiment: carrierExperiment, Status: record.Completed,
		Started: rec.Created, Ended: rec.Created}
	as.Meta = rec.Meta
	there, ok := x.home.runs[as.ID]
	if !ok {
		if there, err = x.createRun(ctx, x.home, as); err != nil {
			return "", err
		}
	}
	below := make([]files.File, len(list))
	for i, f := range list {
		below[i] = f
		below[i].Path = carrierFolder + "/" + f.Path
	}
	if _, err := x.upload(ctx, there.place(), below); err != nil {
		return "", err
	}
	return there.id, errors.Join(x.endRun(ctx, as, there), x.sealRun(ctx, as, there))
}
