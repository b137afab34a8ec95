package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
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

// execute starts the script and watches it until it has ended; where its processes
// may be started anew, again and again.
func (d *drive) execute(ctx context.Context) error {
	if err := d.scan(); err != nil {
		return d.systemError(err)
	}
	var g *gang
	var err error
	if d.place.count > 1 {
		if g, err = d.gather(ctx); err != nil {
			return err
		}
	}
	if err := d.enter(ctx, record.Running, ""); err != nil {
		return err
	}
	if err := d.startTracking(); err != nil {
		return err
	}
	defer d.stopTracking()
	if limit := d.run.Definition.MaxDuration; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(limit)*time.Second, errTooLong)
		defer cancel()
	}
	for attempt := 1; ; attempt++ {
		err := d.attempt(ctx, g, attempt)
		if f, ok := errors.AsType[*failure](err); ok && f.Code == systemError && errors.Is(context.Cause(ctx), errTooLong) {
			return d.tooLong() // while the attempt was prepared
		}
		if err == nil || ctx.Err() != nil || attempt > d.maxRestarts() || g.broken() {
			return err
		}
		d.warn("attempt %d of %d: %v", attempt, d.maxRestarts()+1, err)
	}
}

// attempt starts all processes and sees them to their end, together with the other
// nodes where there are any.
func (d *drive) attempt(ctx context.Context, g *gang, attempt int) error {
	meet, err := d.meetAt(ctx, g, attempt)
	if err == nil {
		err = d.plan(ctx, meet)
	}
	switch {
	case g == nil && err == nil:
		d.service = d.newService()
		return d.runRanks(ctx)
	case g == nil:
		return err
	case err != nil:
		return g.giveUp(ctx, attempt, err)
	}
	return g.lead(ctx, attempt, meet)
}

// runRanks runs the processes that were planned.
func (d *drive) runRanks(ctx context.Context) error {
	for _, r := range d.ranks {
		if err := d.h.Local().Start(ctx, r.job); err != nil {
			f := d.systemError(fmt.Errorf("start %s: %w", filepath.Base(r.job.Command[0]), err))
			if errors.Is(err, azml.ErrInvalid) {
				f.Code = userError
			}
			if endErr := d.endRanks(context.WithoutCancel(ctx), d.ranks); endErr != nil {
				d.warn("processes of the script could not be ended: %v", endErr)
			}
			return f
		}
	}
	return d.watch(ctx)
}

// watch follows the running processes with one goroutine for each thing they
// leave behind, and ends them when ctx does, or one fails.
func (d *drive) watch(ctx context.Context) error {
	// The followers outlive ctx: what the script still writes while it is
	// being ended counts too. They end when it has. The output ends by itself,
	// when all of it was read.
	killed := killedForMemory()
	following, ended := context.WithCancel(context.WithoutCancel(ctx))
	defer ended()
	reading, stopReading := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReading()
	var followers sync.WaitGroup
	for _, r := range d.ranks {
		output, err := d.h.Local().Output(reading, r.job.ID, &backend.OutputOptions{Follow: true})
		if err != nil {
			err = errors.Join(err, d.endRanks(following, d.ranks))
			stopReading()
			ended()
			followers.Wait()
			return d.systemError(fmt.Errorf("read the script's output: %w", err))
		}
		followers.Go(func() { d.copyOutput(following, output, r) })
		followers.Go(func() { d.followMetrics(following, r) })
		if r.points != d.metrics {
			followers.Go(func() { r.points.Run(following) })
		}
	}
	followers.Go(func() { d.followLogs(following, d.codeDir(), "logs", d.streamed) })
	if d.mpi() {
		followers.Go(func() { d.followLogs(following, d.dir, rankDir, fileSet{}) })
	}
	followers.Go(func() { d.sampleSystem(following) })
	if d.mayRequeue() && d.place.rank == 0 {
		followers.Go(func() { d.keepOutputs(following) })
	}

	failed, status, err := d.waitRanks(ctx, following)
	cause := context.Cause(ctx)
	if err != nil {
		stopReading() // the script may go on for ever
	}
	ended()
	followers.Wait()
	switch {
	case err != nil:
		return d.systemError(err)
	case errors.Is(cause, errTooLong):
		return d.tooLong()
	case cause != nil:
		return cause
	case failed != nil:
		return d.verdict(failed, status, killedForMemory() > killed)
	}
	return nil
}

// copyOutput streams the script's output into the run's log, without its
// secrets. The driver ends the stream when the script has ended; the driver's
// copy is complete, so a store that doesn't answer only makes this wait.
func (d *drive) copyOutput(ended context.Context, output io.ReadCloser, r *rank) {
	defer output.Close()
	ctx, cancel := outlive(ended, finishTime)
	defer cancel()
	log, tail := d.hidden.Writer(r.log), d.hidden.Writer(r.tail)
	buffer := make([]byte, 64<<10)
	for {
		n, err := output.Read(buffer)
		if n > 0 {
			_, _ = tail.Write(buffer[:n]) // never fails
			d.writeOutput(ctx, func() error { _, err := log.Write(buffer[:n]); return err })
		}
		if err != nil {
			_ = tail.Flush() // never fails
			d.writeOutput(ctx, log.Flush)
			return
		}
	}
}

// writeOutput writes to the log, and tries again while the store doesn't take it, until ctx
// ends.
func (d *drive) writeOutput(ctx context.Context, write func() error) {
	for {
		err := write()
		if err == nil {
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			d.warn("output of the script was lost: %v", err)
			return
		}
	}
}

// verdict says what the end of a process that failed means for the run; hungry says that
// the system has ended some process for want of memory meanwhile.
func (d *drive) verdict(r *rank, status backend.JobStatus, hungry bool) error {
	f := &failure{RunError: record.RunError{Code: userError, Phase: string(record.Running), LastLines: r.tail.Lines()}}
	what := d.what() + r.who
	if d.mpi() {
		what += mpiCulprit(f.LastLines)
	}
	switch status.State {
	case backend.JobExited:
		f.ExitCode = &status.ExitCode
		f.Message = fmt.Sprintf("%s ended with exit code %d", what, status.ExitCode)
	case backend.JobKilled:
		f.Message = what + " was " + status.Reason
	default:
		f.Code = systemError
		f.Message = "it is not known how " + what + " ended: " + status.Reason
	}
	if hungry {
		f.Message += ": the system ended a process for want of memory"
	}
	f.Message += lastWords(f.LastLines)
	f.cause = errors.New(f.Message)
	return f
}

// lastWords says what a script that has failed said last, of its last lines.
func lastWords(lines []string) string {
	if raised := exceptionIn(lines); raised != "" {
		return "; it raised " + raised
	}
	for _, line := range slices.Backward(lines) {
		if strings.Trim(line, "- ") != "" { // mpirun frames what it says
			return "; its last line: " + line
		}
	}
	return ""
}

// exceptionIn gives what Python says of the exception that it ended with, "" where there
// is none. It need not be the last line: MLflow's client, for one, says where a run can be
// seen behind it.
func exceptionIn(lines []string) string {
	const traceback = "Traceback (most recent call last):"
	for i, line := range slices.Backward(lines) {
		if line != traceback {
			continue
		}
		for _, line := range lines[i+1:] {
			if line != "" && !strings.HasPrefix(line, " ") {
				return line
			}
		}
	}
	return ""
}

func (d *drive) tooLong() error {
	limit := time.Duration(d.run.Definition.MaxDuration) * time.Second
	f := &failure{RunError: record.RunError{Code: userError, Phase: string(record.Running), LastLines: d.tail.Lines(),
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
