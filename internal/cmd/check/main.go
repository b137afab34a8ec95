// Command check does everything that a change must pass, for people and for
// continuous integration alike:
//
//	go run ./internal/cmd/check [-short] [-must list] [-only step,...] [-list]
//
// It first finds or installs what the tests need and says what it can't have.
// Then it runs its steps one after another, each to its end, whatever the
// others gave. The whole output of each step is kept in .ci/out. It ends with
// a table, and in its last line counts the steps, with each Go test counted by
// itself. It exits with 1 when anything failed, and 2 for wrong flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/azml-go/azml/internal/testenv"
)

// settings are what the flags say.
type settings struct {
	short bool
	list  bool
	must  []string
	only  []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

// run is the command, without the process around it. It gives the exit code.
func run(ctx context.Context, args []string, out io.Writer) int {
	set, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(out, "check:", err)
		return 2
	}
	if set.list {
		listSteps(out)
		return 0
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		fmt.Fprintln(out, "check:", err)
		return 1
	}
	c := &checker{root: root, settings: set, out: out}
	return c.all(ctx)
}

func parse(args []string, out io.Writer) (settings, error) {
	var set settings
	var must, only string
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.BoolVar(&set.short, "short", false, "run the quick part only: a few minutes")
	flags.BoolVar(&set.list, "list", false, "list the steps and run none")
	flags.StringVar(&must, "must", "", "`abilities` whose lack is a failure, of: "+strings.Join(testenv.Abilities(), ","))
	flags.StringVar(&only, "only", "", "run only these `steps`")
	if err := flags.Parse(args); err != nil {
		return set, err
	}
	if flags.NArg() > 0 {
		return set, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if set.must, err = names("-must", must, testenv.Abilities()); err != nil {
		return set, err
	}
	set.only, err = names("-only", only, stepNames())
	return set, err
}

// names splits a list, all of whose parts must be known.
func names(option, list string, known []string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	parts := strings.Split(list, ",")
	for _, p := range parts {
		if !slices.Contains(known, p) {
			return nil, fmt.Errorf("%s: %q is none of %s", option, p, strings.Join(known, ","))
		}
	}
	return parts, nil
}

func listSteps(out io.Writer) {
	for _, s := range steps {
		when := "also with -short"
		if !s.short {
			when = ""
		}
		fmt.Fprintln(out, strings.TrimSpace(fmt.Sprintf("%-20s %s", s.name, when)))
	}
}
