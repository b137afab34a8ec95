package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	clusters "github.com/azml-go/azml/scheduler"
)

const (
	// slots is how many runs the engine takes at once.
	slots = 8
	// slotRuns is how many one-second runs wait for them, bareRuns how many there are of
	// what stands beside them.
	slotRuns = 1000
	bareRuns = 80
	// slotTime bounds each part of the measurement: what has not ended by then is not
	// counted.
	slotTime = 3 * time.Minute
)

// measureSlots measures how well one-second runs use a full cluster, beside as many
// commands in containers that stay, and beside a container for each command.
func (b *bench) measureSlots(ctx context.Context) error {
	dir, err := b.sub("shared")
	if err != nil {
		return err
	}
	p, stop, err := dockerPlace(ctx, "", dir)
	if err != nil {
		fmt.Fprintln(b.log, "the use of slots is left out:", err)
		return nil
	}
	defer stop()
	ours, err := b.throughCluster(ctx, p)
	if err != nil {
		return err
	}
	host := p.config.(docker.Config).Host
	stay, remove, err := stayingContainers(ctx, host)
	if err != nil {
		return err
	}
	defer remove()
	kept, err := inSlots(ctx, slotRuns, func(ctx context.Context, slot int) error {
		return execHere(ctx, io.Discard, "docker", "-H", host, "exec", stay[slot], "/bin/sleep", "1")
	})
	if err != nil {
		return err
	}
	fresh, err := inSlots(ctx, bareRuns, func(ctx context.Context, _ int) error { return p.bare(ctx, b.log, "/bin/sleep", "1") })
	if err != nil {
		return err
	}
	b.report(figure{Name: fmt.Sprintf("cluster-slot-use-%d-slots", slots), Value: ours.percent(), Unit: "%",
		Floor:  &named{fmt.Sprintf("docker exec by %d workers in containers that stay, %d commands", slots, kept.runs), kept.percent()},
		Beside: []named{{fmt.Sprintf("docker run by %d workers, %d containers", slots, fresh.runs), fresh.percent()}, {"the goal", 95}},
		Ratio:  ours.percent() / kept.percent(), N: ours.runs, Note: "seconds that commands slept, of those that slots were there"})
	return nil
}

// use is how many one-second commands slots have run in some time.
type use struct {
	runs int
	took time.Duration
}

// percent gives how much of the slots' time that is.
func (u use) percent() float64 { return 100 * float64(u.runs) / slots / u.took.Seconds() }

// inSlots has as many workers as there are slots run commands of one second in turn.
func inSlots(ctx context.Context, runs int, command func(ctx context.Context, slot int) error) (use, error) {
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var begun, ended atomic.Int64
	var workers sync.WaitGroup
	start := time.Now()
	for slot := range slots {
		workers.Go(func() {
			for begun.Add(1) <= int64(runs) && time.Since(start) < slotTime && working.Err() == nil {
				if err := command(working, slot); err != nil {
					stop(err)
					return
				}
				ended.Add(1)
			}
		})
	}
	workers.Wait()
	return use{int(ended.Load()), time.Since(start)}, context.Cause(working)
}

// stayingContainers starts a container for each slot.
func stayingContainers(ctx context.Context, host string) (ids []string, remove func(), err error) {
	remove = func() {
		_ = execHere(context.WithoutCancel(ctx), io.Discard, append([]string{"docker", "-H", host, "rm", "-f"}, ids...)...) // the engine ends anyway
	}
	for range slots {
		var id strings.Builder
		err := execHere(ctx, &id, "docker", "-H", host, "run", "-d", "--init", "--network", "none", "--user", "65532:65532", testenv.DockerImage, "/bin/sleep", "infinity")
		if err != nil {
			remove()
			return nil, nil, err
		}
		ids = append(ids, strings.TrimSpace(id.String()))
	}
	return ids, remove, nil
}

// throughCluster gives how the slots are used by one-second runs, which all wait
// already, from the first decision on.
func (b *bench) throughCluster(ctx context.Context, p place) (use, error) {
	s, err := b.newSpaceOf(ctx, []backend.ComputeDriver{docker.Kind{}})
	if err != nil {
		return use{}, err
	}
	defer s.close(ctx)
	if _, err := s.Compute().Create(ctx, "box", p.config, nil); err != nil {
		return use{}, err
	}
	if _, err := s.Compute().Create(ctx, "pool", compute.Cluster{Members: []compute.Member{{Target: "box", Nodes: slots}}}, nil); err != nil {
		return use{}, err
	}
	exp, err := s.Experiments().CreateOrUpdate(ctx, "bench", nil)
	if err != nil {
		return use{}, err
	}
	source, err := b.sub("source")
	if err != nil {
		return use{}, err
	}
	config := experiment.ScriptRunConfig{Source: source, Command: []string{"/bin/sleep", "1"}, Compute: "box"}
	first, err := exp.Submit(ctx, config, nil) // makes the image
	if err == nil {
		err = first.Wait(ctx, nil)
	}
	if err != nil {
		return use{}, err
	}
	config.Compute = "pool"
	var waiting []*run.Run
	for r, err := range exp.SubmitEach(ctx, config, copies(slotRuns), nil) {
		if err != nil {
			return use{}, err
		}
		waiting = append(waiting, r)
	}
	return scheduled(ctx, s, waiting)
}

// scheduled has runs that wait scheduled until they have ended, or time is up.
func scheduled(ctx context.Context, s *space, waiting []*run.Run) (use, error) {
	scheduling, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	begun := time.Now()
	go func() {
		defer close(ended)
		_ = clusters.Run(scheduling, s.Workspace, nil) // it ends with its context
	}()
	defer func() { stop(); <-ended }()
	limited, enough := context.WithTimeout(ctx, slotTime)
	defer enough()
	for _, r := range waiting {
		if err := r.Wait(limited, nil); err != nil && limited.Err() == nil {
			return use{}, err
		}
	}
	u := use{took: time.Since(begun)}
	for _, r := range waiting {
		if err := r.Refresh(ctx); err != nil {
			return use{}, err
		}
		if r.Status() == run.StatusCompleted && r.Details().Ended.Sub(begun) <= u.took {
			u.runs++
		}
	}
	return u, nil
}
