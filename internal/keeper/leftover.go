package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// leasesDir has the leases of agents' jobs, each in a file that is there until the job is
// removed.
func leasesDir(h core.Handle) string {
	return filepath.Join(h.CacheDir(), "keepers", h.Workspace().ID)
}

// leaseEnding ends the names of leases, after that of the job.
const leaseEnding = ".lock"

// leftover is what a lease says of the job, for who finds it when its keeper is gone.
type leftover struct {
	Run    string `json:"run"`
	Target string `json:"target"`
}

// note says in the lease what the job is. Of a cluster's nodes its scheduler takes care.
func (s *seat) note(r record.Run) error {
	if len(r.Agent.Nodes) > 0 {
		return nil
	}
	text, err := json.Marshal(leftover{r.ID, r.Definition.Compute})
	if err == nil {
		_, err = s.lease.WriteAt(text, 0)
	}
	return err
}

// tidy removes jobs from the target that keepers of this machine could not remove, since it
// did not answer until they ended: their runs are over, so nobody keeps them any more. It
// looks at some leases, whichever they are: most are of runs that go on.
func (k *keeper) tidy(ctx context.Context) {
	const most = 8
	leases, err := os.ReadDir(leasesDir(k.h))
	if err != nil {
		k.h.Logger().Warn("what other keepers have left could not be looked for", "error", err)
	}
	rand.Shuffle(len(leases), func(i, j int) { leases[i], leases[j] = leases[j], leases[i] }) //nolint:gosec // none of them is a secret
	for _, file := range leases[:min(most, len(leases))] {
		var of leftover
		text, err := os.ReadFile(filepath.Join(leasesDir(k.h), file.Name()))
		if err != nil || json.Unmarshal(text, &of) != nil || of.Target != k.run.Definition.Compute || !isOver(ctx, k.h, of.Run) {
			continue
		}
		job := strings.TrimSuffix(file.Name(), leaseEnding)
		lease, err := takeLease(k.h, job)
		if err != nil { // its keeper is there
			continue
		}
		err = k.target.Remove(ctx, job)
		giveUp(lease, err == nil || errors.Is(err, azml.ErrNotFound))
	}
}

// isOver tells whether a run has ended, or was deleted.
func isOver(ctx context.Context, h core.Handle, id string) bool {
	stored, err := history.Get(ctx, h, id)
	return errors.Is(err, azml.ErrNotFound) || err == nil && stored.Value.Status.Terminal()
}
