package main

import (
	"cmp"
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
	if location := cmp.Or(a.dir, os.Getenv(workspaceVariable)); location != "" {
		return a.openAt(ctx, location)
	}
	ws, err := workspace.FromConfig(ctx, "", &workspace.OpenOptions{MustExist: true, Logger: a.logger()})
	if missing(err) {
		return nil, fmt.Errorf("%w (-w DIR or the variable %s name one)", err, workspaceVariable)
	}
	return ws, err
}

// openAt opens the workspace in a folder.
func (a *app) openAt(ctx context.Context, location string) (*workspace.Workspace, error) {
	return workspace.Open(ctx, location, &workspace.OpenOptions{MustExist: true, Logger: a.logger()})
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

// withAt opens the workspace at a location for the time of fn.
func (a *app) withAt(ctx context.Context, location string, fn func(ws *workspace.Workspace) error) (err error) {
	ws, err := a.openAt(ctx, location)
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
