package history

import (
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
)

// A log is a series of appended objects "<key>", "<key>.part-2", … A part takes
// at most partAppends appends, below the 50,000 blocks of an Azure append blob.
const (
	partAppends = 40_000
	flushEvery  = 250 * time.Millisecond
	flushBytes  = 1 << 20
)

func partKey(key string, n int) string {
	if n == 1 {
		return key
	}
	return fmt.Sprintf("%s.part-%d", key, n)
}

// LogKey gives the key of the run's log of that name.
func LogKey(id, name string) string { return Prefix(id) + "logs/" + name }

// LogWriter appends to a log. Writes are gathered and go out every quarter of
// a second or megabyte; only one process writes a log. While the store does not
// answer, up to a megabyte is kept and then Write fails. It is safe for
// concurrent use.
type LogWriter struct {
	h   core.Handle
	key string

	mu     sync.Mutex // guards buffer and due
	buffer []byte
	due    *time.Timer

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
	w.buffer = append(w.buffer, p...)
	if w.due == nil {
		w.due = time.AfterFunc(flushEvery, func() {
			if err := w.flushSoon(); err != nil {
				w.h.Logger().Warn("a log could not be appended to; it is kept and tried again", "key", w.key, "error", err)
			}
		})
	}
	return len(p), nil
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
	if err := w.append(ctx, data); err != nil {
		w.mu.Lock()
		w.buffer = append(data, w.buffer...)
		w.mu.Unlock()
		return fmt.Errorf("append to %s: %w", w.key, err)
	}
	return nil
}

func (w *LogWriter) append(ctx context.Context, data []byte) error {
	if w.appends >= partAppends {
		w.part, w.appends, w.offset = w.part+1, 0, 0
	}
	if _, err := w.h.Objects().Append(ctx, partKey(w.key, w.part), w.offset, data); err != nil {
		return err
	}
	w.offset += int64(len(data))
	w.appends++
	return nil
}

// Close flushes; the writer must not be used afterwards.
func (w *LogWriter) Close(ctx context.Context) error { return w.Flush(ctx) }

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

func (r *logReader) open() (bool, error) {
	info, err := r.h.Objects().Stat(r.ctx, partKey(r.key, r.part))
	if errors.Is(err, azml.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if info.Size > r.offset {
		object, err := r.h.Objects().Get(r.ctx, info.Key, &backend.GetOptions{Offset: r.offset})
		if err != nil {
			return false, err
		}
		r.body = object.Body
		return true, nil
	}
	if _, err := r.h.Objects().Stat(r.ctx, partKey(r.key, r.part+1)); err != nil {
		if errors.Is(err, azml.ErrNotFound) {
			return false, nil
		}
		return false, err
	}
	r.part, r.offset = r.part+1, 0
	return r.open()
}

// Close implements io.Closer.
func (r *logReader) Close() error {
	if r.body != nil {
		return r.body.Close()
	}
	return nil
}

// LogNames gives the names of the run's logs, sorted.
func LogNames(ctx context.Context, h core.Handle, id string) ([]string, error) {
	var names []string
	prefix := LogKey(id, "")
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
