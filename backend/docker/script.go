package docker

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

const (
	shell      = "/bin/sh"
	envProgram = "/usr/bin/env"
	// scriptFile is the script that starts a job's command, in its container.
	scriptFile = "/.azml/start"
)

// check finds what no engine needs to be asked about.
func check(job backend.Job) error {
	if len(job.Command) == 0 || job.Command[0] == "" {
		return fmt.Errorf("%w: job %q has no command", azml.ErrInvalid, job.ID)
	}
	for _, text := range append([]string{job.Dir}, job.Command...) {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("%w: job %q: folder or command holds a NUL character", azml.ErrInvalid, job.ID)
		}
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
	b.WriteString("cd " + quoted(job.Dir) + " && exec " + envProgram + " -i --")
	for _, name := range slices.Sorted(maps.Keys(job.Env)) {
		b.WriteString(" " + quoted(name+"="+job.Env[name]))
	}
	b.WriteString(" " + quoted(program))
	for _, arg := range job.Command[1:] {
		b.WriteString(" " + quoted(arg))
	}
	b.WriteString(" 2>&1\n")
	return b.Bytes()
}

// quoted gives a word of the shell's that is the text, whatever bytes it has.
func quoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// archive gives the script as engines take files.
func archive(script []byte) (*bytes.Buffer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	name := strings.TrimPrefix(scriptFile, "/")
	err := w.WriteHeader(&tar.Header{Name: name[:strings.Index(name, "/")+1], Typeflag: tar.TypeDir, Mode: 0o755, ModTime: time.Now()})
	if err == nil {
		err = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o444, Size: int64(len(script)), ModTime: time.Now()})
	}
	if err == nil {
		_, err = w.Write(script)
	}
	if err == nil {
		err = w.Close()
	}
	return &b, err
}
