package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	batchv1 "k8s.io/api/batch/v1"

	"golang.org/x/sync/errgroup"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// receive takes a program from standard input into a pod, whole or not at all. What is
// there is left as it is. Its arguments are the folder, the name, the size, and what
// unpacks it.
const receive = `cd "$1" 2>/dev/null || { mkdir -p "$1" && cd "$1"; } || exit 1
[ -e "$2" ] || {
	command -v "${4%% *}" >/dev/null || exit ` + noUnpacker + `
	$4 > ".new-$$" && [ "$(wc -c < ".new-$$")" -eq "$3" ] && chmod 755 ".new-$$" && mv ".new-$$" "$2" || exit 1
}
`

// noUnpacker is the exit code of receive where the image has no gzip.
const noUnpacker = "121"

// begin names the program in a pod by its other names, the last of which has the pod
// begin, and waits for what becomes of the command. Its arguments are the folder, the
// program's name, two that are not for it, the file that says what has become, and the
// names.
const begin = `cd "$1" || exit 1
of="$2" begun="$5"; shift 5
for name in "$@"; do [ -e "$name" ] || ln -s "$of" "$name" 2>/dev/null || [ -e "$name" ] || exit 1; done
until [ -e "$begun" ]; do sleep 0.005 2>/dev/null || sleep 1; done; cat "$begun"`

// deliver brings the programs into the only pod of a job, and has the command begin.
func (d *Driver) deliver(ctx context.Context, pod string, m *batchv1.Job, programs []program) error {
	others, own := programs[:len(programs)-1], programs[len(programs)-1]
	for _, p := range others {
		if err := d.bring(ctx, pod, p, receive, io.Discard); err != nil {
			return err
		}
	}
	var said bytes.Buffer
	var err error
	if carries(m) {
		err = d.exec(ctx, pod, nil, &said, call(begin, own, "")...)
	} else {
		err = d.bring(ctx, pod, own, receive+begin, &said)
	}
	return outcome(said.Bytes(), err)
}

// deliverAll brings the programs into all pods, and only then has the command begin in
// them: all of them begin or none does.
func (d *Driver) deliverAll(ctx context.Context, v view, m *batchv1.Job, programs []program) error {
	own := programs[len(programs)-1]
	err := v.each(func(n node) error {
		for _, p := range programs {
			if p.name == own.name && carries(m) {
				continue
			}
			if err := d.bring(ctx, n.pod.Name, p, receive, io.Discard); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.each(func(n node) error {
		var said bytes.Buffer
		err := d.exec(ctx, n.pod.Name, nil, &said, call(begin, own, "")...)
		return outcome(said.Bytes(), err)
	})
}

// each does something with all pods at once, and says which node an error is from.
func (v view) each(do func(n node) error) error {
	var all errgroup.Group
	for i, n := range v.nodes {
		all.Go(func() error { return onNode(len(v.nodes), i, do(n)) })
	}
	return all.Wait()
}

// outcome reads what has become of a command.
func outcome(said []byte, err error) error {
	if err != nil {
		return err
	}
	o, err := jobs.UnmarshalOutcome(said)
	return errors.Join(err, o.Err)
}

// call gives the command of a script about a program.
func call(script string, p program, unpack string) []string {
	size := ""
	if info, err := os.Stat(p.file); err == nil {
		size = fmt.Sprint(info.Size())
	}
	return append(append([]string{shell, "-c", script, "sh", binFolder, p.name, size, unpack, workFolder + "/" + jobs.BegunFile}, p.also...), runnerName)
}

// bring runs a script that begins with receive, with a program for it, packed where
// the way is long and the image can unpack it.
func (d *Driver) bring(ctx context.Context, pod string, p program, script string, out io.Writer) error {
	asItIs := func() error { return d.send(ctx, pod, p.file, out, call(script, p, "cat")) }
	if d.cluster.near {
		return asItIs()
	}
	file, err := d.packed(p)
	if err != nil {
		return noFile(err)
	}
	err = d.send(ctx, pod, file, out, call(script, p, "gzip -dc"))
	if errors.Is(err, azml.ErrFailed) && strings.Contains(err.Error(), "exit code "+noUnpacker+":") {
		return asItIs()
	}
	return err
}

// send runs a command in a pod that reads a file of this machine.
func (d *Driver) send(ctx context.Context, pod, file string, out io.Writer, command []string) error {
	f, err := os.Open(file)
	if err != nil {
		return noFile(err)
	}
	defer f.Close()
	return d.exec(ctx, pod, f, out, command...)
}
