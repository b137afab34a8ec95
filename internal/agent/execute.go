package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

// defaultGrace is how long a script that is asked to end may take before it is
// ended by force.
const defaultGrace = 10 * time.Second

// command gives the program and its arguments. The program "python" means the
// environment's interpreter.
func (d *drive) command() []string {
	def := d.run.Definition
	if len(def.Command) == 0 {
		return append([]string{d.env.Python, def.Script}, def.Arguments...)
	}
	command := append([]string(nil), def.Command...)
	if command[0] == "python" || command[0] == "python3" {
		command[0] = d.env.Python
	}
	return command
}

// execute starts the command and watches it until it has ended.
func (d *drive) execute(ctx context.Context) error {
	var err error
	if d.before, err = scan(d.codeDir()); err != nil {
		return d.systemError(err)
	}
	if err := d.enter(ctx, record.Running, ""); err != nil {
		return err
	}
	if err := d.startTracking(); err != nil {
		return err
	}
	defer d.stopTracking()
	job := backend.Job{ID: d.run.ID, Command: d.expand(d.command()), Dir: d.codeDir(), Env: d.environ(ctx)}
	if err := d.h.Local().Start(ctx, job); err != nil {
		f := d.systemError(fmt.Errorf("start %s: %w", filepath.Base(job.Command[0]), err))
		if errors.Is(err, azml.ErrInvalid) {
			f.Code = userError
		}
		return f
	}
	status, err := d.watch(ctx)
	if err != nil {
		return err
	}
	return d.verdict(status)
}

// watch follows the running command with one goroutine for each thing it
// leaves behind, and ends it when ctx does.
func (d *drive) watch(ctx context.Context) (backend.JobStatus, error) {
	if limit := d.run.Definition.MaxDuration; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(limit)*time.Second, errTooLong)
		defer cancel()
	}
	// The followers outlive ctx: what the script still writes while it is
	// being ended counts too. They end when it has. The output ends by itself,
	// when all of it was read.
	following, ended := context.WithCancel(context.WithoutCancel(ctx))
	defer ended()
	reading, stopReading := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReading()
	var followers sync.WaitGroup
	output, err := d.h.Local().Output(reading, d.run.ID, &backend.OutputOptions{Follow: true})
	if err != nil {
		return backend.JobStatus{}, d.systemError(fmt.Errorf("read the script's output: %w", err))
	}
	followers.Go(func() { d.copyOutput(following, output) })
	followers.Go(func() { d.followMetrics(following) })
	followers.Go(func() { d.followLogs(following) })
	followers.Go(func() { d.sampleSystem(following) })

	status, err := d.h.Local().Wait(ctx, d.run.ID)
	cause := context.Cause(ctx)
	if err != nil && cause != nil {
		status, err = d.endJob(following)
	}
	if err != nil {
		stopReading() // the script may go on for ever
	}
	ended()
	followers.Wait()
	switch {
	case err != nil:
		return status, d.systemError(err)
	case errors.Is(cause, errTooLong):
		return status, d.tooLong()
	}
	return status, cause
}

// endJob ends the script: gracefully, then by force.
func (d *drive) endJob(ctx context.Context) (backend.JobStatus, error) {
	grace := time.Duration(d.run.Definition.GracePeriod * float64(time.Second))
	if grace == 0 {
		grace = defaultGrace
	}
	if err := d.h.Local().Cancel(ctx, d.run.ID, grace); err != nil {
		return backend.JobStatus{}, err
	}
	return d.h.Local().Wait(ctx, d.run.ID)
}

// copyOutput streams the script's output into the run's log, without its
// secrets. The driver ends the stream when the script has ended; the driver's
// copy is complete, so a store that doesn't answer only makes this wait.
func (d *drive) copyOutput(ended context.Context, output io.ReadCloser) {
	defer output.Close()
	log, tail := d.hidden.Writer(d.output), d.hidden.Writer(&d.tail)
	buffer := make([]byte, 64<<10)
	for {
		n, err := output.Read(buffer)
		if n > 0 {
			_, _ = tail.Write(buffer[:n]) // never fails
			d.writeOutput(ended, func() error { _, err := log.Write(buffer[:n]); return err })
		}
		if err != nil {
			_ = tail.Flush() // never fails
			d.writeOutput(ended, log.Flush)
			return
		}
	}
}

// writeOutput writes to the log and waits for a store that doesn't answer, for
// as long as the run may still be finished.
func (d *drive) writeOutput(ended context.Context, write func() error) {
	deadline := time.Now().Add(finishTime)
	for {
		err := write()
		if err == nil {
			return
		}
		if ended.Err() != nil && time.Now().After(deadline) {
			d.warn("output of the script was lost: %v", err)
			return
		}
		time.Sleep(time.Second)
	}
}

// verdict says what the command's end means for the run.
func (d *drive) verdict(status backend.JobStatus) error {
	if status.State == backend.JobExited && status.ExitCode == 0 {
		return nil
	}
	f := &failure{RunError: record.RunError{Code: userError, Phase: string(record.Running), LastLines: d.tail.lines()}}
	switch status.State {
	case backend.JobExited:
		f.ExitCode = &status.ExitCode
		f.Message = fmt.Sprintf("%s ended with exit code %d", d.what(), status.ExitCode)
	case backend.JobKilled:
		f.Message = d.what() + " was " + status.Reason
	default:
		f.Code = systemError
		f.Message = "it is not known how " + d.what() + " ended: " + status.Reason
	}
	if n := len(f.LastLines); n > 0 {
		f.Message += "; its last line: " + f.LastLines[n-1]
	}
	f.cause = errors.New(f.Message)
	return f
}

func (d *drive) tooLong() error {
	limit := time.Duration(d.run.Definition.MaxDuration) * time.Second
	f := &failure{RunError: record.RunError{Code: userError, Phase: string(record.Running), LastLines: d.tail.lines(),
		Message: fmt.Sprintf("%s was ended after its time limit of %s", d.what(), limit)}}
	f.cause = errTooLong
	return f
}

// what names the script for people.
func (d *drive) what() string {
	if s := d.run.Definition.Script; s != "" {
		return s
	}
	name := filepath.Base(d.run.Definition.Command[0])
	if runtime.GOOS == "windows" {
		name = strings.TrimSuffix(name, ".exe")
	}
	return name
}
