package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
)

// auditLog appends audit lines. Each process has objects of its own. Lines of
// many goroutines that come while one append is under way go out together in
// the next, so that durability costs one write for all of them.
type auditLog struct {
	state  *state
	writer string

	mu      sync.Mutex
	pending *auditBatch
	writing bool
	done    sync.WaitGroup

	day    string // the rest belongs to the goroutine that writes
	part   int
	offset int64
	lines  int
}

type auditBatch struct {
	data  []byte
	ready chan struct{}
	err   error
}

// Appends per object stay far below the 50,000 blocks of an Azure blob.
const auditAppends = 10_000

// auditTries bounds how many objects are tried one after the other.
const auditTries = 5

// auditTimeout bounds one append; the callers who wait have contexts of their own.
const auditTimeout = time.Minute

func (a *auditLog) init(s *state) { a.state, a.writer = s, NewID(8) }

func (a *auditLog) close() { a.done.Wait() }

// add returns when the line is durable.
func (a *auditLog) add(ctx context.Context, line record.Audit) error {
	data, err := record.EncodeAudit(line)
	if err != nil {
		return err
	}
	a.mu.Lock()
	if a.pending == nil {
		a.pending = &auditBatch{ready: make(chan struct{})}
	}
	batch := a.pending
	batch.data = append(batch.data, data...)
	if !a.writing {
		a.writing = true
		a.done.Go(a.writeAll)
	}
	a.mu.Unlock()
	select {
	case <-batch.ready:
		return batch.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeAll writes batches until none is pending.
func (a *auditLog) writeAll() {
	for {
		a.mu.Lock()
		batch := a.pending
		a.pending = nil
		if batch == nil {
			a.writing = false
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		batch.err = a.append(batch.data)
		close(batch.ready)
	}
}

// append writes to the current object. After a failure, when nobody knows what
// the object holds, it goes on in a new one: at once after a conflict, which is what
// a write that was cut off leaves. Lines that are there twice have the same ID.
func (a *auditLog) append(data []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), auditTimeout)
	defer cancel()
	if day := a.state.Now().UTC().Format(time.DateOnly); day != a.day || a.lines >= auditAppends {
		a.day = day
		a.nextPart()
	}
	err := a.appendHere(ctx, data)
	for tries := 1; errors.Is(err, azml.ErrConflict) && tries < auditTries; tries++ {
		err = a.appendHere(ctx, data)
	}
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// appendHere writes to the current object; after a failure, the next one is. A
// conflict may be with our own write, which somebody on the way has sent twice:
// nobody else writes here, so the size tells.
func (a *auditLog) appendHere(ctx context.Context, data []byte) error {
	key := fmt.Sprintf("audit/%s/%s-%d.jsonl", a.day, a.writer, a.part)
	end := a.offset + int64(len(data))
	_, err := a.state.Objects.Append(ctx, key, a.offset, data)
	if errors.Is(err, azml.ErrConflict) {
		if there, statErr := a.state.Objects.Stat(ctx, key); statErr == nil && there.Size == end {
			err = nil
		}
	}
	if err != nil {
		a.nextPart()
		return err
	}
	a.offset = end
	a.lines++
	return nil
}

func (a *auditLog) nextPart() { a.part, a.offset, a.lines = a.part+1, 0, 0 }

// event is one change in the audit log. It is written before the change, so
// that no change is without its line; when the change fails, a second line
// with the same ID says so. A nil event does nothing.
type event struct {
	h    Handle
	line record.Audit
}

func (h Handle) begin(ctx context.Context, op string, ref Ref, detail string) (*event, error) {
	e := &event{h: h, line: record.Audit{ID: NewID(8), Time: h.Now(), Who: h.Who(), From: program(h.s.owner),
		Op: op, Kind: ref.Kind, Name: ref.Name, Detail: detail}}
	if err := h.s.audit.add(ctx, e.line); err != nil {
		return nil, err
	}
	return e, nil
}

// telling is beginOrRename in the background. What it gives waits until the line
// is durable.
func (h Handle) telling(ctx context.Context, e *event, op string, ref Ref) (told func() (*event, error)) {
	var err error
	var writing sync.WaitGroup
	writing.Go(func() { e, err = h.beginOrRename(ctx, e, op, ref) })
	return func() (*event, error) {
		writing.Wait()
		return e, err
	}
}

// beginOrRename begins an event, or says that the one begun is about another
// name: of lines with the same ID the last one counts.
func (h Handle) beginOrRename(ctx context.Context, e *event, op string, ref Ref) (*event, error) {
	if e == nil {
		return h.begin(ctx, op, ref, "")
	}
	e.line.Name = ref.Name
	return e, h.s.audit.add(ctx, e.line)
}

// tell begins an event, or corrects what the one that was begun says: of lines
// with the same ID the last one counts.
func (h Handle) tell(ctx context.Context, e *event, op string, ref Ref, detail string) (*event, error) {
	if e == nil {
		return h.begin(ctx, op, ref, detail)
	}
	if e.line.Detail == detail {
		return e, nil
	}
	e.line.Detail = detail
	return e, h.s.audit.add(ctx, e.line)
}

// end notes a failure and hands err on.
func (e *event) end(ctx context.Context, err error) error {
	if e == nil || err == nil {
		return err
	}
	e.line.Failure = classify(err).Error()
	if auditErr := e.h.s.audit.add(context.WithoutCancel(ctx), e.line); auditErr != nil {
		return errors.Join(err, auditErr)
	}
	return err
}

// Audit leaves an audit line for a change that is not a record's, such as one
// of a secret, and hands on what do returns.
func (h Handle) Audit(ctx context.Context, op string, ref Ref, detail string, do func() error) error {
	e, err := h.begin(ctx, op, ref, detail)
	if err != nil {
		return err
	}
	return e.end(ctx, do())
}

func program(o record.Owner) string {
	name := "unknown"
	if len(os.Args) > 0 {
		name = filepath.Base(os.Args[0])
	}
	return fmt.Sprintf("%s[%d]@%s", name, o.PID, o.Host)
}
