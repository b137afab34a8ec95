package kubernetes

import (
	"context"
	"encoding/json"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A Job whose command has not begun has a deadline, which whoever starts it moves on: when
// that process dies, Kubernetes itself ends the Job and takes it away, with its Secret and
// its service. A Job that is suspended in a queue has no deadline until it is admitted.

// starterDied is the reason of a job whose deadline nobody has moved on.
const starterDied = "the starting process died before the command ran"

// lease is for how long a Job goes on that nobody says anything of: longer than the API
// server may be away, which may be when the Job is to be kept.
func (d *Driver) lease() time.Duration { return 3 * d.opts.Patience }

// renewEvery is how often a Job's deadline is moved on.
func (d *Driver) renewEvery() time.Duration { return d.opts.Patience / 2 }

// expires gives a Job its first deadline. When it has ended by that, it is there for no
// longer: there is nothing of it to read.
func (d *Driver) expires(m *batchv1.Job) {
	m.Spec.ActiveDeadlineSeconds = new(seconds(d.lease()))
	m.Spec.TTLSecondsAfterFinished = new(int32(min(seconds(d.lease()), d.keepEnded())))
}

// keepEnded is for how many seconds a Job is there that has ended.
func (d *Driver) keepEnded() int64 {
	if d.target.KeepEnded == 0 {
		const usual = 7 * 24 * time.Hour
		return seconds(usual)
	}
	return seconds(d.target.KeepEnded)
}

// seconds are whole ones, of which there is at least one.
func seconds(t time.Duration) int64 { return max(1, int64((t+time.Second-1)/time.Second)) }

// keepStarting moves the deadline of a Job on until stop is called.
func (d *Driver) keepStarting(ctx context.Context, m *batchv1.Job) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.renew(ctx, m)
	}()
	return func() { cancel(); <-ended }
}

// renew moves a deadline on until ctx ends. Kubernetes counts it from when the Job was
// first to have pods, by a clock that may differ from ours: so it is counted from the last
// time that this was not yet so. What fails is tried again. It ends when somebody else
// has noted that the command runs, which has no deadline any more.
func (d *Driver) renew(ctx context.Context, of *batchv1.Job) {
	last := time.Now()
	since, started := last, (*metav1.Time)(nil)
	for pause(ctx, d.renewEvery()) {
		now := time.Now()
		deadline := seconds(passed(since, now) + d.lease())
		m, err := d.patch(ctx, of, nil, map[string]any{"activeDeadlineSeconds": deadline})
		if err == nil && m.Annotations[begunAnnotation] != "" {
			if m, err = d.patch(ctx, of, nil, map[string]any{"activeDeadlineSeconds": nil}); err == nil {
				return
			}
		}
		if err != nil {
			continue
		}
		if !m.Status.StartTime.Equal(started) { // a queue may take its place back, and give it anew
			since, started = last, m.Status.StartTime
		}
		if started == nil {
			since = now
		}
		last = now
	}
}

// passed is the time between two moments, also that in which the machine slept, of which
// only the one clock knows, while only the other is never set.
func passed(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// abandoned tells whether a Job has ended as nobody has moved its deadline on.
func (n node) abandoned() bool {
	c := n.finished()
	return n.job.Annotations[begunAnnotation] == "" && c != nil && c.Reason == batchv1.JobReasonDeadlineExceeded
}

// adopt has the command of a job go on whose starting process has died just when the
// command began: it notes that in its place. It ends when that is noted, or with ctx.
func (d *Driver) adopt(ctx context.Context, id string) {
	for pause(ctx, d.renewEvery()) {
		v, err := d.look(ctx, id)
		switch {
		case err != nil || !v.running():
		case v.job.Annotations[begunAnnotation] != "" && v.job.Spec.ActiveDeadlineSeconds == nil || d.begun(ctx, v.job, v.pods()) == nil:
			return
		}
	}
}

// patch adds annotations to a Job, and changes what is given of its specification.
// Errors: also ErrInvalid when another one has its name.
func (d *Driver) patch(ctx context.Context, of *batchv1.Job, annotations map[string]string, spec map[string]any) (*batchv1.Job, error) {
	metadata := map[string]any{"uid": of.UID}
	changes := map[string]any{"metadata": metadata}
	if annotations != nil { // null would take away all there are
		metadata["annotations"] = annotations
	}
	if spec != nil {
		changes["spec"] = spec
	}
	text, err := json.Marshal(changes)
	if err != nil {
		return nil, err
	}
	m, err := d.cluster.jobs.Patch(ctx, of.Name, types.MergePatchType, text, metav1.PatchOptions{})
	return m, classify(ctx, err)
}

// pause waits, and gives false when ctx ends before.
func pause(ctx context.Context, by time.Duration) bool {
	timer := time.NewTimer(by)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
