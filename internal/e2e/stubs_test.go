package e2e

import (
	"context"
	"github.com/azml-go/azml/workspace"
)

func noticeRun(ctx context.Context, ws *workspace.Workspace, e errand, ack func(string, ...any)) error { return nil }
func holdRun(ctx context.Context, ws *workspace.Workspace, e errand, ack func(string, ...any)) error { return nil }
func cancelRun(ctx context.Context, ws *workspace.Workspace, e errand) error { return nil }
func beRefused(ctx context.Context, ws *workspace.Workspace, ack func(string, ...any)) error { return nil }
