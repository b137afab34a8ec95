package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// silent is a store that never answers.
type silent struct{ backend.Objects }

func (silent) Get(ctx context.Context, _ string, _ *backend.GetOptions) (*backend.Object, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestSealIsGivenUp has the store fall silent when the run has ended: the agent ends, too.
func TestSealIsGivenUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := core.New(core.Config{Objects: silent{memory.NewObjects()}, Secrets: memory.NewSecrets(), CacheDir: dir})
		d := &drive{h: h, run: record.Run{ID: "r"}}
		began := time.Now()
		d.seal(t.Context())
		require.Equal(t, finishTime, time.Since(began))
		require.NoError(t, h.Close(context.Background()))
	})
}
