package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/metric"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/interrupt"
	"github.com/azml-go/azml/internal/terminal"
)

// app is one call of the command with what all of its parts share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	interrupts     interrupt.Signals
	args           []string

	location string // of the workspace: a folder or a URL
	output   string // table, json or yaml
	verbose  bool
	reportTo string // file for the process that started this one in the background

	meters metric.MeterProvider // nil for no metrics
}

// The exit codes other than 0.
const (
	exitError    = 1
	exitUsage    = 2
	exitUnserved = 3 // nobody is there who can serve what is deployed
	exitCanceled = agent.ExitAsked
)

// usageError is a mistake on the command line.
type usageError struct{ error }

// Unwrap gives the mistake itself.
func (e usageError) Unwrap() error { return e.error }

// unservedError says that nobody is there who can serve what is deployed, which is kept.
type unservedError struct{ error }

// Unwrap gives the reason.
func (e unservedError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode ends the command with a code and without a message: the command has
// said all there is to say.
type exitCode int

// Error gives the code in words.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// run carries out one command line and gives the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	ctx, stop := a.interrupts.Watch(ctx, a.stderr)
	defer stop()
	a.args = args
	root := a.rootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(a.stderr, "azml: interrupted")
		return exitCanceled
	}
	a.say("azml: %v", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(a.stderr, "See %q.\n", cmd.CommandPath()+" --help")
		return exitUsage
	}
	if _, ok := errors.AsType[unservedError](err); ok {
		return exitUnserved
	}
	return exitError
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "azml",
		Short: "Train, track, register and serve models in a workspace that is a folder or in Azure",
		Long: `azml works in a workspace: a folder, or a container of Azure Blob Storage, with the
history of runs, registered models, environments and endpoints. It needs no server.`,
		Example: `  azml init
  azml run submit -e churn --script train.py -- --lr 0.1
  azml run list`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: a.checkFlags,
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.location, "workspace", "w", "", "folder or URL of the workspace (default: $AZML_WORKSPACE, else what .azureml/config.json here or above names)")
	flags.StringVarP(&a.output, "output", "o", outputTable, "form of the output: table, json or yaml")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "tell on the standard error what goes on inside")
	flags.StringVar(&a.reportTo, "report-to", "", "")
	must(flags.MarkHidden("report-to"))
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp)))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.AddCommand(a.initCommand(), a.versionCommand(), a.runCommand(), a.experimentCommand(), a.modelCommand(), a.datasetCommand(),
		a.environmentCommand(), a.datastoreCommand(), a.computeCommand(), a.endpointCommand(), a.snapshotCommand(), a.secretCommand(), a.tokenCommand(), a.serverCommand(), a.schedulerCommand(), a.workspaceCommand(), a.doctorCommand(), a.importCommand(), a.exportCommand(), a.syncCommand(), a.agentCommand(), a.keeperCommand(), a.jobsCommand(), a.instanceCommand())
	refuseUnknown(root)
	return root
}

// refuseUnknown makes every group of commands below cmd refuse a word that is
// none of its commands, where cobra would print the help and succeed.
func refuseUnknown(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		refuseUnknown(sub)
	}
	if cmd.Runnable() {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		cmd.SuggestionsMinimumDistance = 2
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usage("unknown command %q: did you mean %q?", args[0], near[0])
		}
		return usage("unknown command %q", args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// checkFlags makes what is wrong with flags an error of usage.
func (a *app) checkFlags(cmd *cobra.Command, _ []string) error {
	for _, check := range []func() error{cmd.ValidateRequiredFlags, cmd.ValidateFlagGroups} {
		if err := check(); err != nil {
			return usageError{err}
		}
	}
	if !slices.Contains(outputs, a.output) {
		return usage("output %q: use table, json or yaml", a.output)
	}
	return nil
}

// logger gives the library's log, nil unless it is wanted.
func (a *app) logger() *slog.Logger {
	if !a.verbose {
		return nil
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// say tells the user something that is not the command's result.
func (a *app) say(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		fmt.Fprintln(a.stderr, terminal.Clean(line))
	}
}

// must is for errors that only a mistake in this program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// exactly wants n arguments, which what names.
func exactly(n int, what string) cobra.PositionalArgs { return between(n, n, what) }

// between wants least to most arguments, which what names; most < 0 means any
// number.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage("missing argument: give %s", what)
		case most == 0 && len(args) > 0:
			return usage("unexpected argument %q", args[0])
		case most >= 0 && len(args) > most:
			return usage("unexpected argument %q: give only %s", args[most], what)
		}
		return nil
	}
}

var noArgs = between(0, 0, "")

// unless passes errors of the class over.
func unless(err, class error) error {
	if errors.Is(err, class) {
		return nil
	}
	return err
}

// missing tells whether err says that a thing is not there.
func missing(err error) bool { return errors.Is(err, azml.ErrNotFound) }
