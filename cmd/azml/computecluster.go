package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/scheduler"
	"github.com/azml-go/azml/workspace"
)

func (a *app) computeCreateCluster() *cobra.Command {
	var common attachFlags
	var c compute.Cluster
	var priority string
	var members []string
	var start, stop *pairs
	cmd := &cobra.Command{
		Use:   "cluster NAME --member TARGET[=NODES]...",
		Short: "Create a cluster of attached targets, which starts and stops nodes as runs need them",
		Long: `Create a cluster of attached targets. Runs that are submitted to it wait in a queue,
and a scheduler (azml scheduler) gives them nodes. A target with NODES nodes takes so many
runs at once. --start and --stop are commands that the scheduler runs, by /bin/sh on
its own machine, when a target is needed and when it is not any more; azml compute show
shows them.`,
		Example: `  azml compute create cluster pool --member box=8 --min-nodes 2
  azml compute create cluster farm --member red --member blue --start red='wakeonlan 00:11:22:33:44:55' --stop red='ssh red sudo poweroff'`,
		Args: exactly(1, "a name for the cluster"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Priority = compute.Priority(priority)
			if cmd.Flags().Changed("idle") && c.IdleBeforeScaleDown == 0 {
				c.IdleBeforeScaleDown = compute.NoIdle
			}
			var err error
			if c.Members, err = parseMembers(members, start.values, stop.values); err != nil {
				return err
			}
			common.opts.Tags = common.tags.values
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				target, err := ws.Compute().Create(cmd.Context(), args[0], c, &common.opts)
				if err != nil {
					return err
				}
				a.say("Created %s; runs get nodes while azml scheduler runs", target.Name())
				return a.show(target.Details(), func(t *table) { t.line(target.Name()) })
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&common.opts.Description, "description", "", "what it is for")
	common.tags = tagsFlag(cmd, "tag", "tag of the cluster")
	f.StringArrayVar(&members, "member", nil, "an attached target and how many nodes it is, TARGET or TARGET=NODES (repeatable)")
	start, stop = tagsFlag(cmd, "start", "command that starts a target's machine, TARGET=COMMAND"), tagsFlag(cmd, "stop", "command that stops it, TARGET=COMMAND")
	f.IntVar(&c.MinNodes, "min-nodes", 0, "nodes that are always started")
	f.IntVar(&c.MaxNodes, "max-nodes", 0, "nodes that are started at most (default: all)")
	f.DurationVar(&c.IdleBeforeScaleDown, "idle", 0, idleHelp+" (default 30m)")
	f.StringVar(&priority, "priority", "", `"dedicated", or "lowpriority" for nodes that may be taken away: their runs wait anew (default dedicated)`)
	must(cmd.MarkFlagRequired("member"))
	return cmd
}

const idleHelp = "how long a node that nothing needs stays, in whole seconds; with 0 it stops at once"

// parseMembers gives the members with the commands that start and stop them.
func parseMembers(texts []string, start, stop map[string]string) (members []compute.Member, err error) {
	for _, text := range texts {
		m, err := parseMember(text)
		if err != nil {
			return nil, err
		}
		m.Start, m.Stop = start[m.Target], stop[m.Target]
		members = append(members, m)
	}
	isMember := func(target string) bool {
		return slices.ContainsFunc(members, func(m compute.Member) bool { return m.Target == target })
	}
	for flag, commands := range map[string]map[string]string{"--start": start, "--stop": stop} {
		for _, target := range slices.Sorted(maps.Keys(commands)) {
			if !isMember(target) {
				return nil, usage("%s %s: no --member is called so: add it, or name one of the members", flag, target)
			}
		}
	}
	return members, nil
}

func parseMember(text string) (compute.Member, error) {
	name, count, given := strings.Cut(text, "=")
	if !given {
		return compute.Member{Target: name}, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 {
		return compute.Member{}, usage("--member %q: use TARGET or TARGET=NODES", text)
	}
	return compute.Member{Target: name, Nodes: n}, nil
}

// clusterStatus reads how a cluster is.
func clusterStatus(ctx context.Context, ws *workspace.Workspace, name string) (compute.ClusterStatus, error) {
	target, err := ws.Compute().Get(ctx, name, nil)
	if err != nil {
		return compute.ClusterStatus{}, err
	}
	return target.Status(ctx, nil)
}

func (a *app) computeNodes() *cobra.Command {
	return &cobra.Command{
		Use:     "nodes NAME",
		Short:   "Show a cluster's nodes, its queue and why each run waits, and the last decisions",
		Example: "  azml compute nodes pool",
		Args:    exactly(1, "the name of a cluster"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				l := lookAtCluster(cmd.Context(), ws, args[0], titles{})
				if l.err != nil {
					return l.err
				}
				return a.show(l.status, func(t *table) { clusterTable(t, l.status, l.called) })
			})
		},
	}
}

// drawCluster shows what a cluster consists of.
func drawCluster(t *table, c *compute.ClusterDetails) {
	if c == nil {
		return
	}
	t.field("Nodes", fmt.Sprintf("%d to %d, %s, idle for %s at most", c.MinNodes, c.MaxNodes, c.Priority, time.Duration(c.IdleSeconds)*time.Second))
	t.line("")
	t.row("MEMBER", "NODES", "START", "STOP")
	for _, m := range c.Members {
		t.row(m.Target, m.Nodes, m.Start, m.Stop)
	}
}

// shownEvents is how many decisions are shown.
const shownEvents = 10

// clusterTable shows a cluster's status.
func clusterTable(t *table, s compute.ClusterStatus, called titles) {
	state := fmt.Sprintf("%s, %d of %d nodes started", s.AllocationState, s.CurrentNodeCount, s.MaxNodes)
	if s.Stopped {
		state += "; stopped: runs wait until azml compute start"
	}
	t.field("State", state)
	if s.Scheduler == "" {
		t.field("Scheduler", "none yet: run azml scheduler")
	} else {
		t.field("Scheduler", fmt.Sprintf("on %s, heard %s", s.Scheduler, when(s.Heard)))
	}
	t.line("")
	t.row("NODE", "STATE", "SINCE", "RUN", "REASON")
	for _, n := range s.Nodes {
		t.row(n.NodeID, n.NodeState, when(n.Since), n.RunID, n.Reason)
	}
	if len(s.Queue) > 0 {
		t.line("")
		t.row("WAITS", "EXPERIMENT", "NODES", "PRIORITY", "FOR")
		for _, q := range s.Queue {
			t.row(q.RunID, shortened(called.of(q.Experiment)), q.NodeCount, q.Priority, q.WaitsFor)
		}
	}
	if len(s.Events) > 0 {
		t.line("")
		t.row("TIME", "DECISION", "REASON")
		for _, e := range s.Events[max(0, len(s.Events)-shownEvents):] {
			t.row(when(e.Time), e.What, e.Reason)
		}
	}
}

func (a *app) computeUpdate() *cobra.Command {
	var opts compute.UpdateOptions
	var least, most int
	var idle time.Duration
	cmd := &cobra.Command{
		Use:     "update NAME",
		Short:   "Change how a cluster scales",
		Example: "  azml compute update pool --min-nodes 0 --max-nodes 4 --idle 10m",
		Args:    exactly(1, "the name of a cluster"),
	}
	f := cmd.Flags()
	f.IntVar(&least, "min-nodes", 0, "nodes that are always started")
	f.IntVar(&most, "max-nodes", 0, "nodes that are started at most")
	f.DurationVar(&idle, "idle", 0, idleHelp)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.Changed("min-nodes") {
			opts.MinNodes = &least
		}
		if f.Changed("max-nodes") {
			opts.MaxNodes = &most
		}
		if f.Changed("idle") {
			opts.IdleBeforeScaleDown = &idle
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			target, err := ws.Compute().Update(cmd.Context(), args[0], &opts)
			if err != nil {
				return err
			}
			return a.show(target.Details(), func(t *table) { t.line(target.Name()) })
		})
	}
	return cmd
}

func (a *app) computeWait() *cobra.Command {
	var opts compute.WaitOptions
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "wait NAME",
		Short: "Wait until a cluster has a number of nodes started",
		Long: `Wait until a cluster has a number of nodes started. Its scheduler starts them, up to
the minimum, and beyond while runs wait. A node that is unusable ends the waiting.`,
		Example: "  azml compute wait pool --min-nodes 2 --within 10m",
		Args:    exactly(1, "the name of a cluster"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				target, err := ws.Compute().Get(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				ctx, stop := context.WithTimeout(cmd.Context(), within)
				defer stop()
				return target.Wait(ctx, &opts)
			})
		},
	}
	cmd.Flags().IntVar(&opts.MinNodes, "min-nodes", 0, "how many nodes must be started (default: the cluster's minimum)")
	cmd.Flags().DurationVar(&within, "within", 25*time.Minute, "give up after this time")
	return cmd
}

func (a *app) schedulerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "scheduler [CLUSTER...]",
		Short: "Give the nodes of clusters to the runs that wait, until it is stopped",
		Long: `Give the nodes of clusters, of all or of those that are named, to the runs that wait
for them, and start and stop nodes, until it is stopped. Runs go on when it is.
Several may run, on any machine: one at a time decides, and another takes its place
when it is gone.`,
		Example: "  azml scheduler",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.with(ctx, func(ws *workspace.Workspace) error {
				for _, name := range args { // before it is said that they have one
					target, err := ws.Compute().Get(ctx, name, nil)
					if err != nil {
						return err
					}
					if target.Type() != compute.TypeCluster {
						return usage("%s is a target of type %s and no cluster: runs begin there without a scheduler", name, target.Type())
					}
				}
				a.say("The clusters of %s have a scheduler here until Ctrl-C; runs go on then.", ws.Name())
				err := scheduler.Run(ctx, ws, &scheduler.Options{Clusters: args})
				if ctx.Err() != nil {
					return nil // it was stopped
				}
				return err
			})
		},
	}
}
