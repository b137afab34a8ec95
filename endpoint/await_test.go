package endpoint

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// TestAwaitEnds: who waits for a deployment does so no longer than those who are to try it
// may be away, whether they have died, have ended in order, or can't try it; where nobody has
// served the endpoint yet, as long as he wants.
func TestAwaitEnds(t *testing.T) {
	t.Parallel()
	silent := func(o *record.Owner) { o.Host = "elsewhere" }
	for name, c := range map[string]struct {
		dies  func(*record.Owner) // how the process that serves it is known to be dead; nil without one
		ends  bool                // it removes its record, after a minute
		lacks string              // why it can't try what is new
		class error
		says  string
		took  time.Duration
	}{
		"killed":       {func(o *record.Owner) { o.PID, o.Started = 1<<30, 1 }, false, "", azml.ErrUnavailable, "has ended", returnTime},
		"silent":       {silent, false, "", azml.ErrUnavailable, "has ended", 2*time.Minute + returnTime},
		"ended":        {silent, true, "", azml.ErrUnavailable, "azml endpoint serve svc", time.Minute + returnTime},
		"can't try it": {func(*record.Owner) {}, false, "no such function", azml.ErrUnavailable, "what is new: no such function; what was deployed is kept", returnTime},
		"never served": {nil, false, "", context.DeadlineExceeded, "", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := core.New(core.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Workspace: record.Workspace{ID: "w"}})
				defer func() { require.NoError(t, h.Close(context.Background())) }()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				e, err := NewClient(h).Propose(ctx, "svc", Config{Handler: func(context.Context, json.RawMessage) (any, error) { return nil, nil }}, nil)
				require.NoError(t, err)
				if c.dies != nil {
					host := record.EndpointHost{ID: "0a0b", Endpoint: e.record().ID, Owner: h.Owner(), State: record.EndpointHealthy,
						Declined: &record.DeclinedRevision{ID: "another", Reason: "over"}}
					if c.lacks != "" {
						host.Declined = &record.DeclinedRevision{ID: e.record().Candidate.ID, Reason: c.lacks}
					}
					c.dies(&host.Owner)
					_, err := core.CreateQuiet(ctx, h, core.HostPrefix("svc")+host.ID+".json", host)
					require.NoError(t, err)
				}
				if c.ends {
					time.AfterFunc(time.Minute, func() { _ = NewClient(h).removeBelow(ctx, core.HostPrefix("svc")) })
				}
				began := time.Now()
				err = e.AwaitDeployed(ctx, nil)
				require.ErrorIs(t, err, c.class)
				require.ErrorContains(t, err, c.says)
				require.InDelta(t, c.took.Seconds(), time.Since(began).Seconds(), 2*awaitMost.Seconds())
			})
		})
	}
}
