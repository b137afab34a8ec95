package keeper

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/image"
	"github.com/azml-go/azml/internal/record"
)

// slowTarget is one that starts a job late, and has no room for it until then or sooner.
type slowTarget struct {
	backend.OpenedCompute
	room, starts time.Time
}

func (s slowTarget) Start(ctx context.Context, _ backend.Job) error {
	select {
	case <-time.After(time.Until(s.starts)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slowTarget) Status(context.Context, string) (backend.JobStatus, error) {
	if time.Now().Before(s.room) {
		return backend.JobStatus{State: backend.JobRunning, Reason: "it waits for a node", WaitsForRoom: true}, nil
	}
	return backend.JobStatus{State: backend.JobRunning, Reason: "its container is being made"}, nil
}

// TestTimeToBegin is how long the agent of a run may take to begin, which is a quarter of
// an hour.
func TestTimeToBegin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		named        bool // the run has its limit from its submitter
		saves        bool
		room, starts time.Duration
		given        time.Duration // up, if it is
		says         string
	}{
		"soon":                            {starts: time.Minute, says: "its container is being made"},
		"there is no room for days":       {room: 72 * time.Hour, starts: 72*time.Hour + 10*time.Minute, says: "its container is being made"},
		"nor is it started then":          {room: 72 * time.Hour, starts: 100 * time.Hour, given: 72*time.Hour + 15*time.Minute, says: "its container is being made"},
		"it is not started":               {starts: time.Hour, given: 15 * time.Minute, says: "its container is being made"},
		"named, no room":                  {named: true, room: time.Hour, starts: time.Hour, given: 15 * time.Minute, says: "it waits for a node"},
		"named, soon after there is room": {named: true, room: 10 * time.Minute, starts: 20 * time.Minute, given: 15 * time.Minute, says: "its container is being made"},
		"an agent that saves":             {saves: true, room: time.Hour, starts: time.Hour, given: 15 * time.Minute, says: "it waits for a node"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, _ := NewAgent()
				a.Saves = c.saves
				k := keeperOf(t, record.Run{Status: record.Starting, Agent: a, Definition: &record.Definition{Compute: "slow", MaxStart: 15 * 60, WaitsForRoom: !c.named}})
				began := time.Now()
				k.launched, k.target = began, slowTarget{room: began.Add(c.room), starts: began.Add(c.starts)}
				err := k.start(t.Context(), backend.Job{ID: a.Job})
				stored, readErr := history.Get(t.Context(), k.h, "r")
				require.NoError(t, readErr)
				require.Equal(t, "compute target slow: "+c.says, stored.Value.WaitsFor)
				if c.given > 0 {
					require.ErrorIs(t, err, azml.ErrFailed)
					require.ErrorContains(t, err, "it did not begin within 15m0s: "+c.says)
					require.InDelta(t, c.given, time.Since(began), float64(lookEvery))
					return
				}
				require.NoError(t, err)
				require.False(t, k.overdue(stored.Value), "the agent is to take the run over")
				time.Sleep(15 * time.Minute)
				require.True(t, k.overdue(stored.Value))
			})
		})
	}
}

// slowImages is a target that makes an image late, and has no room for that until then or
// sooner.
type slowImages struct {
	slowTarget
	makesImages
}

// makesImages is backend.Images under a name that is none of its methods.
type makesImages interface{ backend.Images }

func (slowImages) DefaultImage() string { return "base" }

func (s slowImages) BuildImage(ctx context.Context, recipe backend.ImageRecipe, _ io.Writer) (backend.Image, error) {
	return backend.Image{Name: "made", Hash: recipe.Hash}, s.Start(ctx, backend.Job{})
}

// queuedImages tells of it.
type queuedImages struct{ slowImages }

func (q queuedImages) BuildStatus(ctx context.Context, hash string) (backend.JobStatus, error) {
	if hash != image.Hash(q, record.Environment{Name: "e", Version: "1"}) {
		return backend.JobStatus{}, azml.ErrNotFound
	}
	return q.Status(ctx, hash)
}

// TestTimeToMakeImage is how long the image of a run may take to be made, which is two
// hours.
func TestTimeToMakeImage(t *testing.T) {
	t.Parallel()
	const making = "the image of environment e:1 is made, or looked for"
	for name, c := range map[string]struct {
		named      bool // the run has its limit of the start from its submitter
		silent     bool // the target does not tell how it is
		room, made time.Duration
		given      time.Duration // up, if it is
		says       string        // behind what is made
	}{
		"soon":                      {made: time.Hour, says: ": its container is being made"},
		"there is no room for days": {room: 72 * time.Hour, made: 73 * time.Hour, says: ": its container is being made"},
		"nor is it made then":       {room: 72 * time.Hour, made: 100 * time.Hour, given: 74 * time.Hour, says: ": its container is being made"},
		"it is not made":            {made: 3 * time.Hour, given: 2 * time.Hour, says: ": its container is being made"},
		"named, no room":            {named: true, room: 3 * time.Hour, made: 3 * time.Hour, given: 2 * time.Hour, says: ": it waits for a node"},
		"nothing is told of it":     {silent: true, room: 3 * time.Hour, made: 3 * time.Hour, given: 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, _ := NewAgent()
				k := keeperOf(t, record.Run{Status: record.Starting, Agent: a, Definition: &record.Definition{Compute: "slow", MaxPrepare: 2 * 60 * 60, WaitsForRoom: !c.named}})
				began := time.Now()
				target := slowImages{slowTarget: slowTarget{room: began.Add(c.room), starts: began.Add(c.made)}}
				if k.target = (queuedImages{target}); c.silent {
					k.target = target
				}
				images, has := backend.As[backend.Images](k.target)
				require.True(t, has)
				made, err := k.build(t.Context(), images, record.Environment{Name: "e", Version: "1"}, io.Discard)
				stored, readErr := history.Get(t.Context(), k.h, "r")
				require.NoError(t, readErr)
				require.Equal(t, "compute target slow: "+making+c.says, stored.Value.WaitsFor)
				if c.given > 0 {
					require.ErrorIs(t, err, azml.ErrFailed)
					require.ErrorContains(t, err, "it was not done within 2h0m0s"+c.says)
					require.InDelta(t, c.given, time.Since(began), float64(lookEvery))
					return
				}
				require.NoError(t, err)
				require.Equal(t, "made", made.Name)
			})
		})
	}
}
