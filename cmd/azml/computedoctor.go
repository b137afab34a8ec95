package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/workspace"
)

// computeHealth is what is found of a target that works.
type computeHealth struct {
	// Compute is the target's name.
	Compute string `json:"compute"`
	// Milliseconds is how long it took to connect and to start something there.
	Milliseconds int64 `json:"milliseconds"`
}

func (a *app) computeDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor NAME",
		Short: "Look whether a compute target can take runs now, and what to fix",
		Long: `Connect to a compute target and start something there that does nothing. The exit
code is 1, and the reason is said, when that does not work.`,
		Example: "  azml compute doctor box",
		Args:    exactly(1, "the name of a compute target"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				target, err := ws.Compute().Get(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				begun := time.Now()
				if err := target.Check(cmd.Context(), nil); err != nil {
					return err
				}
				h := computeHealth{target.Name(), time.Since(begun).Milliseconds()}
				return a.show(h, func(t *table) {
					t.field("Compute", h.Compute)
					t.field("Ready", time.Duration(h.Milliseconds)*time.Millisecond)
				})
			})
		},
	}
}
