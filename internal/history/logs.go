package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// A log is a series of appended objects "<key>", "<key>.part-2", … A part takes
// at most partAppends appends, below the 50,000 blocks of an Azure append blob.
const (
	partAppends = 40_000
	flushEvery  = 250 * time.Millisecond
	retryEvery  = 2 * time.Second
	flushBytes  = 1 << 20
)

func partKey(key string, n int) string {
	if n == 1 {
		return key
	}
	return fmt.Sprintf("%s.part-%d", key, n)
}

// LogKey gives the key of the run's log of that name.
func LogKey(run record.Run, name string) string { return folder(run, "logs") + name }

// LogWriter appends to a log. Writes are gathered and go out every quarter of
// a second or megabyte; only one process writes a log. While the store does not
// answer, up to a megabyte is kept and then Write fails. It is safe for
// concurrent use.
type LogWriter struct {
	h   core.Handle
	key string

	mu        sync.Mutex // guards the five that follow
	size      int64
	buffer    []byte
	due       *time.Timer
	closed    bool
	discarded bool

	flushing sync.Mutex // guards the rest
	part     int
	appends  int
	offset   int64
}

// NewLogWriter begins a log at key, or goes on after what is there.
func NewLogWriter(ctx context.Context, h core.Handle, key string) (*LogWriter, error) {
	w := &LogWriter{h: h, key: key, part: 1}
	for {
		info, err := h.Objects().Stat(ctx, partKey(key, w.part))
		if errors.Is(err, azml.ErrNotFound) {
			return w, nil
		} else if err != nil {
			return nil, err
		}
		w.size += info.Size
		if _, err = h.Objects().Stat(ctx, partKey(key, w.part+1)); errors.Is(err, azml.ErrNotFound) {
			w.offset, w.appends = info.Size, partAppends/2 // how many it took is not known
			return w, nil
		}
		w.part++
	}
}

// Write takes all of p, which goes out soon, or nothing of it: then it gives
// the error of the append that had to come first.
func (w *LogWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	full := len(w.buffer) >= flushBytes
	w.mu.Unlock()
	if full {
		if err := w.flushSoon(); err != nil {
			return 0, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.discarded {
		return len(p), nil
	}
	w.buffer = append(w.buffer, p...)
	w.size += int64(len(p))
	w.flushIn(flushEvery)
	return len(p), nil
}

// Size gives how long the log is, in bytes, with all that was written to it.
func (w *LogWriter) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// flushIn sees to it that the buffer goes out. The caller holds the lock.
func (w *LogWriter) flushIn(pause time.Duration) {
	if w.due != nil || w.closed {
		return
	}
	w.due = time.AfterFunc(pause, func() {
		if err := w.flushSoon(); err != nil {
			w.h.Logger().Warn("a log could not be appended to; it is kept and tried again", "key", w.key, "error", err)
		}
	})
}

func (w *LogWriter) flushSoon() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return w.Flush(ctx)
}

// Flush returns when all that was written is durable. What could not be
// appended is kept for the next time.
func (w *LogWriter) Flush(ctx context.Context) error {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	w.mu.Lock()
	data := w.buffer
	w.buffer = nil
	if w.due != nil {
		w.due.Stop()
		w.due = nil
	}
	w.mu.Unlock()
	if len(data) == 0 {
		return nil
	}
	if rest, err := w.append(ctx, data); err != nil {
		w.mu.Lock()
		if w.discarded {
			rest = nil
		}
		w.buffer = append(rest, w.buffer...)
		w.flushIn(retryEvery)
		w.mu.Unlock()
		return fmt.Errorf("append to %s: %w", w.key, err)
	}
	return nil
}

// append gives what it could not append, with an error. A part that was gone on
// with may turn out to take no more, for nobody has counted its appends: then the
// next one begins.
func (w *LogWriter) append(ctx context.Context, data []byte) (rest []byte, err error) {
	if w.appends >= partAppends {
		w.part, w.appends, w.offset = w.part+1, 0, 0
	}
	rest, err = w.appendHere(ctx, data)
	if !errors.Is(err, azml.ErrUnsupported) || w.offset == 0 {
		return rest, err
	}
	part, appends, offset := w.part, w.appends, w.offset
	w.part, w.appends, w.offset = part+1, 0, 0
	again, next := w.appendHere(ctx, rest)
	if next == nil {
		return nil, nil
	}
	if w.offset == 0 { // it has not begun, or nobody knows
		w.part, w.appends, w.offset = part, appends, offset
	}
	return again, next
}

// appendHere appends to the current part.
func (w *LogWriter) appendHere(ctx context.Context, data []byte) (rest []byte, err error) {
	key := partKey(w.key, w.part)
	_, err = w.h.Objects().Append(ctx, key, w.offset, data)
	if errors.Is(err, azml.ErrConflict) {
		if data, err = w.catchUp(ctx, key, data); err == nil && len(data) > 0 {
			_, err = w.h.Objects().Append(ctx, key, w.offset, data)
		}
	}
	if err != nil {
		return data, err
	}
	w.offset += int64(len(data))
	w.appends++
	return nil, nil
}

// catchUp goes to the end of a part that is longer than we know, and gives the
// data that is not in it: an append whose answer was lost was done.
func (w *LogWriter) catchUp(ctx context.Context, key string, data []byte) (rest []byte, err error) {
	object, err := w.h.Objects().Get(ctx, key, &backend.GetOptions{Offset: w.offset})
	if err != nil {
		return data, err
	}
	defer object.Body.Close()
	there, err := io.ReadAll(object.Body)
	if err != nil {
		return data, fmt.Errorf("%w: read the end of %s: %w", azml.ErrUnavailable, key, err)
	}
	w.offset += int64(len(there))
	if rest, ok := bytes.CutPrefix(data, there); ok {
		return rest, nil
	}
	return data, nil
}

// Discard drops what was not yet appended and all that is written later.
func (w *LogWriter) Discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buffer, w.discarded = nil, true
	if w.due != nil {
		w.due.Stop()
		w.due = nil
	}
}

// Close flushes; the writer must not be used afterwards.
func (w *LogWriter) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	return w.Flush(ctx)
}

// OpenLog gives the log's bytes from the beginning. With done, it goes on with
// what is appended later, and ends at the end of the log once done has
// reported true. The reader ends with ctx. Errors: ErrNotFound.
func OpenLog(ctx context.Context, h core.Handle, key string, done func() (bool, error)) (io.ReadCloser, error) {
	if _, err := h.Objects().Stat(ctx, key); err != nil {
		if done == nil || !errors.Is(err, azml.ErrNotFound) {
			return nil, err
		}
	}
	return &logReader{ctx: ctx, h: h, key: key, part: 1, done: done}, nil
}

type logReader struct {
	ctx      context.Context
	h        core.Handle
	key      string
	part     int
	offset   int64
	done     func() (bool, error)
	finished bool
	body     io.ReadCloser
}

// pollEvery is how often a follower looks for more.
const pollEvery = 100 * time.Millisecond

// Read implements io.Reader.
func (r *logReader) Read(p []byte) (int, error) {
	for {
		if r.body != nil {
			n, err := r.body.Read(p)
			r.offset += int64(n)
			if errors.Is(err, io.EOF) {
				_ = r.body.Close()
				r.body, err = nil, nil
			}
			if n > 0 || err != nil {
				return n, err
			}
		}
		more, err := r.next()
		if err != nil {
			return 0, err
		}
		if !more {
			return 0, io.EOF
		}
	}
}

// next opens what comes after the bytes read so far, waiting for it when the
// log is followed. It reports false at the end.
func (r *logReader) next() (bool, error) {
	for {
		found, err := r.open()
		if found || err != nil {
			return found, err
		}
		if r.done == nil || r.finished {
			return false, nil
		}
		if r.finished, err = r.done(); err != nil {
			return false, err
		}
		if r.finished {
			continue // what was written before the end is read once more
		}
		select {
		case <-time.After(pollEvery):
		case <-r.ctx.Done():
			return false, r.ctx.Err()
		}
	}
}

// open opens what the part has beyond the offset, or goes to the next part. A
// part is at its end for sure only when it has not grown although the next one
// is there.
func (r *logReader) open() (bool, error) {
	for {
		if found, err := r.openPart(); found || err != nil {
			return found, err
		}
		_, err := r.h.Objects().Stat(r.ctx, partKey(r.key, r.part+1))
		if errors.Is(err, azml.ErrNotFound) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		if found, err := r.openPart(); found || err != nil {
			return found, err
		}
		r.part, r.offset = r.part+1, 0
	}
}

func (r *logReader) openPart() (bool, error) {
	info, err := r.h.Objects().Stat(r.ctx, partKey(r.key, r.part))
	if errors.Is(err, azml.ErrNotFound) || err == nil && info.Size <= r.offset {
		return false, nil
	} else if err != nil {
		return false, err
	}
	object, err := r.h.Objects().Get(r.ctx, info.Key, &backend.GetOptions{Offset: r.offset})
	if err != nil {
		return false, err
	}
	r.body = object.Body
	return true, nil
}

// Close implements io.Closer.
func (r *logReader) Close() error {
	if r.body != nil {
		return r.body.Close()
	}
	return nil
}

// LogNames gives the names of the run's logs, sorted.
func LogNames(ctx context.Context, h core.Handle, run record.Run) ([]string, error) {
	var names []string
	prefix := LogKey(run, "")
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		name := info.Key[len(prefix):]
		if base, number, ok := strings.Cut(name, ".part-"); ok && number != "" {
			name = base
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// LogSize gives the number of bytes of the log, 0 when there is none.
func LogSize(ctx context.Context, h core.Handle, key string) (int64, error) {
	var size int64
	for part := 1; ; part++ {
		info, err := h.Objects().Stat(ctx, partKey(key, part))
		if errors.Is(err, azml.ErrNotFound) {
			return size, nil
		} else if err != nil {
			return 0, err
		}
		size += info.Size
	}
}
