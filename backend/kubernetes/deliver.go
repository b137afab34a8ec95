package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	batchv1 "k8s.io/api/batch/v1"

	"golang.org/x/sync/errgroup"

	"github.com/azml-go/azml/backend/ssh/jobs"
)

// receive takes a program from standard input into a pod, whole or not at all. What is
// there is left as it is. Its arguments are the folder, the name, the size, how many bytes of
// standard input are a program of ours that unpacks it, how many behind them are the program, and,
// where there are none of the former, what in the image unpacks it. Where dd can it reads, as head
// takes small pieces, which takes twice as long. When it fails, the rest of standard input is read
// nevertheless: else it would never be told that it has ended.
const receive = `refuse() { { cat <&3 >/dev/null 2>&1 & } 3<&0; exit "$1"; }
if dd if=/dev/null iflag=fullblock,count_bytes count=0 status=none 2>/dev/null; then
	take() { dd bs=65536 iflag=fullblock,count_bytes count="$1" status=none; }
else
	take() { head -c "$1"; }
fi
cd "$1" 2>/dev/null || { mkdir -p "$1" && cd "$1"; } || refuse 1
if [ -e "$2" ]; then
	take $(($4+$5)) >/dev/null
elif [ "$4" -gt 0 ]; then
	take "$4" > ".unpack-$$" && chmod 755 ".unpack-$$" && "./.unpack-$$" "$2" "$5" "$3"
	code=$?; rm -f ".unpack-$$"; [ $code = 0 ] || refuse 1
else
	command -v "${6%% *}" >/dev/null || refuse ` + noGzipCode + `
	if [ "$6" = cat ]; then take "$5"; else take "$5" | $6; fi > ".new-$$"
	[ "$(wc -c < ".new-$$")" -eq "$3" ] && chmod 755 ".new-$$" && mv ".new-$$" "$2" || refuse 1
fi
`

// noGzipCode is the exit code of receive where the image has no gzip.
const noGzipCode = "121"

// begin names the program in a pod by its other names, the last of which has the pod
// begin, and wakes what waits for it. Its arguments are the folder, the program's name, four that are not for it, and the
// names.
const begin = `cd "$1" || exit 1
of="$2"; shift 6
for name in "$@"; do [ -e "$name" ] || ln -s "$of" "$name" 2>/dev/null || [ -e "$name" ] || exit 1; done
read -r pid <` + wakeFile + ` && kill -USR1 "$pid" 2>/dev/null
`

// awaitBegun waits for what becomes of the command.
const awaitBegun = `until [ -e ` + workFolder + `/` + jobs.BegunFile + ` ]; do sleep 0.005 2>/dev/null || sleep 1; done; cat ` + workFolder + `/` + jobs.BegunFile

// deliver brings the programs into the only pod of a job, and has the command begin. The
// session that does so serves afterwards who listens for the job.
func (d *Driver) deliver(ctx context.Context, pod string, m *batchv1.Job, programs []program, h *handover) error {
	others, own := programs[:len(programs)-1], programs[len(programs)-1]
	for _, p := range others {
		if err := d.bring(ctx, pod, p); err != nil {
			return err
		}
	}
	client, err := d.connect(ctx, func(living context.Context) (client *jobs.Client, err error) {
		if carries(m) {
			return d.talk(living, pod, nil, 0, call(begin+serveScript, own, nil)...)
		}
		err = d.send(living, own, func(s *sending) error {
			client, err = d.talk(living, pod, s, s.size(), call(receive+begin+serveScript, own, s)...)
			return err
		})
		return client, err
	})
	if err != nil {
		return err
	}
	if !h.give(client) {
		defer client.Close()
	}
	o, err := client.Begun(ctx)
	return errors.Join(err, o.Err)
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
			if err := d.bring(ctx, n.pod.Name, p); err != nil {
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
		if err := d.exec(ctx, n.pod.Name, nil, &said, call(begin+awaitBegun, own, nil)...); err != nil {
			return err
		}
		o, err := jobs.UnmarshalOutcome(said.Bytes())
		return errors.Join(err, o.Err)
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

// call gives the command of a script about a program that is sent, unless s is nil.
func call(script string, p program, s *sending) []string {
	size := ""
	if info, err := os.Stat(p.file); err == nil {
		size = fmt.Sprint(info.Size())
	}
	if s == nil {
		s = &sending{}
	}
	return append(append([]string{shell, "-c", script, "sh", binFolder, p.name, size, fmt.Sprint(s.unpacker), fmt.Sprint(s.program), s.unpack}, p.also...), runnerName)
}

// bring brings a program into a pod.
func (d *Driver) bring(ctx context.Context, pod string, p program) error {
	return d.send(ctx, p, func(s *sending) error {
		defer s.Close()
		return d.exec(ctx, pod, s, io.Discard, call(receive, p, s)...)
	})
}
