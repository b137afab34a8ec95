package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/run"
)

// outcome is what is looked at after a script has ended.
type outcome struct {
	r      *run.Run
	output string
	files  []string
}

func TestHowScriptsEnd(t *testing.T) {
	t.Parallel()
	megabytes := size(50, 3)
	exit := func(code int) func(*testing.T, outcome) {
		return func(t *testing.T, o outcome) {
			require.Equal(t, code, *o.r.Details().Error.ExitCode)
			require.Equal(t, "UserError", o.r.Details().Error.Code)
		}
	}
	cases := []struct {
		name, script, failure string
		check                 func(t *testing.T, o outcome)
	}{
		{"exit code 1", "echo bad >&2; exit 1", "ended with exit code 1; its last line: bad", exit(1)},
		{"an exception", `printf 'Traceback (most recent call last):\n  File "t.py", line 1, in <module>\nValueError: no column\nSee the run at http://127.0.0.1\n' >&2; exit 1`, "ended with exit code 1; it raised ValueError: no column", exit(1)},
		{"exit code 137", "exit 137", "ended with exit code 137", exit(137)},
		{"killed", "kill -9 $$", "killed by signal 9", nil},
		{"no newline", "printf 'no newline'", "", func(t *testing.T, o outcome) { require.Equal(t, "no newline", o.output) }},
		{"much output", fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x", megabytes<<20), "", func(t *testing.T, o outcome) {
			require.Len(t, o.output, megabytes<<20)
			require.Empty(t, strings.Trim(o.output, "x"))
		}},
		{"output that is no text", `printf 'a\377\376b\n'; exit 3`, "exit code 3", func(t *testing.T, o outcome) {
			require.Equal(t, "a\xff\xfeb\n", o.output, "the log has the bytes")
			require.True(t, utf8.ValidString(o.r.Details().Error.Message), "the record is text")
		}},
		{"many outputs", "for i in $(seq 2000); do echo $i > outputs/$i; done", "", func(t *testing.T, o outcome) { require.Len(t, o.files, 2000) }},
		{"outputs of a failed run", "echo x > outputs/x; exit 2", "exit code 2", func(t *testing.T, o outcome) { require.Equal(t, []string{"outputs/x"}, o.files) }},
		{"links among outputs", "echo x > outputs/x; ln -s x outputs/link; ln -s /etc/passwd outputs/out", "", func(t *testing.T, o outcome) {
			require.Contains(t, o.files, "outputs/x")
			require.NotContains(t, o.files, "outputs/out")
			require.Contains(t, strings.Join(o.r.Details().Warnings, "\n"), "outputs/out", "what is left out is told")
		}},
		{"odd outputs", "mkfifo outputs/pipe; mkdir -p outputs/a/b; : > 'outputs/a/b/ü \"x\"'", "", func(t *testing.T, o outcome) {
			require.Equal(t, []string{`outputs/a/b/ü "x"`}, o.files)
			require.Contains(t, strings.Join(o.r.Details().Warnings, "\n"), "outputs/pipe")
		}},
		{"names that no store takes", `echo 1 > outputs/good; echo 2 > 'outputs/x\y'; echo 3 > "outputs/$(printf 'z\377')"; echo 4 > outputs/x%5cy`, "", func(t *testing.T, o outcome) {
			require.ElementsMatch(t, []string{"outputs/good", "outputs/x%5cy", "outputs/x%5cy%", "outputs/z%ff"}, o.files)
			require.Contains(t, strings.Join(o.r.Details().Warnings, "\n"), `"outputs/x\\y": it is stored as "outputs/x%5cy%"`)
		}},
		{"outputs is a link", "rmdir outputs; mkdir ../elsewhere; echo x > ../elsewhere/x; ln -s ../elsewhere outputs", "", func(t *testing.T, o outcome) {
			require.Contains(t, strings.Join(o.r.Details().Warnings, "\n"), "outputs")
		}},
		{"its folder is deleted", `rm -rf "$PWD"; echo still here`, "", func(t *testing.T, o outcome) { require.Equal(t, "still here\n", o.output) }},
		{"bad metrics lines", `
printf '%s\n' '{"name": "a", "value": 1}' 'nonsense' '{"name": "b"' '{"value": 1}' '{"name": "a", "value": 2, "step": 1}' '' '{"name": "c", "value": {"x": [1, 2], "y": [1]}}' >> "$AZML_METRICS_FILE"
printf '{"name": "a", "value": 3, "step": 2}' >> "$AZML_METRICS_FILE"`, "", func(t *testing.T, o outcome) {
			require.EqualValues(t, 3, series(t, o.r, "a", 0))
			warnings := strings.Join(o.r.Details().Warnings, "\n")
			for _, line := range []string{"line 2", "line 3", "line 4", "line 7"} {
				require.Contains(t, warnings, line)
			}
			require.NotContains(t, warnings, "line 1 ")
		}},
		{"ends while its lines are taken over", `
for i in $(seq 60); do echo "{\"param\": \"p$i\", \"value\": $i}"; done >> "$AZML_METRICS_FILE"
sleep 0.3`, "", func(t *testing.T, o outcome) {
			require.Empty(t, o.r.Details().Warnings)
			require.Len(t, o.r.Details().Params, 60)
		}},
		{"no command", "exec /no/such/program", "exit code 127", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ws, p, r := submit(t, shell(t, c.script))
			err := r.Wait(t.Context(), nil)
			if c.failure == "" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, azml.ErrFailed)
				require.ErrorContains(t, err, c.failure)
			}
			o := outcome{r: r}
			log, err := r.Logs(t.Context(), nil)
			if err == nil {
				data, err := io.ReadAll(log)
				require.NoError(t, err)
				require.NoError(t, log.Close())
				o.output = string(data)
			} else {
				require.ErrorIs(t, err, azml.ErrNotFound)
			}
			files, err := r.Files(t.Context(), "")
			require.NoError(t, err)
			for _, f := range files {
				o.files = append(o.files, f.Path)
			}
			if c.check != nil {
				c.check(t, o)
			}
			clean(t, ws)
			require.Eventually(t, func() bool { return len(filesBelow(t, p.Cache+"/jobs")) == 0 }, soon, 1e7, "the driver clears away after the last status")
		})
	}
}
