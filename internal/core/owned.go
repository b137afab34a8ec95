package core

import (
	"errors"
	"io"
	"reflect"
	"sync"
)

// owned are the things that were opened for the workspace and end with it, one
// of each type.
type owned struct {
	mu     sync.Mutex
	closed bool
	things map[reflect.Type]io.Closer
}

// Own gives the workspace's T. The first call opens it, and Close closes it when
// no task is left; opening must not take long, for others wait. Errors:
// ErrClosed when the workspace was closed, those of open.
func Own[T io.Closer](h Handle, open func(h Handle) (T, error)) (T, error) {
	o := &h.s.owned
	o.mu.Lock()
	defer o.mu.Unlock()
	if there, ok := o.things[reflect.TypeFor[T]()].(T); ok {
		return there, nil
	}
	var none T
	if o.closed {
		return none, errClosed
	}
	opened, err := open(h)
	if err != nil {
		return none, err
	}
	if o.things == nil {
		o.things = map[reflect.Type]io.Closer{}
	}
	o.things[reflect.TypeFor[T]()] = opened
	return opened, nil
}

// close closes all.
func (o *owned) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	var err error
	for _, thing := range o.things {
		err = errors.Join(err, thing.Close())
	}
	o.things = nil
	return err
}
