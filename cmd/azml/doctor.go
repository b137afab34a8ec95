package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/workspace"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look whether the workspace's stores and this machine's folders work, and what to fix",
		Long: `Look whether the workspace's stores and this machine's folders do what a workspace
needs, and say what to fix: conditions of writes, permissions, clocks, latency,
secrets, folders, and how deleted things are kept. It makes some small objects and
a secret, and deletes them. The exit code is 1 when something does not work, also
when the workspace can't be opened; warnings leave it 0.`,
		Example: `  azml doctor
  azml doctor -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := a.progress()
			p.set("examining the workspace …")
			findings, err := a.examine(cmd.Context())
			p.clear()
			if err != nil {
				return err
			}
			if err := a.show(findings, func(t *table) { drawFindings(t, findings) }); err != nil {
				return err
			}
			errs := 0
			for _, f := range findings {
				if f.Level == workspace.LevelError {
					errs++
				}
			}
			if errs > 0 {
				return fmt.Errorf("the workspace has %s", count(errs, "problem"))
			}
			return nil
		},
	}
}

// examine gives what the doctor finds. That the workspace can't be opened is a
// finding, too.
func (a *app) examine(ctx context.Context) (findings []workspace.Finding, err error) {
	opened := false
	err = a.with(ctx, func(ws *workspace.Workspace) (err error) {
		opened = true
		findings, err = ws.Doctor(ctx)
		return err
	})
	if !opened && err != nil && ctx.Err() == nil {
		return []workspace.Finding{{Check: "open", Level: workspace.LevelError, Message: err.Error()}}, nil
	}
	return findings, errors.Join(err, ctx.Err())
}

func drawFindings(t *table, findings []workspace.Finding) {
	var mend []workspace.Finding
	for _, f := range findings {
		t.row(string(f.Level), f.Check, f.Message)
		if f.Fix != "" {
			mend = append(mend, f)
		}
	}
	if len(mend) > 0 {
		t.heading("What to do")
	}
	for _, f := range mend {
		t.row("  "+f.Check, f.Fix)
	}
}
