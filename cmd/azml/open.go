package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/azml-go/azml/workspace"
)

// workspaceVariable names the workspace when -w does not.
const workspaceVariable = "AZML_WORKSPACE"

// closeTime bounds the orderly end of a command.
const closeTime = time.Minute

// open opens the workspace that the command line, the environment or a
// config.json names; it never makes one.
func (a *app) open(ctx context.Context) (*workspace.Workspace, error) {
	opts := &workspace.OpenOptions{MustExist: true, Datastores: datastoreDrivers, Logger: a.logger()}
	dir := a.dir
	if dir == "" {
		dir = os.Getenv(workspaceVariable)
	}
	if dir != "" {
		return workspace.Open(ctx, dir, opts)
	}
	ws, err := workspace.FromConfig(ctx, "", opts)
	if missing(err) {
		return nil, fmt.Errorf("%w (-w DIR or the variable %s name one)", err, workspaceVariable)
	}
	return ws, err
}

// with opens the workspace for the time of fn.
func (a *app) with(ctx context.Context, fn func(ws *workspace.Workspace) error) (err error) {
	ws, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		err = errors.Join(err, ws.Close(closing))
	}()
	return fn(ws)
}
