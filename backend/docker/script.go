package docker

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

const (
	shell      = "/bin/sh"
	envProgram = "/usr/bin/env"
	maxInput   = 64 << 10
)

// check finds what no engine needs to be asked about.
func check(job backend.Job) error {
	if err := backend.CheckNodes(job); err != nil {
		return err
	}
	if len(job.Command) == 0 || job.Command[0] == "" {
		return fmt.Errorf("%w: job %q has no command", azml.ErrInvalid, job.ID)
	}
	for _, text := range append([]string{job.Dir}, job.Command...) {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("%w: job %q: folder or command holds a NUL character", azml.ErrInvalid, job.ID)
		}
	}
	if len(job.Input) > maxInput {
		return fmt.Errorf("%w: job %q: its input has %d bytes, %d are possible", azml.ErrInvalid, job.ID, len(job.Input), maxInput)
	}
	for name, value := range job.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("%w: job %q: variable name %q is empty or holds \"=\" or NUL", azml.ErrInvalid, job.ID, name)
		}
		if strings.ContainsRune(value, 0) {
			return fmt.Errorf("%w: job %q: the value of variable %s holds a NUL character", azml.ErrInvalid, job.ID, name)
		}
	}
	return nil
}

// script gives the shell's way to become the command: in its folder, with exactly
// its environment, and with both outputs in one pipe, which keeps their order.
func script(job backend.Job, program string) []byte {
	var b bytes.Buffer
	b.WriteString("exec >>" + path.Join(jobFolder, outputFile) + " 2>&1\ncd " + quoted(job.Dir) + " && exec " + envProgram + " -i --")
	for _, name := range slices.Sorted(maps.Keys(job.Env)) {
		b.WriteString(" " + quoted(name+"="+job.Env[name]))
	}
	b.WriteString(" " + quoted(program))
	for _, arg := range job.Command[1:] {
		b.WriteString(" " + quoted(arg))
	}
	b.WriteString("\n")
	return b.Bytes()
}

// quoted gives a word of the shell's that is the text, whatever bytes it has.
func quoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
