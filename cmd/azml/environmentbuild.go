package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/workspace"
)

// builtFlags name an environment and where it is made.
type builtFlags struct {
	files   environmentFlags
	compute string
}

func (f *builtFlags) add(cmd *cobra.Command) {
	f.files.add(cmd)
	_ = cmd.Flags().MarkHidden("environment") // it is the argument
	cmd.Flags().StringVar(&f.compute, "compute", "", "compute target that makes it an image; without, it is a folder of this machine")
}

// spec gives the environment that the argument or the flags name.
func (f *builtFlags) spec(args []string) (environment.Spec, error) {
	if len(args) == 1 && f.files.given() {
		return environment.Spec{}, usage("name an environment or a file, not both")
	}
	if len(args) == 1 {
		name, version, _ := strings.Cut(args[0], ":")
		return environment.Reference(name, version), nil
	}
	if !f.files.given() {
		return environment.Spec{}, usage("name an environment, NAME or NAME:VERSION, or a file: --requirements FILE or --conda FILE")
	}
	return f.files.spec()
}

// images runs do with what makes images on the target, nil where none was named.
func (f *builtFlags) images(ctx context.Context, ws *workspace.Workspace, do func(images backend.Images) error) (err error) {
	if f.compute == "" {
		return do(nil)
	}
	target, err := ws.Compute().Get(ctx, f.compute, nil)
	if err != nil {
		return err
	}
	if target.Type() == compute.TypeLocal {
		return do(nil)
	}
	opened, err := compute.Open(ctx, target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	images, ok := backend.As[backend.Images](opened)
	if !ok {
		return fmt.Errorf("%w: compute target %s makes no images: its runs make the environment there", azml.ErrUnsupported, f.compute)
	}
	return do(images)
}

func (a *app) environmentBuild() *cobra.Command {
	var f builtFlags
	cmd := &cobra.Command{
		Use:   "build [NAME[:VERSION]]",
		Short: "Make an environment before a run needs it, unless it is there",
		Example: `  azml environment build sklearn:2
  azml environment build -r requirements.txt --compute docker`,
		Args: cobra.MaximumNArgs(1),
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, err := f.spec(args)
		if err != nil {
			return err
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			return f.images(cmd.Context(), ws, func(images backend.Images) error {
				b, err := ws.Environments().Build(cmd.Context(), spec, &environment.BuildOptions{Images: images, Log: a.stderr})
				if err != nil {
					return err
				}
				return a.show(b, func(t *table) { drawBuilt(t, b) })
			})
		})
	}
	return cmd
}

func drawBuilt(t *table, b environment.Built) {
	t.field(string(b.Form), b.Place)
	t.field("Hash", b.Hash)
	reused := "made now"
	if b.Reused {
		reused = "was there already"
	}
	t.field("Reused", reused)
	if b.Size > 0 {
		t.field("Size", size(b.Size))
	}
	if !b.Created.IsZero() {
		t.field("Created", when(b.Created))
		t.field("Last used", when(b.LastUsed))
	}
}

func (a *app) environmentExplain() *cobra.Command {
	var f builtFlags
	cmd := &cobra.Command{
		Use:   "explain [NAME[:VERSION]]",
		Short: "Say what of an environment is there and would be reused, and why",
		Example: `  azml environment explain sklearn:2
  azml environment explain -r requirements.txt --compute docker`,
		Args: cobra.MaximumNArgs(1),
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, err := f.spec(args)
		if err != nil {
			return err
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			return f.images(cmd.Context(), ws, func(images backend.Images) error {
				e, err := ws.Environments().Explain(cmd.Context(), spec, &environment.ExplainOptions{Images: images})
				if err != nil {
					return err
				}
				return a.show(e, func(t *table) {
					verdict := "it has to be made"
					if e.Ready {
						verdict = "it is reused"
					}
					t.field("Verdict", verdict)
					t.field("Reason", e.Reason)
					if e.Built != nil {
						drawBuilt(t, *e.Built)
					} else {
						t.field("Hash", e.Hash)
					}
				})
			})
		})
	}
	return cmd
}

func (a *app) environmentPrune() *cobra.Command {
	var f builtFlags
	var unused string
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove made environments that were not used for a while",
		Example: `  azml environment prune --unused 30d
  azml environment prune --unused 30d --compute docker`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&unused, "unused", "60d", "time for which they were not given to a run, longer than any run that goes on")
	cmd.Flags().StringVar(&f.compute, "compute", "", "compute target of which images are removed, too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		span, err := parseSpan(unused)
		if err != nil || span <= 0 {
			return usage("--unused %q: use a time span such as 24h or 30d", unused)
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			return f.images(cmd.Context(), ws, func(images backend.Images) error {
				removed, err := ws.Environments().Prune(cmd.Context(), time.Now().Add(-span), &environment.PruneOptions{Images: images})
				if err != nil {
					return err
				}
				return showList(a, removed, "Nothing was unused for so long.", func(t *table) {
					t.row("REMOVED", "PLACE", "SIZE", "LAST USED")
					for _, b := range removed {
						t.row(b.Form, b.Place, size(b.Size), ago(b.LastUsed))
					}
				})
			})
		})
	}
	return cmd
}
