package core

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup opens a handle on the objects that is closed with the test.
func setup(t *testing.T, objects backend.Objects) Handle {
	t.Helper()
	return setupConfig(t, Config{Objects: objects})
}

func setupConfig(t *testing.T, config Config) Handle {
	t.Helper()
	config.Secrets, config.CacheDir = memory.NewSecrets(), t.TempDir()
	h := New(config)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, h.Close(ctx))
	})
	return h
}

func experimentRef(name string) Ref {
	return Ref{Kind: "experiment", Name: name, Key: "experiments/" + name + ".json"}
}

func experiment(name string) record.Experiment {
	return record.Experiment{ID: NewUUID(), Name: name}
}

// hooked is a store that calls before each Put, Append or Stat of a key.
type hooked struct {
	backend.Objects
	put    func(key string, do func() (backend.Info, error)) (backend.Info, error)
	append func(key string, do func() (backend.Info, error)) (backend.Info, error)
	gets   atomic.Int64
}

func (o *hooked) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	o.gets.Add(1)
	return o.Objects.Get(ctx, key, opts)
}

func (o *hooked) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	do := func() (backend.Info, error) { return o.Objects.Put(ctx, key, content, opts) }
	if o.put == nil {
		return do()
	}
	return o.put(key, do)
}

func (o *hooked) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	do := func() (backend.Info, error) { return o.Objects.Append(ctx, key, offset, data) }
	if o.append == nil {
		return do()
	}
	return o.append(key, do)
}
