package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// node is what the cluster says of a job on one of its nodes.
type node struct {
	job *batchv1.Job
	// pod is nil before there is one, and when it is gone.
	pod *corev1.Pod
}

// errNoJob is azml.ErrNotFound of a job, and of nothing that belongs to one.
var errNoJob = fmt.Errorf("%w", azml.ErrNotFound)

// look asks for a job. It is two requests.
func (d *Driver) look(ctx context.Context, id string) (view, error) {
	job, err := d.cluster.jobs.Get(ctx, d.name(id), metav1.GetOptions{})
	if err = classify(ctx, err); errors.Is(err, azml.ErrNotFound) {
		return view{}, fmt.Errorf("%w: job %q", errNoJob, id)
	}
	if err != nil {
		return view{}, err
	}
	pods, err := d.cluster.pods.List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job.Name})
	if err != nil {
		return view{}, classify(ctx, err)
	}
	v := newView(job)
	v.version = pods.ResourceVersion
	for i := range pods.Items {
		v.take(&pods.Items[i])
	}
	return v, nil
}

// container is the state of the pod's own container, zero when there is none.
func (n node) container() corev1.ContainerStatus {
	if n.pod != nil {
		for _, c := range n.pod.Status.ContainerStatuses {
			if c.Name == containerName {
				return c
			}
		}
	}
	return corev1.ContainerStatus{}
}

// condition gives a condition of the Job that is true, nil when there is none.
func (n node) condition(kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i, c := range n.job.Status.Conditions {
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return &n.job.Status.Conditions[i]
		}
	}
	return nil
}

// finished gives the condition that says that the Job has ended.
func (n node) finished() *batchv1.JobCondition {
	for _, kind := range []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobComplete, batchv1.JobFailureTarget} {
		if c := n.condition(kind); c != nil {
			return c
		}
	}
	return nil
}

// unreachable tells whether the pod's node has gone without a word, so that
// Kubernetes has given the pod up.
func (n node) unreachable() bool {
	return n.pod != nil && n.pod.DeletionTimestamp != nil && time.Since(n.pod.DeletionTimestamp.Time) > time.Minute && n.container().State.Terminated == nil
}

// ended tells whether nothing of the job runs, or ever will.
func (n node) ended() bool {
	if n.job.Annotations[endedAnnotation] != "" && (n.pod == nil || n.podEnded()) {
		return true
	}
	if n.pod == nil {
		return n.finished() != nil || n.job.Annotations[begunAnnotation] != ""
	}
	return n.podEnded() || n.unreachable()
}

func (n node) podEnded() bool {
	return n.container().State.Terminated != nil || n.pod.Status.Phase == corev1.PodFailed || n.pod.Status.Phase == corev1.PodSucceeded
}

// startPatience is how long a pod may run until its command does. Later its starter
// is dead.
const startPatience = 5 * time.Minute

// status says in the seam's words how the job is.
func (n node) status() backend.JobStatus {
	s := backend.JobStatus{ID: n.job.Annotations[jobAnnotation], State: backend.JobRunning, Started: n.job.CreationTimestamp.UTC()}
	if n.ended() {
		return n.final(s)
	}
	running := n.container().State.Running
	switch {
	case running == nil:
		s.Reason, s.WaitsForRoom = n.waitsFor()
	case n.job.Annotations[begunAnnotation] == "":
		s.Started, s.Reason = running.StartedAt.UTC(), "it is being started"
		if time.Since(s.Started) > startPatience {
			s.Reason = starterDied
		}
	default:
		s.Started = running.StartedAt.UTC()
		if n.pod.DeletionTimestamp != nil {
			s.Reason = "its pod is being deleted: " + n.disruption()
		}
	}
	return s
}

// suspended tells whether a Job is to have no pods yet.
func suspended(m *batchv1.Job) bool { return m.Spec.Suspend != nil && *m.Spec.Suspend }

// waitsFor says in words why a pod does not run yet, and whether that is for want of room.
func (n node) waitsFor() (what string, room bool) {
	if n.pod == nil {
		if suspended(n.job) {
			if queue := n.job.Labels[queueLabel]; queue != "" {
				return "it waits for the queue " + queue, true
			}
			return "its Job is suspended", true
		}
		return "it waits for its pod", false
	}
	for _, c := range n.pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "it waits for a node: " + c.Message, true
		}
	}
	if w := n.container().State.Waiting; w != nil {
		return strings.TrimSuffix(fmt.Sprintf("its container waits: %s: %s", w.Reason, w.Message), ": "), false
	}
	return "its container is being made", false
}

// disruption says in words why Kubernetes has ended a pod by itself.
func (n node) disruption() string {
	for _, c := range n.pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return fmt.Sprintf("%s: %s", c.Reason, c.Message)
		}
	}
	if n.pod.Status.Reason != "" {
		return strings.TrimSuffix(fmt.Sprintf("%s: %s", n.pod.Status.Reason, n.pod.Status.Message), ": ")
	}
	return ""
}

// final says how the job has ended.
func (n node) final(s backend.JobStatus) backend.JobStatus {
	var told backend.JobStatus
	if text := n.job.Annotations[endedAnnotation]; text != "" && json.Unmarshal([]byte(text), &told) == nil {
		return told
	}
	if n.abandoned() {
		s.State, s.Reason = backend.JobLost, starterDied
		return s
	}
	if n.pod == nil {
		s.State, s.Reason = backend.JobLost, "its pod is gone"
		if c := n.finished(); c != nil && c.Message != "" {
			s.Reason += ": " + c.Message
		}
		return s
	}
	end := n.container().State.Terminated
	if end == nil {
		s.State, s.Reason = backend.JobLost, strings.TrimSuffix("its pod ended without a word: "+n.disruption(), ": ")
		if n.unreachable() {
			s.Reason = fmt.Sprintf("its node %s does not answer", n.pod.Spec.NodeName)
		}
		return s
	}
	if o, err := jobs.UnmarshalOutcome([]byte(end.Message)); err == nil && o.Err == nil {
		s = o.Status
	} else {
		s.Started, s.Ended = end.StartedAt.UTC(), end.FinishedAt.UTC()
		s.State, s.ExitCode = backend.JobExited, int(end.ExitCode)
		if signal := syscall.Signal(end.ExitCode - 128); signal > 0 {
			s.State, s.ExitCode, s.Reason = backend.JobKilled, 0, fmt.Sprintf("killed by signal %d (%s)", signal, signal)
		}
	}
	return n.explain(s, end)
}

// explain adds why the cluster has ended a job.
func (n node) explain(s backend.JobStatus, end *corev1.ContainerStateTerminated) backend.JobStatus {
	reason := n.disruption()
	if end.Reason == "OOMKilled" && s.State == backend.JobKilled {
		limit := n.pod.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]
		reason = "it ran out of memory: its limit was " + limit.String()
	}
	if reason != "" {
		s.State, s.ExitCode, s.Reason = backend.JobKilled, 0, reason
	}
	return s
}

// failure is the error of a job whose pod has ended before its command ran, nil when
// it did run.
func (n node) failure(id string) error {
	if end := n.container().State.Terminated; end != nil {
		if o, err := jobs.UnmarshalOutcome([]byte(end.Message)); err == nil {
			return o.Err
		}
		if end.Reason == "StartError" || end.Reason == "ContainerCannotRun" {
			return fmt.Errorf("%w: job %q: image %s: %s", azml.ErrInvalid, id, n.pod.Spec.Containers[0].Image, end.Message)
		}
	}
	s := n.final(backend.JobStatus{ID: id})
	if s.Reason == "" {
		s.Reason = fmt.Sprintf("its pod ended with exit code %d", s.ExitCode)
	}
	return fmt.Errorf("%w: job %q: %s", azml.ErrFailed, id, s.Reason)
}

// Status implements backend.Compute. It is two requests, and for a job that has no pod one
// more, or two when it is in a queue.
func (d *Driver) Status(ctx context.Context, id string) (backend.JobStatus, error) {
	v, err := d.look(ctx, id)
	if err != nil {
		return backend.JobStatus{}, err
	}
	s := v.status()
	switch {
	case s.State != backend.JobRunning || !slices.ContainsFunc(v.nodes, func(n node) bool { return n.pod == nil }):
	case suspended(v.job):
		if said := d.queueSays(ctx, v.job); said != "" {
			s.Reason += ": " + said
		}
	default:
		if said, err := d.lastEvent(ctx, v.job.Name, ""); err == nil && said != nil && said.Type == corev1.EventTypeWarning {
			s.Reason = "it waits for its pod: " + said.Message
			s.WaitsForRoom = overQuota(said)
		}
	}
	return s, nil
}

// queueSays gives why Kueue does not admit a Job, "" when it has not said that. It says so of
// the Workload that it has made for the Job, which we may not read, nor need to: events tell
// of that, too.
func (d *Driver) queueSays(ctx context.Context, m *batchv1.Job) string {
	made, err := d.lastEvent(ctx, m.Name, "CreatedWorkload")
	if err != nil || made == nil {
		return ""
	}
	said, err := d.lastEvent(ctx, path.Base(made.Message), "") // which ends with its namespace and name
	if err != nil || said == nil || said.Type != corev1.EventTypeWarning {
		return ""
	}
	return said.Message
}

// Wait implements backend.Compute. It watches the job's pod. Errors: also
// ErrUnavailable, when the API server stops meanwhile.
func (d *Driver) Wait(ctx context.Context, id string) (s backend.JobStatus, err error) {
	err = d.follow(ctx, id, func(v view) (bool, error) {
		s = v.status()
		return s.State != backend.JobRunning, nil
	})
	return s, err
}

// lookAgain is how often a job is looked at of which nothing is heard.
const lookAgain = 5 * time.Second

// follow has a job looked at, and again whenever its pod has changed, until look is
// done with it. It waits for an API server that stops meanwhile.
func (d *Driver) follow(ctx context.Context, id string, look func(view) (done bool, err error)) error {
	for {
		var v view
		err := d.persist(ctx, func() (err error) {
			v, err = d.look(ctx, id)
			return err
		})
		if err != nil {
			return err
		}
		if done, err := look(v); done || err != nil {
			return err
		}
		if err := d.awaitChange(ctx, v); err != nil {
			return err
		}
	}
}

// awaitChange waits until a pod of the Job has changed, or a while has passed.
func (d *Driver) awaitChange(ctx context.Context, v view) error {
	const wait = int64(lookAgain / time.Second)
	changes, err := d.cluster.pods.Watch(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + v.job.Name, ResourceVersion: v.version, TimeoutSeconds: new(wait)})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		const pause = 100 * time.Millisecond
		select { // the next look finds out what is wrong
		case <-time.After(pause):
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	defer changes.Stop()
	for {
		select {
		case e, ok := <-changes.ResultChan():
			if !ok || e.Type != watch.Bookmark {
				return ctx.Err()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// List implements backend.Compute. It is two requests.
func (d *Driver) List(ctx context.Context) iter.Seq2[backend.JobStatus, error] {
	return func(yield func(backend.JobStatus, error) bool) {
		all, err := d.views(ctx)
		if err != nil {
			yield(backend.JobStatus{}, err)
			return
		}
		for _, v := range all {
			if !yield(v.status(), nil) {
				return
			}
		}
	}
}

// views gives all jobs in order of their IDs.
func (d *Driver) views(ctx context.Context) ([]view, error) {
	mine := metav1.ListOptions{LabelSelector: driverLabel + "=" + d.label()}
	list, err := d.cluster.jobs.List(ctx, mine)
	if err != nil {
		return nil, classify(ctx, err)
	}
	pods, err := d.cluster.pods.List(ctx, mine)
	if err != nil {
		return nil, classify(ctx, err)
	}
	byName := map[string]view{}
	var all []view
	for i := range list.Items {
		if job := &list.Items[i]; job.Name == d.name(job.Annotations[jobAnnotation]) && job.DeletionTimestamp == nil {
			v := newView(job)
			byName[job.Name] = v
			all = append(all, v)
		}
	}
	for i := range pods.Items {
		if v, ok := byName[pods.Items[i].Labels[batchv1.JobNameLabel]]; ok {
			v.take(&pods.Items[i])
		}
	}
	slices.SortFunc(all, func(a, b view) int {
		return strings.Compare(a.job.Annotations[jobAnnotation], b.job.Annotations[jobAnnotation])
	})
	return all, nil
}
