package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// maxInput is the seam's limit of a job's input.
const maxInput = 64 << 10

// Start implements backend.Compute. It returns when the command runs, which is as
// late as the cluster has room for it, or a queue admits it; meanwhile Status gives,
// as its Reason, what the job waits for. Errors: also ErrNotFound when there is no
// such image, ErrDenied when the cluster doesn't admit the pod.
func (d *Driver) Start(ctx context.Context, job backend.Job) error {
	job.Image = cmp.Or(job.Image, d.target.Image)
	if err := check(job); err != nil {
		return err
	}
	on, err := d.Platform(ctx)
	if err != nil {
		return err
	}
	programs, err := d.programs(ctx, job, on)
	if err != nil {
		return err
	}
	with, err := d.withProgram(ctx, job.Image, programs[len(programs)-1])
	if err != nil {
		return err
	}
	m, err := d.manifest(job, on, with)
	if err != nil {
		return err
	}
	made, err := d.create(ctx, m, job.ID)
	if err != nil {
		return err
	}
	h, over := d.handOver(job)
	defer over()
	if err := d.begin(ctx, made, job, programs, h); err != nil {
		const patience = time.Minute
		undoing, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer stop()
		return errors.Join(err, d.persist(undoing, func() error { return d.discard(undoing, made) }))
	}
	return nil
}

// Address implements backend.Reachable: the first pod's, which other pods of the
// cluster reach.
func (d *Driver) Address(ctx context.Context, id string) (string, error) {
	v, err := d.look(ctx, id)
	if err == nil && (v.nodes[0].pod == nil || v.nodes[0].pod.Status.PodIP == "") {
		err = fmt.Errorf("%w: job %q has no pod with an address", azml.ErrNotFound, id)
	}
	if err != nil {
		return "", err
	}
	return v.nodes[0].pod.Status.PodIP, nil
}

// check finds what no cluster needs to be asked about.
func check(job backend.Job) error {
	switch {
	case job.Image == "":
		return fmt.Errorf("%w: job %q has no image, and the target no default: name one", azml.ErrInvalid, job.ID)
	case len(job.Command) == 0 || job.Command[0] == "":
		return fmt.Errorf("%w: job %q has no command", azml.ErrInvalid, job.ID)
	case job.Nodes < 0:
		return fmt.Errorf("%w: job %q asks for %d nodes", azml.ErrInvalid, job.ID, job.Nodes)
	case len(job.Input) > maxInput:
		return fmt.Errorf("%w: job %q: its input has %d bytes, %d are possible", azml.ErrInvalid, job.ID, len(job.Input), maxInput)
	case job.Limits.GPUs < 0:
		return fmt.Errorf("%w: job %q asks for all GPUs: Kubernetes gives a number of them, name it", azml.ErrUnsupported, job.ID)
	}
	return nil
}

// create makes the Job. Its name is the lock: the first one has it.
func (d *Driver) create(ctx context.Context, m *batchv1.Job, id string) (*batchv1.Job, error) {
	made, err := d.cluster.jobs.Create(ctx, m, metav1.CreateOptions{})
	if err == nil {
		return made, nil
	}
	err = classify(ctx, err)
	if errors.Is(err, azml.ErrExists) {
		return nil, fmt.Errorf("%w: job %q", azml.ErrExists, id)
	}
	if !refused(err) { // it may have been made nevertheless
		looking, stop := context.WithTimeout(context.WithoutCancel(ctx), d.opts.Patience)
		defer stop()
		err = errors.Join(err, d.persist(looking, func() error {
			there, err := d.cluster.jobs.Get(looking, m.Name, metav1.GetOptions{})
			if err = classify(looking, err); errors.Is(err, azml.ErrNotFound) || err == nil && there.Annotations[startAnnotation] != m.Annotations[startAnnotation] {
				return nil
			}
			if err != nil {
				return err
			}
			return d.discard(looking, there)
		}))
	}
	return nil, fmt.Errorf("job %q: %w", id, err)
}

// discard deletes a Job and with it what belongs to it.
func (d *Driver) discard(ctx context.Context, m *batchv1.Job) error {
	err := d.cluster.jobs.Delete(ctx, m.Name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground), Preconditions: &metav1.Preconditions{UID: &m.UID}})
	if err = classify(ctx, err); errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrConflict) { // another one has the name
		return nil
	}
	return err
}

// begin brings the job's pods what they need, once all are there, until the command runs.
func (d *Driver) begin(ctx context.Context, m *batchv1.Job, job backend.Job, programs []program, h *handover) error {
	s, err := d.secret(job, m)
	if err != nil {
		return err
	}
	if _, err := d.cluster.secrets.Create(ctx, s, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("job %q: %w", job.ID, classify(ctx, err))
	}
	if job.Nodes > 1 {
		if err := d.service(ctx, m); err != nil {
			return fmt.Errorf("job %q: %w", job.ID, err)
		}
	}
	stop := d.keepStarting(ctx, m)
	pods, err := d.whenRun(ctx, m, job.ID, programs, h)
	stop()
	if err != nil {
		return err
	}
	return d.begun(ctx, m, pods)
}

// whenRun has the command begin as soon as the containers of all pods run, and gives
// their UIDs.
func (d *Driver) whenRun(ctx context.Context, m *batchv1.Job, id string, programs []program, h *handover) (pods string, err error) {
	var failing time.Time // since when an image can't be pulled
	early := starting{driver: d}
	err = d.follow(ctx, id, func(v view) (done bool, err error) {
		if v.ended() {
			return true, v.startFailure()
		}
		pods = v.pods()
		if err := d.hindrance(ctx, v); err != nil {
			return false, err
		}
		unpulled := v.unpulled()
		switch {
		case unpulled == "":
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > d.opts.Patience:
			return false, fmt.Errorf("%w: job %q: %s", azml.ErrUnavailable, id, unpulled)
		}
		if len(v.nodes) == 1 {
			done, err = early.do(ctx, v, 0, func() error { return d.deliver(ctx, v.nodes[0].pod.Name, m, programs, h) })
		} else if done = v.running(); done {
			err = d.deliverAll(ctx, v, m, programs)
		}
		if err != nil {
			err = d.died(ctx, id, err)
		}
		return done, err
	})
	if errors.Is(err, errNoJob) {
		err = fmt.Errorf("%w: job %q: somebody has cancelled it, or deleted its Job %s", azml.ErrFailed, id, m.Name)
	}
	return pods, err
}

// startFailure is the failure of a job whose starter is there: when the deadline has ended
// the Job, that was this machine asleep, or cut off for long, and another try may go well.
func (v view) startFailure() error {
	err := v.failure()
	if err != nil && v.nodes[0].abandoned() && v.job.Annotations[endedAnnotation] == "" {
		return fmt.Errorf("%w: job %q: its deadline could not be moved on in time", azml.ErrUnavailable, v.id())
	}
	return err
}

// died gives the reason of a pod that ended while programs were brought into it, nil
// when its command has run meanwhile, or runs, as who listens for it has noted, and the
// error itself of one that goes on.
func (d *Driver) died(ctx context.Context, id string, err error) error {
	if ctx.Err() != nil || refused(err) && !errors.Is(err, azml.ErrFailed) {
		return err
	}
	waiting, stop := context.WithTimeout(ctx, 20*time.Second) // the kubelet tells of it within seconds
	defer stop()
	reason := err
	_ = d.follow(waiting, id, func(v view) (bool, error) {
		switch {
		case v.ended():
			reason = v.startFailure()
		case len(v.nodes) == 1 && v.job.Annotations[begunAnnotation] != "": // of several, another may lack its program
			reason = nil
		default:
			return false, nil
		}
		return true, nil
	})
	return reason
}

// begun notes that the command runs in these pods, and takes away what it was started by: a
// second pod, if there ever were one, would find nothing to run.
func (d *Driver) begun(ctx context.Context, m *batchv1.Job, pods string) error {
	return d.persist(ctx, func() error {
		if err := d.emptySecret(ctx, m); err != nil {
			return err
		}
		_, err := d.patch(ctx, m, map[string]string{begunAnnotation: time.Now().UTC().Format(time.RFC3339Nano), podsAnnotation: pods},
			map[string]any{"activeDeadlineSeconds": nil, "ttlSecondsAfterFinished": d.keepEnded()})
		return err
	})
}

// emptySecret has the job's Secret be one without content, since we may change none. A
// kubelet that is started anew mounts what its pods have once more, and says nothing of a pod
// whose Secret is gone until it has tried for two minutes.
func (d *Driver) emptySecret(ctx context.Context, m *batchv1.Job) error {
	err := d.cluster.secrets.Delete(ctx, secretOf(m), metav1.DeleteOptions{})
	if err = classify(ctx, err); err != nil && !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	_, err = d.cluster.secrets.Create(ctx, secretWith(m, nil), metav1.CreateOptions{})
	if err = classify(ctx, err); errors.Is(err, azml.ErrExists) { // somebody's finalizer keeps it for now
		return nil
	}
	return err
}

// hindrance gives the error of a job that will never run as it is; nil for one that
// waits for something that may come.
func (d *Driver) hindrance(ctx context.Context, v view) error {
	if v.job.DeletionTimestamp != nil {
		return fmt.Errorf("%w: job %q: somebody has deleted its Job %s", azml.ErrFailed, v.id(), v.job.Name)
	}
	for _, n := range v.nodes {
		var err error
		switch {
		case n.pod == nil:
			err = d.refusal(ctx, v)
		case n.ended():
			err = v.startFailure()
		default:
			err = n.hindrance(v.id())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hindrance is that of a pod.
func (n node) hindrance(id string) error {
	waiting := n.container().State.Waiting
	if waiting == nil {
		return nil
	}
	text := fmt.Sprintf("%s: %s", waiting.Reason, waiting.Message)
	switch waiting.Reason {
	case "ErrImagePull", "ImagePullBackOff":
		if class := pullClass(waiting.Message); class != nil {
			return fmt.Errorf("%w: job %q: image %s: %s", class, id, n.pod.Spec.Containers[0].Image, text)
		}
	case "InvalidImageName", "ErrImageNeverPull":
		return fmt.Errorf("%w: job %q: image %s: %s", azml.ErrInvalid, id, n.pod.Spec.Containers[0].Image, text)
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError":
		return fmt.Errorf("%w: job %q: its container can't be made: %s", azml.ErrInvalid, id, text)
	}
	return nil
}

// pullClass gives the class of an error of pulling that will stay; nil for others,
// such as a registry that doesn't answer.
func pullClass(message string) error {
	message = strings.ToLower(message)
	for word, class := range map[string]error{"not found": azml.ErrNotFound, "no such host": azml.ErrNotFound, "manifest unknown": azml.ErrNotFound,
		"does not exist": azml.ErrNotFound, "unauthorized": azml.ErrDenied, "authorization failed": azml.ErrDenied, "denied": azml.ErrDenied} {
		if strings.Contains(message, word) {
			return class
		}
	}
	return nil
}

// refusal gives the error of a Job whose pod the cluster doesn't admit. A quota that
// is exceeded is none, as others may end, nor what was asked too soon.
func (d *Driver) refusal(ctx context.Context, v view) error {
	said, err := d.lastEvent(ctx, v.job.Name, "")
	if err != nil || said == nil || said.Reason != "FailedCreate" || overQuota(said) || tooSoon(said, v.job.Name) {
		return nil //nolint:nilerr // events say more, and are not needed
	}
	for _, word := range []string{webhookDenied, "denied request", "is forbidden", "is invalid", "violates PodSecurity"} {
		if strings.Contains(said.Message, word) {
			return fmt.Errorf("%w: job %q: the cluster does not admit its pod: %s", azml.ErrDenied, v.id(), said.Message)
		}
	}
	return nil
}

// overQuota tells whether a pod could not be made for a quota that is used up, or of which
// that is not known yet.
func overQuota(e *corev1.Event) bool {
	return strings.Contains(e.Message, "exceeded quota") || strings.Contains(e.Message, "status unknown for quota")
}

// tooSoon tells whether a webhook that looks a pod's Job up did not know that yet: Kueue's
// hears of Jobs by a watch, and the next pod is let in.
func tooSoon(e *corev1.Event, job string) bool {
	return strings.Contains(e.Message, fmt.Sprintf("Job.batch %q not found", job))
}

// lastEvent gives the newest event about an object, of those with the reason unless that is
// "", and nil when there is none.
func (d *Driver) lastEvent(ctx context.Context, name, reason string) (*corev1.Event, error) {
	wanted := "involvedObject.name=" + name
	if reason != "" {
		wanted += ",reason=" + reason
	}
	list, err := d.cluster.events.List(ctx, metav1.ListOptions{FieldSelector: wanted})
	if err != nil {
		return nil, classify(ctx, err)
	}
	var last *corev1.Event
	for i := range list.Items {
		if e := &list.Items[i]; last == nil || !when(e).Before(when(last)) {
			last = e
		}
	}
	return last, nil
}

func when(e *corev1.Event) time.Time {
	if !e.LastTimestamp.IsZero() {
		return e.LastTimestamp.Time
	}
	return e.EventTime.Time
}
