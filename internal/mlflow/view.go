package mlflow

import (
	"context"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// runView gives a run as clients see it, with its latest metrics.
func (c call) runView(ctx context.Context, r record.Run, e record.Experiment) (runMessage, error) {
	last, err := c.latestMetrics(ctx, r)
	if err != nil {
		return runMessage{}, err
	}
	return c.view(ctx, r, e, last)
}

// view gives a run as clients see it, with these metrics.
func (c call) view(ctx context.Context, r record.Run, e record.Experiment, last []metric) (runMessage, error) {
	view := runMessage{Info: runInfoView(r, e), Data: runData{Metrics: last, Params: labelList(r.Params), Tags: tagsView(r)}, Outputs: outputsView(r)}
	var err error
	view.Inputs, err = c.inputsView(ctx, r)
	return view, err
}

func runInfoView(r record.Run, e record.Experiment) runInfo {
	info := runInfo{RunID: r.ID, RunUUID: r.ID, RunName: r.DisplayName, ExperimentID: r.Experiment, UserID: r.User, Status: statusView(r.Status),
		StartTime: millis(r.Started), EndTime: millis(r.Ended), ArtifactURI: artifactURI(r, e),
		LifecycleStage: lifecycle(!r.Deleted.IsZero() || !e.Archived.IsZero())}
	if info.RunName == "" {
		info.RunName = r.ID
	}
	if info.UserID == "" {
		info.UserID = r.Tags[userTag]
	}
	if info.UserID == "" {
		info.UserID = r.CreatedBy
	}
	if info.StartTime == 0 {
		info.StartTime = millis(r.Created)
	}
	return info
}

// statusView gives MLflow's status: it has one for all that comes before
// Running, and none for what is neither running nor ended.
func statusView(s record.Status) runStatus {
	switch s {
	case record.NotStarted, record.Starting, record.Provisioning, record.Preparing, record.Queued:
		return statusScheduled
	case record.Completed:
		return statusFinished
	case record.Failed:
		return statusFailed
	case record.Canceled:
		return statusKilled
	}
	return statusRunning
}

// artifactURI gives the URI of the run's artifacts.
func artifactURI(r record.Run, e record.Experiment) string {
	return artifactLocation(e) + "/" + r.ID + artifactsFolder
}

// artifactsFolder is the folder of a run's artifacts, in the one of the run.
const artifactsFolder = "/artifacts"

// tagsView gives the run's tags, and as tags what azml keeps in fields of its
// own where a client would look for tags.
func tagsView(r record.Run) []keyValue {
	extra := map[string]string{nameTag: r.DisplayName, parentTag: r.Parent, noteTag: r.Description}
	for key, value := range extra {
		if _, there := r.Tags[key]; there || value == "" {
			delete(extra, key)
		}
	}
	if r.DisplayName != "" {
		extra[nameTag] = r.DisplayName // the field is what counts
	}
	return labelList(core.ChangeLabels(r.Tags, extra, nil))
}

func outputsView(r record.Run) runOutputs {
	var out runOutputs
	for _, m := range r.ModelOutputs {
		out.ModelOutputs = append(out.ModelOutputs, modelOutput{m.ModelID, m.Step})
	}
	return out
}
