package e2e

import (
	"context"
	"fmt"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/workspace"
)

// drivers are those of all targets here.
func drivers() []backend.ComputeDriver {
	return []backend.ComputeDriver{process.ComputeDriver{}, docker.Kind{}, docker.InstanceKind{}, kubernetes.Kind{}, ssh.ComputeDriver{}}
}

// submitAndStay submits the folder's script to the target and stays.
func submitAndStay(ctx context.Context, e errand) error {
	opts := e.Place.options()
	opts.Computes, opts.Program = drivers(), e.Program
	ws, err := workspace.Open(ctx, e.Place.Dir, opts)
	if err != nil {
		return err
	}
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "targets", nil)
	if err != nil {
		return err
	}
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{Source: e.Dir, Command: []string{"/bin/sh", "run.sh"}, Compute: e.Compute,
		Variables: map[string]string{"PLACE": e.Shared}}, &experiment.SubmitOptions{Detach: e.Detach})
	if err != nil {
		return err
	}
	fmt.Println(r.ID())
	return r.Wait(ctx, nil)
}
