package backendtest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func checkComputeCheck(t TB, h ComputeHarness) {
	require.NoError(t, h.Compute.Check(t.Context()))
	require.Empty(t, collect(t, h.Compute.List(t.Context())))
}

func checkStartMissing(t TB, h ComputeHarness) {
	c := target{t, h}
	good := c.shell("a", "true")
	cases := map[string]func(j *backend.Job){
		"no command":         func(j *backend.Job) { j.Command = nil },
		"no such path":       func(j *backend.Job) { j.Command = []string{"/no/such/program"} },
		"no such name":       func(j *backend.Job) { j.Command = []string{"no-such-program-anywhere"} },
		"folder as program":  func(j *backend.Job) { j.Command = []string{"/bin"} },
		"no such folder":     func(j *backend.Job) { j.Dir = h.Dir + "/missing" },
		"name with no PATH":  func(j *backend.Job) { j.Command, j.Env = []string{"true"}, nil },
		"not executable":     func(j *backend.Job) { j.Command = []string{"/etc/passwd"} },
		"name outside PATH":  func(j *backend.Job) { j.Command, j.Env = []string{"true"}, map[string]string{"PATH": h.Dir} },
		"folder is a file":   func(j *backend.Job) { j.Dir = "/etc/passwd" },
		"empty program name": func(j *backend.Job) { j.Command = []string{""} },
	}
	for name, spoil := range cases {
		job := good
		spoil(&job)
		require.ErrorIs(t, h.Compute.Start(t.Context(), job), azml.ErrInvalid, name)
		_, err := h.Compute.Status(t.Context(), "a")
		require.ErrorIs(t, err, azml.ErrNotFound, "%s: something was left", name)
	}
	require.Empty(t, collect(t, h.Compute.List(t.Context())))
	require.NoError(t, h.Compute.Start(t.Context(), good), "the ID is still free")
	c.wait("a")
}

func checkStartIDs(t TB, h ComputeHarness) {
	c := target{t, h}
	long := strings.Repeat("x", 255)
	for _, id := range []string{"a", "A.b-c_9", "-", "_", "9", "a..b", long + "1", long + "2", long} {
		require.Equal(t, "hi\n", c.run(id, "echo hi"), id)
		_, err := h.Compute.Status(t.Context(), id+"0")
		if len(id) < 256 {
			require.ErrorIs(t, err, azml.ErrNotFound)
		}
	}
	require.Len(t, collect(t, h.Compute.List(t.Context())), 9)
}

func checkStartTwice(t TB, h ComputeHarness) {
	c := target{t, h}
	require.Equal(t, "1\n", c.run("a", "echo 1"))
	require.ErrorIs(t, h.Compute.Start(t.Context(), c.shell("a", "echo 2")), azml.ErrExists)
	require.Equal(t, "1\n", c.output("a"))
}

func checkStartInput(t TB, h ComputeHarness) {
	c := target{t, h}
	require.Equal(t, "0\n", strings.TrimLeft(c.run("a", "wc -c"), " "), "standard input is empty")
}

func checkStartDir(t TB, h ComputeHarness) {
	c := target{t, h}
	c.run("a", "mkdir 'sub dir' && touch 'sub dir/here'")
	job := c.shell("b", "ls")
	job.Dir += "/sub dir"
	require.NoError(t, h.Compute.Start(t.Context(), job))
	c.wait("b")
	require.Equal(t, "here\n", c.output("b"))
}

func checkExitCodes(t TB, h ComputeHarness) {
	c := target{t, h}
	for id, code := range map[string]int{"zero": 0, "one": 1, "two": 2, "many": 126, "missing": 127, "like-a-signal": 137, "last": 255} {
		job := c.shell(id, `exit "$1"`)
		job.Command = append(job.Command, "sh", strconv.Itoa(code))
		require.NoError(t, h.Compute.Start(t.Context(), job))
		s := c.wait(id)
		if h.Codes && id == "like-a-signal" {
			require.Equal(t, backend.JobKilled, s.State)
			continue
		}
		require.Equal(t, backend.JobExited, s.State, "%s: %s", id, s.Reason)
		require.Equal(t, code, s.ExitCode)
	}
}

func checkExitSignal(t TB, h ComputeHarness) {
	c := target{t, h}
	for _, signal := range []string{"KILL", "TERM", "SEGV"} {
		c.start(signal, "kill -"+signal+" $$; sleep 1000")
		s := c.wait(signal)
		require.Equal(t, backend.JobKilled, s.State)
		require.NotEmpty(t, s.Reason)
		require.Zero(t, s.ExitCode)
	}
}

func checkUnknownJob(t TB, h ComputeHarness) {
	ctx := t.Context()
	_, err := h.Compute.Status(ctx, "missing")
	require.ErrorIs(t, err, azml.ErrNotFound, "Status")
	_, err = h.Compute.Wait(ctx, "missing")
	require.ErrorIs(t, err, azml.ErrNotFound, "Wait")
	_, err = h.Compute.Output(ctx, "missing", &backend.OutputOptions{})
	require.ErrorIs(t, err, azml.ErrNotFound, "Output")
	require.ErrorIs(t, h.Compute.Cancel(ctx, "missing", 0), azml.ErrNotFound, "Cancel")
	require.ErrorIs(t, h.Compute.Remove(ctx, "missing"), azml.ErrNotFound, "Remove")
}

// checkEnvironment uses env without a shell between, which would change it.
func checkEnvironment(t TB, h ComputeHarness) {
	c := target{t, h}
	env := map[string]string{
		"PATH": "/usr/bin:/bin", "EMPTY": "", "lower": "x", "with.dot": "1", "with-dash": "2", "OPTIND": "no number",
		"QUOTES": `'"$(echo no)\`, "SPACES": "  a  b ", "UNICODE": "é日😀", "BYTES": "\xff\xfe", "EQUALS": "a=b", "BIG": strings.Repeat("v", 100_000),
	}
	require.NoError(t, h.Compute.Start(t.Context(), backend.Job{ID: "a", Command: []string{"env"}, Dir: h.Dir, Env: env}))
	c.wait("a")
	var want []string
	for name, value := range env {
		want = append(want, name+"="+value)
	}
	slices.Sort(want)
	got := strings.Split(strings.TrimSuffix(c.output("a"), "\n"), "\n")
	slices.Sort(got)
	require.Equal(t, want, got)
	require.NoError(t, h.Compute.Start(t.Context(), backend.Job{ID: "b", Command: []string{"/usr/bin/env"}, Dir: h.Dir}))
	c.wait("b")
	require.Empty(t, c.output("b"), "no environment at all")
}

func checkArguments(t TB, h ComputeHarness) {
	c := target{t, h}
	args := []string{"", " a  b ", "$HOME", "`x`", `"'\`, "*", "-n", "line\nline", "é\xff"}
	job := c.shell("a", `for a in "$@"; do printf '<%s>' "$a"; done`)
	job.Command = append(append(job.Command, "sh"), args...)
	require.NoError(t, h.Compute.Start(t.Context(), job))
	c.wait("a")
	require.Equal(t, "<"+strings.Join(args, "><")+">", c.output("a"))
}

func checkLookUp(t TB, h ComputeHarness) {
	c := target{t, h}
	c.run("make", `mkdir bin1 bin2; touch bin1/tool; printf '#!/bin/sh\necho two' > bin2/tool; chmod +x bin2/tool`)
	for id, program := range map[string]string{"by-name": "tool", "by-path": "bin2/tool", "absolute": h.Dir + "/bin2/tool"} {
		env := map[string]string{"PATH": h.Dir + "/missing:" + h.Dir + "/bin1:" + h.Dir + "/bin2"}
		require.NoError(t, h.Compute.Start(t.Context(), backend.Job{ID: id, Command: []string{program}, Dir: h.Dir, Env: env}))
		c.wait(id)
		require.Equal(t, "two\n", c.output(id))
	}
}
