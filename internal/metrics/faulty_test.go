package metrics

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

var errFault = errors.New("made by the test")

// faultyObjects fails at random: before the write, after it, or, when tearing
// is on, in the middle of it.
type faultyObjects struct {
	backend.Objects
	mu      sync.Mutex
	rand    *rand.Rand
	rate    float64
	tearing bool
	failed  int
}

func newFaulty(r *rand.Rand) *faultyObjects {
	return &faultyObjects{Objects: memory.NewObjects(), rand: rand.New(rand.NewPCG(r.Uint64(), 2))}
}

func (f *faultyObjects) draw() (fail bool, how int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rand.Float64() >= f.rate {
		return false, 0
	}
	f.failed++
	return true, f.rand.IntN(3)
}

func (f *faultyObjects) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	fail, how := f.draw()
	if !fail {
		return f.Objects.Append(ctx, key, offset, data)
	}
	if how == 2 && f.tearing {
		_, _ = f.Objects.Append(ctx, key, offset, data[:f.rand.IntN(len(data)+1)])
	} else if how > 0 {
		_, _ = f.Objects.Append(ctx, key, offset, data)
	}
	return backend.Info{}, fmt.Errorf("%w: append: %w", azml.ErrUnavailable, errFault)
}

func (f *faultyObjects) Stat(ctx context.Context, key string) (backend.Info, error) {
	if fail, _ := f.draw(); fail {
		return backend.Info{}, fmt.Errorf("%w: stat: %w", azml.ErrUnavailable, errFault)
	}
	return f.Objects.Stat(ctx, key)
}

func (f *faultyObjects) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if fail, _ := f.draw(); fail {
		return nil, fmt.Errorf("%w: get: %w", azml.ErrUnavailable, errFault)
	}
	return f.Objects.Get(ctx, key, opts)
}
