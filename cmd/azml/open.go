package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/workspace"
)

// workspaceVariable names the workspace when -w does not.
const workspaceVariable = "AZML_WORKSPACE"

// closeTime bounds the orderly end of a command.
const closeTime = time.Minute

// open opens the workspace that the command line, the environment or a
// config.json names; it never makes one.
func (a *app) open(ctx context.Context) (*workspace.Workspace, error) {
	if location := cmp.Or(a.location, os.Getenv(workspaceVariable)); location != "" {
		return a.openAt(ctx, location)
	}
	ws, err := azure.FromConfig(ctx, "", &azure.Options{Datastores: datastoreDrivers(), Computes: computeDrivers(), Logger: a.logger(), MeterProvider: a.meters})
	if missing(err) {
		return nil, fmt.Errorf("%w (-w DIR|URL or the variable %s name one)", err, workspaceVariable)
	}
	return ws, err
}

// openAt opens the workspace in a folder or at a URL.
func (a *app) openAt(ctx context.Context, location string) (*workspace.Workspace, error) {
	if azure.IsURL(location) {
		return azure.Open(ctx, location, &azure.Options{Datastores: datastoreDrivers(), Computes: computeDrivers(), Logger: a.logger(), MeterProvider: a.meters})
	}
	return workspace.Open(ctx, location, &workspace.OpenOptions{MustExist: true, Datastores: datastoreDrivers(), Computes: computeDrivers(), Logger: a.logger(), MeterProvider: a.meters})
}

// createAt creates a workspace in a folder or at a URL. An empty name leaves the
// choice to the library.
func (a *app) createAt(ctx context.Context, location, name string) (*workspace.Workspace, error) {
	if azure.IsURL(location) {
		return azure.Create(ctx, location, &azure.Options{Name: name, Datastores: datastoreDrivers(), Computes: computeDrivers(), Logger: a.logger(), MeterProvider: a.meters})
	}
	if name == "" && filepath.Base(location) == defaultDir {
		name = nameOfParent(location)
	}
	return workspace.Open(ctx, location, &workspace.OpenOptions{Name: name, Datastores: datastoreDrivers(), Computes: computeDrivers(), Logger: a.logger(), MeterProvider: a.meters})
}

// with opens the workspace for the time of fn.
func (a *app) with(ctx context.Context, fn func(ws *workspace.Workspace) error) (err error) {
	ws, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer closeAfter(ctx, ws, &err)
	return fn(ws)
}

// closeAfter closes the workspace, also after ctx has ended.
func closeAfter(ctx context.Context, ws *workspace.Workspace, err *error) {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	*err = errors.Join(*err, ws.Close(closing))
}
