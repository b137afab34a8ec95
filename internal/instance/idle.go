package instance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/internal/pause"
)

// jupyter is a Jupyter server.
type jupyter struct {
	cmd   *exec.Cmd
	port  int
	token string
	base  string
}

// get asks Jupyter, which does not take that for use.
func (j *jupyter) get(ctx context.Context, path string, answer any) error {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, j.base+path+"?no_track_activity=1", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "token "+j.token)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: Jupyter answers %s", azml.ErrUnavailable, got.Status)
	}
	return json.NewDecoder(got.Body).Decode(answer)
}

// answers waits until Jupyter answers.
func (j *jupyter) answers(ctx context.Context) error {
	for {
		var version map[string]any
		if j.get(ctx, "/api", &version) == nil {
			return nil
		}
		if !pause.For(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// unused waits until nobody has used the instance for its time, and gives false when
// ctx ends before.
func (j *jupyter) unused(ctx context.Context, s Setup) bool {
	if s.IdleShutdown <= 0 {
		<-ctx.Done()
		return false
	}
	const often = 30 * time.Second
	for last := time.Now(); ; {
		if !pause.For(ctx, min(s.IdleShutdown/4, often)) {
			return false
		}
		// What does not answer may be busy.
		if used, err := j.lastUsed(ctx, s.Jobs); err != nil {
			last = time.Now()
		} else if used.After(last) {
			last = used
		}
		if time.Since(last) >= s.IdleShutdown {
			return true
		}
	}
}

// lastUsed tells when the instance was used last, now when it is: by a kernel that
// computes, or a job.
func (j *jupyter) lastUsed(ctx context.Context, jobs string) (time.Time, error) {
	if running, err := runsJob(ctx, jobs); running || err != nil {
		return time.Now(), err
	}
	var kernels []struct {
		State string `json:"execution_state"`
	}
	if err := j.get(ctx, "/api/kernels", &kernels); err != nil {
		return time.Time{}, err
	}
	for _, k := range kernels {
		if k.State == "busy" || k.State == "starting" {
			return time.Now(), nil
		}
	}
	var status struct {
		LastActivity time.Time `json:"last_activity"`
	}
	err := j.get(ctx, "/api/status", &status)
	return status.LastActivity, err
}

// runsJob tells whether a job runs in the folder.
func runsJob(ctx context.Context, dir string) (bool, error) {
	jobs, err := process.New(dir, nil)
	if err != nil {
		return false, err
	}
	defer jobs.Close()
	for job, err := range jobs.List(ctx) {
		if err != nil || job.State == backend.JobRunning {
			return err == nil, err
		}
	}
	return false, nil
}
