package metrics

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

// Writer logs points to a run. When Log or Append returns, the point survives
// the death of the process; when Flush returns, it is durable in the store. A
// Writer is safe for concurrent use, starts no goroutine, and must be closed.
// Its memory grows with the number of names, not of points.
type Writer struct {
	log *Log
	id  string
	due chan struct{}

	mu      sync.Mutex // what Log needs; never held during I/O but for the next spool file
	lock    *spoolLock
	file    *spoolFile
	names   map[string]*writerName
	seq     uint64
	shipped uint64
	closed  bool
	cancel  context.CancelFunc // ends the shipping that goes on, nil when none does

	shipping chan struct{} // holds a token while somebody ships
	drain    *drain        // belongs to who holds the token
}

// writerName is what a writer knows of a metric's name.
type writerName struct {
	kind   kindCode
	logged bool
	slots  [typeEnd]slot
}

// NewWriter makes a writer with an ID of its own. Any number of writers may
// log to a run, from this process and others. Cost: two new files, no request
// to the store. Errors: ErrInvalid when the log has no spool folder,
// ErrUnavailable when the folder can't be written or the disk is full.
func (l *Log) NewWriter() (*Writer, error) {
	if l.spool == "" {
		return nil, fmt.Errorf("%w: the metric log %q was opened without a spool folder, so it can only be read", azml.ErrInvalid, l.prefix)
	}
	id, lock, err := l.newLock()
	if err != nil {
		return nil, fmt.Errorf("%w: make spool folder and lock for metrics: %w", azml.ErrUnavailable, err)
	}
	w := &Writer{
		log: l, id: id, lock: lock, names: make(map[string]*writerName),
		due: make(chan struct{}, 1), shipping: make(chan struct{}, 1),
	}
	w.drain = &drain{ship: shipper{log: l, writer: id, number: 1}, dir: l.spool, after: w.after}
	if w.file, err = w.nextFile(0, 0); err != nil {
		lock.remove()
		l.spool.removeEmpty()
		return nil, err
	}
	return w, nil
}

// lockTries bounds newLock where a folder that was made is never there.
const lockTries = 1000

// newLock makes the folder, draws an ID and locks it: from then on the folder
// is not empty and stays. Until then somebody may come in between: a writer
// that closes deletes the folder, a recovery the lock file. Then it begins again.
func (l *Log) newLock() (string, *spoolLock, error) {
	for range lockTries {
		err := os.MkdirAll(string(l.spool), 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue // somebody else made it and has deleted it again
		}
		if err != nil {
			return "", nil, err
		}
		var b [writerIDLen / 2]byte
		_, _ = rand.Read(b[:]) // never fails, says its documentation
		id := hex.EncodeToString(b[:])
		lock, ok, err := tryLock(l.spool.lock(id))
		if ok || err != nil {
			return id, lock, err
		}
	}
	return "", nil, fmt.Errorf("%s is gone whenever it has been made, or is a link to nowhere", l.spool)
}

func (w *Writer) nextFile(number uint32, need int) (*spoolFile, error) {
	size := w.log.limits.spoolMax
	if number < 4 {
		size = min(size, w.log.limits.spoolMin<<(2*number))
	}
	header := spoolHeader{writer: w.id, number: number, first: w.seq + 1, prefix: w.log.prefix}
	return createSpool(w.log.spool.file(w.id, number), header, size, need)
}

// ID gives the writer's ID, 16 hexadecimal digits.
func (w *Writer) ID() string { return w.id }

// Stored gives the number of points that are durable in the store.
func (w *Writer) Stored() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shipped
}

// Log logs one number. A zero time means now. It takes well below a
// microsecond and allocates nothing, but for the first point of a name and now
// and then a new spool file. Errors: ErrInvalid when the name is empty, is not
// UTF-8 or has another kind in this writer; ErrUnavailable when the disk is
// full; ErrClosed. After an error the point is not logged.
func (w *Writer) Log(name string, value float64, step int64, t time.Time) error {
	return w.append(name, codeScalar, raw{typ: typeFloat, bits: math.Float64bits(value)}, step, t)
}

// Append logs a point of any kind; see Point.Value for what it takes. Lists
// and tables without an element log nothing. Writer and Seq of the point are
// not looked at. Errors: as Log, and ErrInvalid for a value that does not fit
// the kind.
func (w *Writer) Append(p Point) error {
	kind := p.Kind.code()
	if kind == 0 {
		return fmt.Errorf("%w: metric %q has the unknown kind %q; the kinds are %v", azml.ErrInvalid, p.Name, p.Kind, Kinds())
	}
	v, some, err := encode(kind, p.Value)
	if err != nil {
		return fmt.Errorf("metric %q: %w", p.Name, err)
	}
	if !some {
		return nil
	}
	return w.append(p.Name, kind, v, p.Step, p.Time)
}

func (w *Writer) append(name string, kind kindCode, v raw, step int64, t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.errClosed()
	}
	n, err := w.name(name, kind)
	if err != nil {
		return err
	}
	if t.IsZero() {
		t = w.log.now()
	}
	nanos, err := unixNano(t)
	if err != nil {
		return err
	}
	if !w.file.fits(room(name, v)) {
		if err := w.roll(room(name, v)); err != nil {
			return err
		}
	}
	if err := w.file.put(&n.slots[v.typ], name, kind, v, step, nanos); err != nil {
		return err
	}
	if !n.logged {
		n.logged = true
		w.names[name] = n
	}
	w.seq++
	if w.seq-w.shipped == uint64(w.log.limits.framePoints) {
		w.signal()
	}
	return nil
}

func (w *Writer) errClosed() error {
	return fmt.Errorf("%w: writer %s of metrics", azml.ErrClosed, w.id)
}

// name gives what is known of the name. A new one is kept when its first point
// is logged.
func (w *Writer) name(name string, kind kindCode) (*writerName, error) {
	n := w.names[name]
	switch {
	case n == nil && (name == "" || !utf8.ValidString(name)):
		return nil, fmt.Errorf("%w: metric name %.60q is empty or not UTF-8", azml.ErrInvalid, name)
	case n == nil:
		n = &writerName{kind: kind}
	case n.kind != kind:
		return nil, fmt.Errorf("%w: metric %q is a %s and can't be logged as a %s; use another name",
			azml.ErrInvalid, name, n.kind.kind(), kind.kind())
	}
	return n, nil
}

// roll goes on with the next spool file.
func (w *Writer) roll(need int) error {
	next, err := w.nextFile(w.file.number+1, need)
	if err != nil {
		return err
	}
	if err := w.file.m.close(); err != nil {
		w.log.logger.Warn("full spool file of metrics can't be closed", "error", err)
	}
	w.file = next
	return nil
}

func (w *Writer) after(number uint32) (uint32, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return number + 1, number < w.file.number
}

func (w *Writer) signal() {
	select {
	case w.due <- struct{}{}:
	default:
	}
}

// Due gives a channel that receives when enough points wait for a Flush to be
// worth while before its usual time.
func (w *Writer) Due() <-chan struct{} { return w.due }

// Run flushes every Options.FlushInterval, and when Due says so, until ctx is
// done. A store that fails is logged and tried again: the points wait in the
// spool. The owner starts it in a goroutine of its own, or calls Flush instead.
func (w *Writer) Run(ctx context.Context) {
	tick := time.NewTicker(w.log.flush)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.due:
		}
		err := w.Flush(ctx)
		if errors.Is(err, azml.ErrClosed) {
			return
		}
		if err != nil && ctx.Err() == nil {
			w.log.logger.WarnContext(ctx, "metrics could not be shipped; they wait in the spool", "writer", w.id, "error", err)
		}
	}
}

// Flush makes all points whose Log or Append has returned durable in the
// store. It does not hold up Log. After an error, such as ErrUnavailable, the
// points are still in the spool and the next Flush goes on where this one
// ended. Cost: one append for some 30,000 points. Errors: ErrClosed, those of
// the store, ErrDamaged when the spool file was damaged by somebody.
func (w *Writer) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("flush metrics: %w", err)
	}
	select {
	case w.shipping <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("flush metrics: %w", ctx.Err())
	}
	defer func() { <-w.shipping }()
	w.mu.Lock()
	closed := w.closed
	w.mu.Unlock()
	if closed {
		return w.errClosed()
	}
	return w.ship(ctx)
}

// ship ships what has been logged by now.
func (w *Writer) ship(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	goal := w.seq
	w.cancel = cancel
	w.mu.Unlock()
	err := w.drain.upTo(ctx, goal)
	w.mu.Lock()
	w.shipped = w.drain.shipped
	w.cancel = nil
	w.mu.Unlock()
	if errors.Is(err, errDrained) {
		return damagedAt(w.drain.path(), w.drain.reader.off, errors.New("points that were logged can't be read back"))
	}
	return err
}

// Close flushes and deletes the spool files, and their folder when no other
// writer has files there. The writer is closed in any case,
// and later calls give ErrClosed; after an error the spool files stay and
// Recover ships them.
func (w *Writer) Close(ctx context.Context) error {
	if err := w.stop(); err != nil {
		return err
	}
	w.awaitShipping(ctx)
	defer func() { <-w.shipping }()
	err := w.ship(ctx)
	w.drain.close()
	if err != nil {
		w.lock.release()
		return fmt.Errorf("metrics stay in the spool until they are recovered: %w", err)
	}
	w.drain.done = append(w.drain.done, w.left()...)
	w.drain.clean()
	w.lock.remove()
	w.log.spool.removeEmpty()
	return nil
}

// awaitShipping waits for a Flush that goes on, and ends it when ctx is done.
func (w *Writer) awaitShipping(ctx context.Context) {
	select {
	case w.shipping <- struct{}{}:
		return
	case <-ctx.Done():
	}
	w.mu.Lock()
	if w.cancel != nil {
		w.cancel()
	}
	w.mu.Unlock()
	w.shipping <- struct{}{}
}

// stop ends the logging.
func (w *Writer) stop() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.errClosed()
	}
	w.closed = true
	if err := w.file.m.close(); err != nil {
		w.log.logger.Warn("spool file of metrics can't be closed", "error", err)
	}
	return nil
}

// left is the files that the drain has not passed.
func (w *Writer) left() []uint32 {
	var numbers []uint32
	for n := w.drain.number; n <= w.file.number; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}
