package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

const (
	// BegunFile is the file in the folder of Hold that is there when its job runs or
	// could not be started: what UnmarshalOutcome reads.
	BegunFile = "begun"
	// SocketFile is the socket in the folder of Hold that the job reaches back by.
	SocketFile = "socket"
	// guestsFile is locked by those whose client reads what the held job has written, or
	// has ended it.
	guestsFile = "guests"
	// lingering is for how long the holder waits for them.
	lingering = 20 * time.Second
	// graceOfHeld is what a held job has to end when its holder is told to.
	graceOfHeld = 20 * time.Second
)

// Ended says that a held job has ended, and by which code its holder is to end.
type Ended struct {
	// Code is the job's own, 128 and the signal's number when one has ended it.
	Code int
}

// Error implements error.
func (e Ended) Error() string { return fmt.Sprintf("the job ended with exit code %d", e.Code) }

// Outcome is what becomes of a held job.
type Outcome struct {
	// Status is the job's, zero when it could not be started.
	Status backend.JobStatus
	// Size is how many bytes the job has written.
	Size int64
	// Whole says that what it has written ends with the end of a line, or is nothing.
	Whole bool
	// Err is why the job could not be started.
	Err error
}

// outcome is an Outcome on its way.
type outcome struct {
	Status  *backend.JobStatus `json:"status,omitempty"`
	Size    int64              `json:"size,omitempty"`
	Whole   bool               `json:"whole,omitempty"`
	Failure *failure           `json:"failure,omitempty"`
}

// UnmarshalOutcome reads what Hold has left. Errors: ErrDamaged.
func UnmarshalOutcome(data []byte) (Outcome, error) {
	var o outcome
	if err := json.Unmarshal(data, &o); err != nil || (o.Status == nil) == (o.Failure == nil) {
		return Outcome{}, fmt.Errorf("%w: %.200q says nothing of a job", azml.ErrDamaged, data)
	}
	if o.Failure != nil {
		return Outcome{Err: o.Failure.error()}, nil
	}
	o.Status.Started, o.Status.Ended = o.Status.Started.UTC(), o.Status.Ended.UTC()
	return Outcome{Status: *o.Status, Size: o.Size, Whole: o.Whole}, nil
}

// marshal gives at most 4096 bytes, which is what a pod may say at its end.
func (o Outcome) marshal() []byte {
	w := outcome{Status: &o.Status, Size: o.Size, Whole: o.Whole}
	if o.Err != nil {
		const longest = 500 // characters, of which each may become six
		f := newFailure(o.Err)
		for len(f.Text) > longest {
			_, n := utf8.DecodeLastRuneInString(f.Text)
			f.Text = f.Text[:len(f.Text)-n]
		}
		w = outcome{Failure: &f}
	}
	data, _ := json.Marshal(w) // strings and numbers always can be
	return data
}

// MarshalRequest gives the description of a job that Hold starts. Where it is one for
// several nodes, rank is the variable in Hold's own environment that has the number
// of the node: the command finds that as backend.NodeRankVariable. Else it is empty.
func MarshalRequest(job backend.Job, rank string) ([]byte, error) {
	q := newStartRequest("held", job)
	q.Rank = rank
	return json.Marshal(q)
}

// Hold starts the job that the file request describes, in a place that is there for
// this one job alone and ends with it, such as a pod. Serve, called there with the
// same folder, gives others what they want of it. What the job writes goes to out,
// too. When it has ended, what is being read of its output is read, and those who have
// cancelled it have gone, the file end says how; Hold gives Ended. When ctx ends, or
// SIGTERM comes, the job is cancelled.
// Errors: Ended, ErrDenied, ErrUnavailable.
func Hold(ctx context.Context, dir, request, end string, out io.Writer) error {
	asked, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	life, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	s, err := newServer(dir)
	if err != nil {
		return err
	}
	o := s.hold(asked, life, dir, request, out)
	if err := os.WriteFile(end, o.marshal(), 0o600); err != nil { // it is there in a pod
		return errors.Join(classify(err), s.driver.Close())
	}
	return errors.Join(Ended{o.code()}, s.driver.Close())
}

// Attend is Serve for a folder in which a job is held, or will be: it begins when others
// can listen for that job. Errors: those of Serve, and ctx's.
func Attend(ctx context.Context, dir string, in io.ReadCloser, out io.WriteCloser) error {
	socket := filepath.Join(dir, SocketFile)
	err := soon(ctx, func() bool {
		_, err := os.Lstat(socket)
		return err == nil
	})
	if err != nil {
		return err
	}
	return Serve(ctx, dir, in, out)
}

// soon waits for what other processes are doing just now: it looks each millisecond, for
// a job's beginning waits for it, and after a while rarely.
func soon(ctx context.Context, there func() bool) error {
	const first, longest = time.Millisecond, 20 * time.Millisecond
	for pause := first; !there(); pause = min(pause+pause/32, longest) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// hold sees the job to its end, which is near when asked has ended. What the job
// needs goes on as long as life.
func (s *server) hold(asked, life context.Context, dir, request string, out io.Writer) Outcome {
	id, err := s.startHeld(life, request)
	began := Outcome{Err: err}
	if said := writeWhole(filepath.Join(dir, BegunFile), began.marshal()); said != nil && err == nil {
		return Outcome{Err: errors.Join(said, s.driver.Cancel(life, id, 0))}
	}
	if err != nil {
		return began
	}
	defer context.AfterFunc(asked, func() { _ = s.driver.Cancel(life, id, graceOfHeld) })()
	o := s.see(life, id, out)
	s.awaitGuests()
	return o
}

// startHeld starts the job of the request.
func (s *server) startHeld(ctx context.Context, request string) (id string, err error) {
	data, err := os.ReadFile(request)
	if err != nil {
		return "", classify(err)
	}
	var q startRequest
	if err := json.Unmarshal(data, &q); err != nil {
		return "", fmt.Errorf("%w: the request in %s: %w", azml.ErrDamaged, request, err)
	}
	if q.Rank != "" {
		q.Env = append(q.Env, [2][]byte{[]byte(backend.NodeRankVariable), []byte(os.Getenv(q.Rank))})
	}
	if err := s.relay(ctx, q.ID, filepath.Join(filepath.Dir(s.programs.dir), SocketFile)); err != nil {
		return "", err
	}
	return q.ID, s.startAnew(ctx, q)
}

// see copies what the job writes and gives how it ended.
func (s *server) see(ctx context.Context, id string, out io.Writer) Outcome {
	tally := tally{to: out, whole: true}
	written, err := s.driver.Output(ctx, id, &backend.OutputOptions{Follow: true})
	if err == nil {
		_, _ = io.Copy(&tally, written)
		_ = written.Close()
	}
	status, err := s.driver.Wait(ctx, id)
	return Outcome{Status: status, Size: tally.size, Whole: tally.whole, Err: err}
}

// tally counts what is written to another writer, also when that fails.
type tally struct {
	to    io.Writer
	size  int64
	whole bool
}

// Write implements io.Writer.
func (t *tally) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	t.size += int64(len(p))
	t.whole = p[len(p)-1] == '\n'
	_, _ = t.to.Write(p) // a copy for those who look; the job has its own
	return len(p), nil
}

// code is what a holder ends by.
func (o Outcome) code() int {
	const signalled = 128
	switch {
	case o.Err != nil:
		return 1
	case o.Status.State == backend.JobExited:
		return o.Status.ExitCode
	}
	return signalled + int(syscall.SIGKILL)
}

// writeWhole writes a file that is there whole or not at all.
func writeWhole(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// stay has the holder wait for this server's client, until the server ends.
func (s *server) stay() { _, _ = s.guests.TryRLock() } // at worst nobody waits for it

// awaitGuests waits for those who have asked for that, but not for ever: a client that has
// stopped must not hold a place.
func (s *server) awaitGuests() {
	ctx, stop := context.WithTimeout(context.Background(), lingering)
	defer stop()
	_, _ = s.guests.TryLockContext(ctx, 5*time.Millisecond)
	_ = s.guests.Close()
}
