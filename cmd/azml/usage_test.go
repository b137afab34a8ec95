package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// submitted is a submit of a command with more flags.
func submitted(flags ...string) []string {
	return slices.Concat([]string{"run", "submit", "-e", "exp"}, flags, []string{"--command", "--", "true"})
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"unknown command":         {[]string{"runs"}, `did you mean "run"`},
		"unknown subcommand":      {[]string{"run", "lst"}, `did you mean "list"`},
		"unlike any":              {[]string{"model", "frobnicate"}, `unknown command "frobnicate"`},
		"unknown flag":            {[]string{"run", "list", "--nope"}, "unknown flag: --nope"},
		"output":                  {[]string{"run", "list", "-o", "xml"}, "table, json or yaml"},
		"no ID":                   {[]string{"run", "show"}, "the ID of a run"},
		"two IDs":                 {[]string{"run", "show", "a", "b"}, `unexpected argument "b"`},
		"status":                  {[]string{"run", "list", "--status", "Done"}, "Completed"},
		"last":                    {[]string{"run", "list", "--last", "0"}, "--all"},
		"last and all":            {[]string{"run", "list", "--last", "3", "--all"}, "none of the others can be"},
		"no experiment":           {[]string{"run", "submit", "train.py"}, "-e NAME"},
		"nothing to run":          {[]string{"run", "submit", "-e", "exp"}, "name what to run"},
		"two scripts":             {[]string{"run", "submit", "-e", "exp", "--script", "a.py", "b.py"}, `"b.py"`},
		"arguments without --":    {[]string{"run", "submit", "-e", "exp", "a.py", "b"}, "follow --"},
		"empty command":           {[]string{"run", "submit", "-e", "exp", "--command"}, `after "--"`},
		"command and script":      {[]string{"run", "submit", "-e", "exp", "--command", "--script", "a.py", "--", "x"}, "either"},
		"two environments":        {[]string{"run", "submit", "-e", "exp", "a.py", "-r", "a", "--conda", "b"}, "none of the others can be"},
		"variable without name":   {[]string{"run", "submit", "-e", "exp", "a.py", "--env", "=1"}, "KEY=VALUE"},
		"variable that isn't set": {[]string{"run", "submit", "-e", "exp", "a.py", "--env", "AZML_NOT_SET_HERE"}, "is not set"},
		"command of no member":    {[]string{"compute", "create", "cluster", "pool", "--member", "red", "--start", "blue=true"}, "--start blue: no --member is called so"},
		"stop of no member":       {[]string{"compute", "create", "cluster", "pool", "--member", "red=2", "--stop", "red=true", "--stop", "rd=true"}, "--stop rd: no --member is called so"},
		"negative servers":        {submitted("--framework", "tensorflow", "--parameter-servers", "-1"), "--parameter-servers -1: give how many"},
		"negative nodes":          {submitted("--framework", "pytorch", "--nodes", "-1"), "--nodes -1: give how many"},
		"negative processes":      {submitted("--framework", "mpi", "--processes", "-1"), "--processes -1: give how many"},
		"servers of pytorch":      {submitted("--framework", "pytorch", "--parameter-servers", "1"), "is for --framework tensorflow"},
		"backend of mpi":          {submitted("--framework", "mpi", "--backend", "gloo"), "is for --framework pytorch"},
		"nothing to tag":          {[]string{"run", "tag", "x"}, "KEY=VALUE"},
		"metrics format":          {[]string{"run", "metrics", "x", "--format", "xml"}, "table, json or csv"},
		"model without name":      {[]string{"model", "register", "--path", "x"}, "--name"},
		"model of nothing":        {[]string{"model", "register", "--name", "x"}, "--path"},
		"run without path":        {[]string{"model", "register", "--name", "x", "--run", "y"}, "--asset-path"},
		"alias of all versions":   {[]string{"model", "alias", "set", "churn", "x"}, "NAME:VERSION"},
		"alias without a model":   {[]string{"model", "alias", "delete", "x"}, "NAME@ALIAS"},
		"all versions":            {[]string{"model", "delete", "churn"}, "NAME:VERSION"},
		"environment of nothing":  {[]string{"environment", "register", "--name", "x"}, "--requirements"},
		"no scoring script":       {[]string{"endpoint", "deploy", "churn"}, "--entry-script"},
		"memory of a script":      {[]string{"endpoint", "deploy", "churn", "--entry-script", "score.py", "--max-memory", "much"}, "512m"},
		"traffic":                 {[]string{"endpoint", "traffic", "churn", "blue"}, "DEPLOYMENT=PERCENT"},
		"key":                     {[]string{"endpoint", "keys", "churn", "--regenerate", "third"}, "primary or secondary"},
		"shown key":               {[]string{"endpoint", "keys", "churn", "--show=third"}, "both, primary or secondary"},
		"secret on command line":  {[]string{"secret", "set", "a", "value"}, "standard input"},
		"no change":               {[]string{"workspace", "update"}, "say what to change"},
		"delete without yes":      {[]string{"workspace", "delete"}, "--yes"},
		"since":                   {[]string{"workspace", "audit", "--since", "yesterday"}, "RFC 3339"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, s.fails(t, exitUsage, tt.args...), tt.want)
		})
	}
}

func TestSchedulerOfNoCluster(t *testing.T) {
	t.Parallel()
	said := setup(t).fails(t, exitUsage, "scheduler", "local")
	require.Contains(t, said, "local is a target of type Local and no cluster")
	require.NotContains(t, said, "have a scheduler here")
}

func TestErrorsOfOneLine(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"run":         {[]string{"run", "show", "nope"}, `get run "nope": not found`},
		"model":       {[]string{"model", "show", "nope:3"}, "not found"},
		"model ID":    {[]string{"model", "show", "nope:x"}, "invalid"},
		"environment": {[]string{"environment", "show", "nope"}, "not found"},
		"compute":     {[]string{"compute", "show", "nope"}, `get compute target "nope": not found: azml compute list shows`},
		"update":      {[]string{"compute", "update", "nope", "--min-nodes", "1"}, `update compute target "nope": not found: azml compute list shows`},
		"detach":      {[]string{"compute", "detach", "nope"}, `not found: azml compute list shows`},
		"target":      {submitted("--compute", "nope"), `get compute target "nope": not found: azml compute list shows`},
		"endpoint":    {[]string{"endpoint", "show", "nope"}, "not found"},
		"experiment":  {[]string{"experiment", "show", "nope"}, "not found"},
		"secret":      {[]string{"secret", "get", "nope"}, "not found"},
		"script":      {[]string{"run", "submit", "-e", "fresh", "nope.py"}, `script "nope.py"`},
		"folder":      {[]string{"snapshot", "plan", "/nope/nope"}, "not found"},
		"runconfig":   {[]string{"run", "submit", "-e", "fresh", "-s", t.TempDir(), "-c", "nope"}, "nope"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := s.fails(t, exitError, tt.args...)
			require.Contains(t, text, tt.want)
			require.Equal(t, 1, strings.Count(text, "\n"), text)
		})
	}
}

func TestFailedSubmitLeavesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.fails(t, exitError, "run", "submit", "-e", "fresh", "-s", t.TempDir(), "nope.py")
	require.Equal(t, "[]", s.ok(t, "experiment", "list", "--all", "-o", "json"))
	require.Equal(t, "[]", s.ok(t, "run", "list", "-o", "json"))
}

func TestWorkspaceIsNeverMadeByMistake(t *testing.T) {
	t.Parallel()
	s := &shell{filepath.Join(t.TempDir(), "typo")}
	require.Contains(t, s.fails(t, exitError, "run", "list"), "azml init")
	require.NoDirExists(t, s.dir)
}

// Not parallel: it changes the folder and the environment of the process.
func TestFindingTheWorkspace(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	got := call(t, "", "run", "list")
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.stderr, "azml init")
	require.Contains(t, got.stderr, workspaceVariable)

	got = call(t, "", "init", "-o", "json")
	require.Zero(t, got.code, got.stderr)
	require.FileExists(t, filepath.Join(dir, ".azureml", "config.json"))
	first := call(t, "", "workspace", "show", "-o", "json").stdout
	require.Equal(t, first, got.stdout)
	require.Equal(t, first, call(t, "", "init", "-o", "json").stdout, "a second init leaves it as it is")

	below := filepath.Join(dir, "a", "b")
	require.NoError(t, os.MkdirAll(below, 0o700))
	t.Chdir(below)
	require.Equal(t, first, call(t, "", "workspace", "show", "-o", "json").stdout)

	other := setup(t)
	t.Setenv(workspaceVariable, other.dir)
	require.Equal(t, other.ok(t, "workspace", "show"), strings.TrimSpace(call(t, "", "workspace", "show").stdout))
	require.Equal(t, first, call(t, "", "-w", filepath.Join(dir, ".azml"), "workspace", "show", "-o", "json").stdout)
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	t.Parallel()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() != "help" && cmd.Name() != "completion" {
			require.NotEmpty(t, cmd.Short, cmd.CommandPath())
			require.Contains(t, cmd.Example, cmd.Root().Name()+" ", cmd.CommandPath())
		}
		for _, global := range []string{"workspace", "output", "verbose", "report-to"} {
			require.Nil(t, cmd.LocalNonPersistentFlags().Lookup(global), "%s takes the flag --%s of all commands away", cmd.CommandPath(), global)
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).rootCommand())
	got := call(t, "", "run", "submit", "--help")
	require.Zero(t, got.code)
	require.Contains(t, got.stdout, "Examples:")
	require.NotContains(t, got.stdout, "report-to")
	require.Zero(t, call(t, "", "model").code, "a group alone prints its help")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	var v version
	(&shell{}).json(t, &v, "version")
	require.NotEmpty(t, v.Version)
	require.Contains(t, v.Platform, "/")
}

func TestVerboseLogsToStandardError(t *testing.T) {
	t.Parallel()
	a := &app{stderr: &strings.Builder{}}
	require.Nil(t, a.logger())
	a.verbose = true
	a.logger().Debug("something happened")
	require.Contains(t, a.stderr.(*strings.Builder).String(), "something happened")
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.ok(t, "model", "register", "--name", "churn", "--path", write(t, t.TempDir(), "m", "x"))
	require.Contains(t, s.ok(t, "__complete", "model", "show", "ch"), "churn:1")
	require.NotContains(t, s.ok(t, "__complete", "model", "show", "x"), "churn:1")
	require.Contains(t, s.ok(t, "__complete", "run", "list", "--status", "Can"), "Canceled")
	require.Contains(t, s.ok(t, "completion", "bash"), "azml")
}
