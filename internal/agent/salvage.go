package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
)

// salvage saves what a lost process left.
type salvage struct{ drive }

// saveAlive is save with signs of life, which many outputs may need.
func (s *salvage) saveAlive(ctx context.Context, here bool) error {
	beating, stop := context.WithCancel(ctx)
	var beats sync.WaitGroup
	beats.Go(func() {
		ticker := time.NewTicker(history.BeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_ = history.Beat(beating, s.h, s.run) // the next one is soon
			case <-beating.Done():
				return
			}
		}
	})
	defer beats.Wait()
	defer stop()
	return s.save(ctx, here)
}

// save saves what it can, which with here is on this machine; the rest becomes warnings of
// the run. Only a store that does not answer is an error: then all can be tried again.
func (s *salvage) save(ctx context.Context, here bool) error {
	log, err := history.Metrics(s.h, s.run)
	if err != nil {
		return err
	}
	var unavailable error
	note := func(what string, err error) {
		switch {
		case errors.Is(err, azml.ErrUnavailable):
			unavailable = errors.Join(unavailable, err)
		case err != nil && !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, os.ErrNotExist):
			s.warn("%s: %v", what, err)
		}
	}
	_, err = log.Recover(ctx)
	note("metrics that were not yet in the store", err)
	if s.run.Definition == nil || !here {
		return unavailable
	}
	note("the script's processes", s.endLeftJob(ctx))
	note("files of outputs/", s.saveOutputs(ctx))
	switch err := s.readSecrets(ctx); {
	case ctx.Err() != nil:
	case errors.Is(err, azml.ErrUnavailable):
		unavailable = errors.Join(unavailable, err)
	case err != nil: // better lost than shown
		s.warn("the last of the output and of the metrics file is left out, for the secrets to mask in it can't be read: %v", err)
	default:
		note("output of the script that was not yet in the log", s.saveOutput(ctx))
		note("files of logs/", s.saveLogs(ctx))
		for local := range s.numbers() {
			note("lines of the metrics file", s.saveMetricsFile(ctx, local))
		}
	}
	if ctx.Err() != nil { // what was not saved is to be found by the next one
		return ctx.Err()
	}
	if unavailable == nil {
		s.clean(ctx)
	}
	return unavailable
}

// endLeftJob ends what still runs of the script: nobody watches it any more. What can't be
// ended, as where a disk hangs, is not waited for for ever.
func (s *salvage) endLeftJob(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	var all error
	for _, job := range s.jobs() {
		if err := s.h.Local().Cancel(ctx, job, time.Second); !errors.Is(err, azml.ErrNotFound) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// saveOutputs stores what the script has left in outputs/, which node 0 does.
func (s *salvage) saveOutputs(ctx context.Context) error {
	begun, err := s.readEarlier()
	if err != nil || !begun || s.place.rank > 0 {
		return err
	}
	return s.collectOutputs(ctx)
}

// stream is something that goes into a log of the run.
type stream struct {
	name, log string
	tail      io.Writer // gets the last of it, too
	open      func(offset int64) (io.ReadCloser, error)
	shared    bool // others may have written to the log, too
}

// saveOutput appends what the logs lack of what the script's processes have said.
func (s *salvage) saveOutput(ctx context.Context) error {
	var all error
	for local, job := range s.jobs() {
		last := io.Discard
		if local == 0 {
			last = &s.tail
		}
		begun, _, err := s.startOf(job)
		if err == nil {
			err = s.saveStream(ctx, begun, stream{name: job, log: s.logName(local), tail: last, open: func(offset int64) (io.ReadCloser, error) {
				return s.h.Local().Output(ctx, job, &backend.OutputOptions{Offset: offset})
			}})
		}
		if !errors.Is(err, azml.ErrNotFound) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// saveLogs appends what the logs lack of the files that the script's processes have written
// to logs/, and of those with what mpirun's have said.
func (s *salvage) saveLogs(ctx context.Context) error {
	var all error
	save := func(root, dir string, shared bool) {
		err := walk(root, dir, func(name string, info fs.FileInfo) error {
			if strings.HasPrefix(path.Base(name), ".") || !info.Mode().IsRegular() {
				return nil
			}
			err := s.saveLog(ctx, root, name, info, shared)
			if ctx.Err() != nil || errors.Is(err, azml.ErrUnavailable) {
				return err
			}
			if err != nil {
				s.warn("%s could not be stored to its end: %v", name, err)
			}
			return nil
		})
		all = errors.Join(all, err)
	}
	save(s.codeDir(), "logs", s.run.Definition.Nodes > 1)
	if s.mpi() {
		save(s.dir, rankDir, false)
	}
	return all
}

// saveLog does so for one of them. Several nodes write files of one name into one log, which
// is shared then, and whose size says nothing: where another one has written what is in the
// log since this one began, what was streamed has to do.
func (s *salvage) saveLog(ctx context.Context, root, name string, info fs.FileInfo, shared bool) error {
	begun, noted, err := s.startOf(name)
	if err != nil || !noted && !s.streamed.changed(name, info) {
		return err
	}
	file := filepath.Join(root, filepath.FromSlash(name))
	if noted && !shared && s.hidden == nil { // else its length says nothing
		size, err := history.LogSize(ctx, s.h, history.LogKey(s.run, name))
		if err != nil {
			return err
		}
		noted = begun.From+size-begun.At <= info.Size() // else it was written anew
	}
	if !noted {
		if begun, err = s.startNow(ctx, file, name); err != nil {
			return err
		}
	}
	err = s.saveStream(ctx, begun, stream{name, name, io.Discard, func(offset int64) (io.ReadCloser, error) { return openAt(file, offset) }, shared})
	if errors.Is(err, errOthers) {
		return nil
	}
	return err
}

// startNow gives where the stream of a file begins of which nothing is in the log yet.
func (s *salvage) startNow(ctx context.Context, file, name string) (begins start, err error) {
	if begins.At, err = history.LogSize(ctx, s.h, history.LogKey(s.run, name)); err != nil {
		return begins, err
	}
	f, err := os.Open(file)
	if err != nil {
		return begins, err
	}
	defer f.Close()
	came := s.streamed[name]
	stands, err := came.Last.stands(f, came.Size)
	if stands {
		begins.From = came.Size
	}
	_ = s.noteStart(name, begins) // for who must do this again
	return begins, err
}

// openAt opens a file to be read from there on.
func openAt(file string, offset int64) (io.ReadCloser, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// saveStream appends what the log lacks of a stream. Where secrets are masked in it, the
// whole of it is masked once more, for the log's size says nothing of how much of the
// stream is in it. Errors: errOthers.
func (s *salvage) saveStream(ctx context.Context, begins start, from stream) error {
	key := history.LogKey(s.run, from.log)
	size, err := history.LogSize(ctx, s.h, key)
	if err != nil {
		return err
	}
	stored := max(0, size-begins.At)
	offset := stored
	if s.hidden != nil || from.shared {
		offset = 0
	}
	output, err := from.open(begins.From + offset)
	if err != nil {
		return err
	}
	defer output.Close()
	log, err := history.NewLogWriter(ctx, s.h, key)
	if err != nil {
		return err
	}
	defer log.Discard() // what could not be stored now is read again
	rest := &behind{to: log, left: stored - offset}
	if from.shared && stored > 0 {
		there, err := s.openLog(ctx, key, begins.At)
		if err != nil {
			return err
		}
		defer there.Close()
		rest.same = there
	}
	masked, tail := s.hidden.Writer(rest), s.hidden.Writer(from.tail)
	if _, err := io.Copy(io.MultiWriter(masked, tail), output); err != nil {
		return err
	}
	return errors.Join(tail.Flush(), masked.Flush(), log.Close(ctx))
}

// openLog opens a log to be read from there on.
func (s *salvage) openLog(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	log, err := history.OpenLog(ctx, s.h, key, nil)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, log, offset); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return log, nil
}

// errOthers says that a log has something else than what a stream begins with.
var errOthers = errors.New("others have written to the log, too")

// behind hands on what comes behind the first bytes. Errors: errOthers.
type behind struct {
	to   io.Writer
	left int64
	same io.Reader // what the first bytes are to be; nil for any
}

// Write implements io.Writer.
func (b *behind) Write(p []byte) (int, error) {
	skipped := min(b.left, int64(len(p)))
	if b.same != nil {
		there := make([]byte, skipped)
		if _, err := io.ReadFull(b.same, there); err != nil {
			return 0, err
		}
		if !bytes.Equal(there, p[:skipped]) {
			return 0, errOthers
		}
	}
	if _, err := b.to.Write(p[skipped:]); err != nil {
		return 0, err
	}
	b.left -= skipped
	return len(p), nil
}

// saveMetricsFile takes over the lines of a process that the lost agent had not.
func (s *salvage) saveMetricsFile(ctx context.Context, local int) error {
	log, err := history.Metrics(s.h, s.run)
	if err != nil {
		return err
	}
	file := s.metricsFile(local)
	n, err := linesTaken(ctx, log, file)
	if err != nil {
		return err
	}
	before := &taken{left: n, kinds: map[string]metrics.Kind{}}
	to, err := log.NewWriter()
	if err != nil {
		return err
	}
	if err := addMarker(file, to.ID()); err != nil { // who must do this again counts our points, too
		return errors.Join(err, to.Close(ctx))
	}
	var later error // what keeps this line, and so all that come after it, from being stored now
	r := &lineReader{path: file}
	r.take(true, func(number int, text []byte) {
		if later != nil || before.was(text) {
			return
		}
		switch err := s.takeLine(ctx, to, text); {
		case ctx.Err() != nil || errors.Is(err, azml.ErrUnavailable):
			later = errors.Join(ctx.Err(), err)
		case err != nil:
			s.warn("line %d of the metrics file: %v", number, err)
		}
	})
	return errors.Join(r.err, later, to.Close(ctx))
}
