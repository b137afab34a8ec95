package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/workspace"
)

func (a *app) workspaceFsck() *cobra.Command {
	var opts workspace.FsckOptions
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check every record, manifest and file of the workspace",
		Long: `Check every record, manifest and file of the workspace and list what is damaged or
missing. Nothing is changed. The exit code is 1 when there are problems.`,
		Example: "  azml workspace fsck --deep",
		Args:    noArgs,
	}
	cmd.Flags().BoolVar(&opts.Deep, "deep", false, "read every byte and compare its checksum")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			p := a.progress()
			p.set("checking …")
			opts.Progress = func(what string, done int) { p.set("checking %s: %d done", what, done) }
			report, err := ws.Fsck(cmd.Context(), &opts)
			p.clear()
			if err != nil {
				return err
			}
			if err := a.show(report, func(t *table) { drawFsck(t, report) }); err != nil {
				return err
			}
			if !report.Clean() {
				return fmt.Errorf("the workspace has %s", count(len(report.Problems), "problem"))
			}
			return nil
		})
	}
	return cmd
}

func drawFsck(t *table, r *workspace.FsckReport) {
	t.line("Checked " + strings.Join([]string{count(r.Records, "record"), count(r.Runs, "run"), count(r.Manifests, "manifest"),
		count(r.Chunks, "chunk") + " of " + size(r.Bytes)}, ", ") + ".")
	for _, part := range []struct {
		heading string
		list    []workspace.Problem
	}{{"Problems", r.Problems}, {"Notes (harmless)", r.Notes}} {
		if len(part.list) == 0 {
			continue
		}
		t.heading(part.heading)
		for _, p := range part.list {
			t.row("  "+p.Key, p.Problem)
			for _, affected := range p.Affected {
				t.row("", "  affects "+affected)
			}
		}
	}
	if r.Clean() {
		t.line("The workspace is sound.")
	}
}

func (a *app) workspaceGC() *cobra.Command {
	var opts workspace.GCOptions
	var retain string
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove file contents that nothing uses any more",
		Long: `Remove the contents of files that no run, model or endpoint uses any more, and
working folders of ended runs; make one object of the metrics of ended runs. It is safe beside other processes: what nothing
uses is condemned first, and deleted by a gc that comes a day later or more. With
--exclusive it is deleted at once; no other process may write to the workspace
then. Runs that MLflow clients have deleted, which they can restore, and tokens that
were revoked or have expired, are removed for good after --retain.`,
		Example: `  azml workspace gc --dry-run
  azml workspace gc --exclusive`,
		Args: noArgs,
	}
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "only say what would be done")
	cmd.Flags().BoolVar(&opts.Exclusive, "exclusive", false, "nobody else writes now: delete at once")
	cmd.Flags().StringVar(&retain, "retain", "30d", "for how long what MLflow clients delete can be restored, such as 12h or 90d")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if opts.Retain, err = parseSpan(retain); err != nil || opts.Retain <= 0 {
			return usage("--retain %q: use a time span such as 12h or 90d", retain)
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			p := a.progress()
			p.set("collecting …")
			r, err := ws.GC(cmd.Context(), &opts)
			p.clear()
			if err != nil {
				return err
			}
			return a.show(r, func(t *table) {
				t.field("In use", count(r.Live, "chunk")+", "+size(r.LiveBytes))
				t.field("Deleted", count(r.Deleted, "object")+", "+size(r.FreedBytes))
				t.field("Condemned", count(r.Condemned, "object")+", for a gc in a day or more")
				t.field("Repacked", count(r.Rewritten, "pack"))
				t.field("Sealed", "metrics of "+count(r.Sealed, "run"))
				t.field("Forgotten", count(r.Runs, "deleted run")+", "+count(r.Tokens, "token"))
				if r.Missing > 0 {
					t.field("Missing", count(r.Missing, "chunk")+": see azml workspace fsck")
				}
			})
		})
	}
	return cmd
}

func (a *app) workspaceReindex() *cobra.Command {
	return &cobra.Command{
		Use:   "reindex",
		Short: "Compare the search index with the workspace",
		Long: `Compare this machine's search index with everything in the workspace, and mend
what differs. Searches do so by themselves once a day, and see all changes that
were made by azml at once; this is for files that were changed by other means.`,
		Example: "  azml workspace reindex",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				p := a.progress()
				p.set("comparing …")
				err := ws.Reindex(cmd.Context())
				if p.clear(); err == nil {
					a.say("The search index is up to date.")
				}
				return err
			})
		},
	}
}

func (a *app) workspaceAudit() *cobra.Command {
	var since string
	var opts workspace.AuditOptions
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List who changed what and when",
		Example: `  azml workspace audit --since 24h --kind model
  azml workspace audit --since 2026-01-31 -o json`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&since, "since", "", "only from then on: 90m, 24h, 7d, a date, or a time in RFC 3339")
	cmd.Flags().StringVar(&opts.Kind, "kind", "", "only this kind of resource, such as model")
	cmd.Flags().StringVar(&opts.Name, "name", "", "only the resource of this name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if opts.Since, err = parseSince(since, time.Now()); err != nil {
			return err
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			list := ws.Audit(cmd.Context(), &opts)
			entries, err := collect(list, 0, func(e workspace.AuditEntry) workspace.AuditEntry { return e })
			if err != nil {
				return err
			}
			return showList(a, entries, "No entries.", func(t *table) {
				t.row("TIME", "WHO", "OP", "KIND", "NAME", "DETAIL", "FAILURE")
				for _, e := range entries {
					t.row(e.Time.Local().Format(time.DateTime), e.Who, e.Op, e.Kind, e.Name, e.Detail, e.Failure)
				}
			})
		})
	}
	return cmd
}

// parseSince reads a point in time: how long before now, or which one.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := parseSpan(text); err == nil {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return t, nil
	}
	return time.Time{}, usage("--since %q: use a time span such as 24h or 7d, a date such as 2026-01-31, or a time in RFC 3339", text)
}

// parseSpan reads a time span, which may be in days.
func parseSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		d, err := time.ParseDuration(days + "h")
		return 24 * d, err
	}
	return time.ParseDuration(text)
}
