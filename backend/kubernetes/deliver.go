package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	batchv1 "k8s.io/api/batch/v1"

	"golang.org/x/sync/errgroup"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// receive takes a program from standard input into a pod, whole or not at all. What is
// there is left as it is. Its arguments are the folder, the name, the size, how much of
// standard input it is, and what unpacks it. Where dd can it reads, as head takes small
// pieces, which takes twice as long.
const receive = `take() {
	if dd if=/dev/null iflag=fullblock,count_bytes count=0 status=none 2>/dev/null; then
		dd bs=65536 iflag=fullblock,count_bytes count="$1" status=none
	else
		head -c "$1"
	fi
}
cd "$1" 2>/dev/null || { mkdir -p "$1" && cd "$1"; } || exit 1
if [ -e "$2" ]; then
	take "$4" >/dev/null
else
	command -v "${5%% *}" >/dev/null || exit ` + noUnpacker + `
	if [ "$5" = cat ]; then take "$4"; else take "$4" | $5; fi > ".new-$$"
	[ "$(wc -c < ".new-$$")" -eq "$3" ] && chmod 755 ".new-$$" && mv ".new-$$" "$2" || exit 1
fi
`

// noUnpacker is the exit code of receive where the image has no gzip.
const noUnpacker = "121"

// begin names the program in a pod by its other names, the last of which has the pod
// begin, and wakes what waits for it. Its arguments are the folder, the program's name, three that are not for it, and the
// names.
const begin = `cd "$1" || exit 1
of="$2"; shift 5
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
			return d.talk(living, pod, nil, 0, call(begin+serveScript, own, 0, "")...)
		}
		err = d.open(own, func(f io.ReadCloser, size int64, unpack string) error {
			client, err = d.talk(living, pod, f, size, call(receive+begin+serveScript, own, size, unpack)...)
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
		if err := d.exec(ctx, n.pod.Name, nil, &said, call(begin+awaitBegun, own, 0, "")...); err != nil {
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

// call gives the command of a script about a program.
func call(script string, p program, sent int64, unpack string) []string {
	size := ""
	if info, err := os.Stat(p.file); err == nil {
		size = fmt.Sprint(info.Size())
	}
	return append(append([]string{shell, "-c", script, "sh", binFolder, p.name, size, fmt.Sprint(sent), unpack}, p.also...), runnerName)
}

// bring brings a program into a pod.
func (d *Driver) bring(ctx context.Context, pod string, p program) error {
	return d.open(p, func(f io.ReadCloser, size int64, unpack string) error {
		defer f.Close()
		return d.exec(ctx, pod, f, io.Discard, call(receive, p, size, unpack)...)
	})
}

// open has a program sent: packed where the way is long and the image can unpack it. send
// gets a file, which it closes, its size, and what unpacks it. Errors: also ErrConflict when
// somebody writes to the file.
func (d *Driver) open(p program, send func(f io.ReadCloser, size int64, unpack string) error) error {
	with := func(file, unpack string) error {
		f, err := os.Open(file)
		if err != nil {
			return noFile(err)
		}
		info, err := f.Stat()
		if err != nil {
			return noFile(errors.Join(err, f.Close()))
		}
		sent := &sending{file: f, rest: info.Size()}
		if err = send(sent, info.Size(), unpack); err != nil && sent.short.Load() {
			return written(file)
		}
		return err
	}
	if d.cluster.near {
		return with(p.file, "cat")
	}
	file, err := d.packed(p)
	if err != nil {
		return noFile(err)
	}
	err = with(file, "gzip -dc")
	if errors.Is(err, azml.ErrFailed) && strings.Contains(err.Error(), "exit code "+noUnpacker+":") {
		return with(p.file, "cat")
	}
	return err
}

// sending is a program's file that is being sent. The pod can't tell why it misses a part.
type sending struct {
	file  *os.File // whose WriteTo would not be seen
	rest  int64
	short atomic.Bool // the file has ended before that
}

// Read implements io.Reader.
func (s *sending) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	s.rest -= int64(n)
	if errors.Is(err, io.EOF) && s.rest > 0 {
		s.short.Store(true)
	}
	return n, err
}

// Close implements io.Closer.
func (s *sending) Close() error { return s.file.Close() }

// written is the error of a program that has another content than it had.
func written(file string) error {
	return fmt.Errorf("%w: somebody has written to the program %s while it was being sent: put programs in place by renaming, and start the job again", azml.ErrConflict, file)
}
