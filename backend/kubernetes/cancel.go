package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Cancel implements backend.Compute. The program in the pod does the work, so it goes
// on when this process ends. A job that has not begun gets no pod any more; one of a queue
// is removed, too.
func (d *Driver) Cancel(ctx context.Context, id string, grace time.Duration) error {
	deadline := time.Now().Add(grace)
	v, err := d.look(ctx, id)
	if err != nil {
		return err
	}
	if v.status().State != backend.JobRunning {
		return d.leaveQueue(ctx, v.job)
	}
	if v.job.Annotations[begunAnnotation] == "" {
		return d.withdraw(ctx, v)
	}
	if len(v.nodes) > 1 {
		if _, err := d.patch(ctx, v.job, map[string]string{cancelledAnnotation: "yes"}, nil); err != nil {
			return err
		}
	}
	if err := d.cancelAll(ctx, v, deadline); err != nil {
		return err
	}
	_, err = d.Wait(ctx, id)
	return err
}

// cancelAll ends the commands in all pods. A pod waits some seconds for the others' commands
// to end, too: with the first pod the Job would delete the others, and what those have said
// with them.
func (d *Driver) cancelAll(ctx context.Context, v view, deadline time.Time) error {
	var pods []*corev1.Pod
	for _, n := range v.nodes {
		if !n.ended() {
			pods = append(pods, n.pod)
		}
	}
	var all errgroup.Group
	var running sync.WaitGroup
	running.Add(len(pods))
	for _, pod := range pods {
		all.Go(func() error { return d.cancelOn(ctx, pod, v.id(), deadline, &running) })
	}
	return all.Wait()
}

// cancelOn ends the command in a pod, and the pod when that can't be done. It leaves
// the pod when no command runs any more.
func (d *Driver) cancelOn(ctx context.Context, pod *corev1.Pod, id string, deadline time.Time, running *sync.WaitGroup) error {
	leave, err := d.endCommand(ctx, pod, id, deadline)
	running.Done()
	if err == nil {
		running.Wait()
		leave()
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return d.deletePod(ctx, pod, max(0, time.Until(deadline)))
}

// answerTime is what a pod has to be asked, beyond the grace: one whose node is in
// trouble may never answer.
const answerTime = 30 * time.Second

// endCommand has the program in the pod end the command. The pod stays until leave is
// called, or for some seconds.
func (d *Driver) endCommand(ctx context.Context, pod *corev1.Pod, id string, deadline time.Time) (leave func(), err error) {
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(answerTime))
	client, err := d.serve(ctx, pod.Name)
	if err != nil {
		cancel()
		return nil, err
	}
	leave = func() {
		_ = client.Close() // what it was there for is done
		cancel()
	}
	if err := client.Cancel(ctx, id, max(0, time.Until(deadline))); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// deletePod ends a pod that can't be talked to.
func (d *Driver) deletePod(ctx context.Context, pod *corev1.Pod, grace time.Duration) error {
	err := d.cluster.pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(grace / time.Second)), Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	if err = classify(ctx, err); errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrConflict) {
		return nil
	}
	return err
}

// withdraw ends a job whose command has not begun. Its Job stays to say so, with no pod and
// a deadline that is over, so that it goes in its time also when nobody removes it. That of a
// queue goes at once: while it is suspended no deadline counts.
func (d *Driver) withdraw(ctx context.Context, v view) error {
	s := v.status()
	s.State, s.Reason, s.WaitsForRoom, s.Ended = backend.JobKilled, "cancelled before it began", false, time.Now().UTC()
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := d.cluster.secrets.Delete(ctx, secretOf(v.job), metav1.DeleteOptions{}); err != nil {
		if err = classify(ctx, err); !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	over := map[string]any{"parallelism": 0, "activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": d.keepEnded()}
	m, err := d.patch(ctx, v.job, map[string]string{endedAnnotation: string(text)}, over)
	if err != nil {
		return err
	}
	if _, err = d.Wait(ctx, s.ID); errors.Is(err, azml.ErrNotFound) { // who was starting it has taken it away
		return nil
	}
	if err == nil {
		err = d.leaveQueue(ctx, m)
	}
	return err
}

// leaveQueue removes the Job of a job that was cancelled before it began, when it is in a
// queue.
func (d *Driver) leaveQueue(ctx context.Context, m *batchv1.Job) error {
	if m.Annotations[endedAnnotation] == "" || m.Annotations[begunAnnotation] != "" || !suspended(m) && m.Labels[queueLabel] == "" {
		return nil
	}
	return d.discard(ctx, m)
}

// Remove implements backend.Compute.
func (d *Driver) Remove(ctx context.Context, id string) error {
	v, err := d.look(ctx, id)
	if err != nil {
		return err
	}
	if v.status().State == backend.JobRunning {
		return fmt.Errorf("%w: job %q runs: cancel it first", azml.ErrConflict, id)
	}
	return d.discard(ctx, v.job)
}
