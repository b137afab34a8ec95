package workspace

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/model"
)

// Lineage says where a version of a model comes from and where it has gone.
type Lineage struct {
	// Model is what the model's record says.
	Model model.Details `json:"model"`
	// Aliases point to the version now.
	Aliases []string `json:"aliases,omitempty"`
	// Run made it; nil when it was registered from local files.
	Run *LineageRun `json:"run,omitempty"`
	// Snapshot is the ID of the source that the run had, empty when it had none.
	Snapshot string `json:"snapshot,omitempty"`
	// Git holds what was known of the source's repository, by the names that Azure
	// ML gives them without "azureml.git.", such as "commit".
	Git map[string]string `json:"git,omitempty"`
	// Environment is what the run's script had, as "name:version".
	Environment string `json:"environment,omitempty"`
	// EnvironmentHash identifies its content.
	EnvironmentHash string `json:"environmentHash,omitempty"`
	// Datasets are the versions of datasets that it was made with.
	Datasets []model.DatasetReference `json:"datasets,omitempty"`
	// Endpoints are those that serve it, or are made to.
	Endpoints []LineageEndpoint `json:"endpoints,omitempty"`
}

// LineageRun is the run in a Lineage.
type LineageRun struct {
	// ID is the run's ID.
	ID string `json:"id"`
	// Experiment is its experiment.
	Experiment string `json:"experiment"`
	// Status is how it is, empty when it was deleted.
	Status string `json:"status,omitempty"`
	// Parent is the run that it is a child of, empty for none.
	Parent string `json:"parent,omitempty"`
	// Ended is when it ended, zero when it has not or was deleted.
	Ended time.Time `json:"ended,omitzero"`
}

// LineageEndpoint is an endpoint in a Lineage.
type LineageEndpoint struct {
	// Name is the endpoint's name.
	Name string `json:"name"`
	// State is its state.
	State string `json:"state"`
	// Since is when it came into that state.
	Since time.Time `json:"since"`
}

// ModelLineage follows a version of a model in both directions. id is as in
// model.Client.GetByID. What was deleted since is told as far as the model's
// record knows it. It reads the model, its run, and all endpoints. Errors:
// ErrNotFound, ErrInvalid.
func (w *Workspace) ModelLineage(ctx context.Context, id string) (_ *Lineage, err error) {
	defer w.h.Operation(&ctx, &err, "follow lineage of", "model", id)()
	m, err := w.Models().GetByID(ctx, id, nil)
	if err != nil {
		return nil, err
	}
	l := &Lineage{Model: m.Details(), Datasets: m.Details().Datasets, Git: map[string]string{}}
	for key, value := range l.Model.Lineage {
		if name, isGit := strings.CutPrefix(key, "azureml.git."); isGit {
			l.Git[name] = value
		}
	}
	l.Snapshot, l.Environment, l.EnvironmentHash = l.Model.Lineage["snapshot"], l.Model.Lineage["environment"], l.Model.Lineage["environmentHash"]
	if l.Aliases, err = w.aliasesOf(ctx, m); err != nil {
		return nil, err
	}
	if l.Run, err = w.lineageRun(ctx, l.Model); err != nil {
		return nil, err
	}
	l.Endpoints, err = w.lineageEndpoints(ctx, m.ID())
	return l, err
}

func (w *Workspace) aliasesOf(ctx context.Context, m *model.Model) (aliases []string, err error) {
	registered, err := w.Models().GetRegistered(ctx, m.Name(), nil)
	if err != nil {
		return nil, err
	}
	for alias, version := range registered.Details().Aliases {
		if version == m.Version() {
			aliases = append(aliases, alias)
		}
	}
	slices.Sort(aliases)
	return aliases, nil
}

func (w *Workspace) lineageRun(ctx context.Context, d model.Details) (*LineageRun, error) {
	if d.RunID == "" {
		return nil, nil
	}
	of := &LineageRun{ID: d.RunID, Experiment: d.Experiment}
	r, err := w.Runs().Get(ctx, d.RunID, nil)
	if errors.Is(err, azml.ErrNotFound) {
		return of, nil
	}
	if err != nil {
		return nil, err
	}
	details := r.Details()
	of.Experiment, of.Status, of.Parent, of.Ended = details.Experiment, string(details.Status), details.ParentRunID, details.Ended
	return of, nil
}

func (w *Workspace) lineageEndpoints(ctx context.Context, id string) (found []LineageEndpoint, err error) {
	for e, err := range w.Endpoints().List(ctx, &endpoint.ListOptions{ModelID: id}) {
		if err != nil {
			core.Wrap(&err, "list", "endpoint", "")
			return nil, err
		}
		d := e.Details()
		found = append(found, LineageEndpoint{Name: e.Name(), State: string(d.State), Since: d.Since})
	}
	return found, nil
}
