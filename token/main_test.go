package token

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// process is one that uses the workspace in a store that all processes of a test
// share, with a clock that is put forward by hand.
type process struct {
	*Client
	objects *faulty.Objects
	clock   *atomic.Int64
}

func open(t testing.TB, shared backend.Objects, clock *atomic.Int64) *process {
	t.Helper()
	objects := faulty.New(shared, faulty.Plan{})
	h := core.New(core.Config{Objects: objects, Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Who: "owner@test",
		Workspace: record.Workspace{ID: "5e2e7b2c-0000-4000-8000-000000000000", Name: "test"},
		Now:       func() time.Time { return time.Unix(1_800_000_000, clock.Load()) }})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	return &process{NewClient(h), objects, clock}
}

func (p *process) advance(d time.Duration) { p.clock.Add(int64(d)) }

func (p *process) create(t *testing.T, name string, role Role) (*Token, string) {
	t.Helper()
	made, secret, err := p.Create(t.Context(), name, role, nil)
	require.NoError(t, err)
	return made, string(secret)
}

// setup opens the workspace for two processes.
func setup(t *testing.T) (one, other *process) {
	t.Helper()
	shared, clock := memory.NewObjects(), &atomic.Int64{}
	return open(t, shared, clock), open(t, shared, clock)
}
