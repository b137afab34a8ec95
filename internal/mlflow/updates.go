package mlflow

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// updates changes the records of runs. Changes of one run that come while one
// is being written wait, and are written together: clients that log in the
// background send many small ones at once, and each write of a record costs the
// same, however much it changes.
type updates struct {
	mu     sync.Mutex
	queues map[string]*[]*update // by the run's ID, there while one is being written
}

// update is a change of a run's record that waits to be written.
type update struct {
	core   core.Handle
	note   core.Note
	change func(*record.Run) error
	done   chan struct{}
	lead   chan []*update // tells its request to write these, itself among them
	err    error
}

// updateTime bounds the writing of changes that may come from many requests.
const updateTime = time.Minute

// update changes the run's record, see history.Update. Others' changes may be
// written with it; if one fails, the others don't. It waits for the store even
// when ctx ends: others may wait for it.
func (c call) update(ctx context.Context, id string, note core.Note, change func(*record.Run) error) error {
	u := &update{core: c.core, note: note, change: change, done: make(chan struct{}), lead: make(chan []*update, 1)}
	c.updates.mu.Lock()
	queue := c.updates.queues[id]
	if queue != nil {
		*queue = append(*queue, u)
	} else {
		c.updates.queues[id] = &[]*update{}
	}
	c.updates.mu.Unlock()
	if queue == nil {
		u.lead <- []*update{u}
	}
	select {
	case together := <-u.lead:
		c.updates.write(ctx, id, together)
	case <-u.done:
	}
	return u.err
}

// write writes the changes, and lets the first of those that came meanwhile
// write the next ones.
func (us *updates) write(ctx context.Context, id string, together []*update) {
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateTime)
	defer cancel()
	_, err := history.Update(writing, together[0].core, id, together[0].note, func(r *record.Run) error { return apply(r, together) })
	for _, u := range together {
		if err != nil && u.err == nil {
			u.err = err
		}
		close(u.done)
	}
	if next := us.next(id); next != nil {
		next[0].lead <- next
	}
}

// apply makes all changes that can be made.
func apply(r *record.Run, together []*update) error {
	changed := false
	for _, u := range together {
		before := *r
		u.err = u.change(r)
		if u.err != nil {
			*r = before
		} else {
			changed = true
		}
		if errors.Is(u.err, core.ErrNoChange) {
			u.err = nil
		}
	}
	if !changed {
		return core.ErrNoChange
	}
	return nil
}

// next takes those of the waiting changes that can be written together: the
// same author makes them, and the audit log says the same of them.
func (us *updates) next(id string) []*update {
	us.mu.Lock()
	defer us.mu.Unlock()
	queue := us.queues[id]
	if len(*queue) == 0 {
		delete(us.queues, id)
		return nil
	}
	var together, rest []*update
	for i, u := range *queue {
		if first := (*queue)[0]; i == 0 || u.note == first.note && u.core.Who() == first.core.Who() {
			together = append(together, u)
		} else {
			rest = append(rest, u)
		}
	}
	*queue = rest
	return together
}
