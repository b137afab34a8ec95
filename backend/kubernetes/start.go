package kubernetes

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// maxInput is the seam's limit of a job's input.
const maxInput = 64 << 10

// Start implements backend.Compute. It returns when the command runs, which is as
// late as the cluster has room for it, or a queue admits it; meanwhile Status gives,
// as its Reason, what the job waits for. Errors: also ErrNotFound when there is no
// such image, ErrDenied when the cluster doesn't admit the pod.
func (d *Driver) Start(ctx context.Context, job backend.Job) error {
	job.Image = cmp.Or(job.Image, d.target.Image)
	if err := errors.Join(check(job), backend.CheckNodes(job)); err != nil {
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
	m, err := d.manifest(job, on)
	if err != nil {
		return err
	}
	made, err := d.create(ctx, m, job.ID)
	if err != nil {
		return err
	}
	if err := d.begin(ctx, made, job, programs); err != nil {
		const patience = time.Minute
		undoing, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer stop()
		return errors.Join(err, d.persist(undoing, func() error { return d.discard(undoing, made) }))
	}
	return nil
}

// Address implements backend.Reachable: the pod's, which other pods of the cluster
// reach.
func (d *Driver) Address(ctx context.Context, id string) (string, error) {
	v, err := d.look(ctx, id)
	if err == nil && (v.pod == nil || v.pod.Status.PodIP == "") {
		err = fmt.Errorf("%w: job %q has no pod with an address", azml.ErrNotFound, id)
	}
	if err != nil {
		return "", err
	}
	return v.pod.Status.PodIP, nil
}

// check finds what no cluster needs to be asked about.
func check(job backend.Job) error {
	switch {
	case job.Image == "":
		return fmt.Errorf("%w: job %q has no image, and the target no default: name one", azml.ErrInvalid, job.ID)
	case len(job.Command) == 0 || job.Command[0] == "":
		return fmt.Errorf("%w: job %q has no command", azml.ErrInvalid, job.ID)
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

// discard deletes a Job and with it its pod and Secret.
func (d *Driver) discard(ctx context.Context, m *batchv1.Job) error {
	err := d.cluster.jobs.Delete(ctx, m.Name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground), Preconditions: &metav1.Preconditions{UID: &m.UID}})
	if err = classify(ctx, err); errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrConflict) { // another one has the name
		return nil
	}
	return err
}

// begin brings the job's pod what it needs, once it has one, until the command runs.
func (d *Driver) begin(ctx context.Context, m *batchv1.Job, job backend.Job, programs []program) error {
	s, err := d.secret(job, m)
	if err != nil {
		return err
	}
	if _, err := d.cluster.secrets.Create(ctx, s, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("job %q: %w", job.ID, classify(ctx, err))
	}
	pod, err := d.awaitPod(ctx, job.ID)
	if err != nil {
		return err
	}
	if err := d.deliver(ctx, pod, programs); err != nil {
		return d.died(ctx, job.ID, err)
	}
	return d.begun(ctx, m)
}

// awaitPod waits until the job's pod runs and gives its name.
func (d *Driver) awaitPod(ctx context.Context, id string) (name string, err error) {
	var failing time.Time // since when its image can't be pulled
	err = d.follow(ctx, id, func(v view) (bool, error) {
		if err := d.hindrance(ctx, v); err != nil || v.pod == nil {
			return false, err
		}
		name = v.pod.Name
		switch waiting := v.container().State.Waiting; {
		case waiting == nil || !strings.Contains(waiting.Reason, "ImagePull"):
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > d.opts.Patience:
			return false, fmt.Errorf("%w: job %q: %s", azml.ErrUnavailable, id, waiting.Message)
		}
		return v.container().State.Running != nil || v.ended(), nil
	})
	return name, err
}

// deliver brings the programs into the pod and waits for what becomes of the command.
func (d *Driver) deliver(ctx context.Context, pod string, programs []program) error {
	for _, p := range programs {
		if err := d.bring(ctx, pod, p); err != nil {
			return err
		}
	}
	const script = `cd "$1" && { [ -e runner ] || ln -s "$2" runner 2>/dev/null; }
until [ -e "$3" ]; do sleep 0.05 2>/dev/null || sleep 1; done; cat "$3"`
	var said bytes.Buffer
	err := d.exec(ctx, pod, nil, &said, shell, "-c", script, "sh", binFolder, programs[len(programs)-1].name, workFolder+"/"+jobs.BegunFile)
	if err != nil {
		return err
	}
	o, err := jobs.UnmarshalOutcome(said.Bytes())
	return errors.Join(err, o.Err)
}

// died gives the reason of a pod that ended while programs were brought into it, nil
// when its command has run meanwhile, and the error itself of one that goes on.
func (d *Driver) died(ctx context.Context, id string, err error) error {
	if ctx.Err() != nil || refused(err) && !errors.Is(err, azml.ErrFailed) {
		return err
	}
	waiting, stop := context.WithTimeout(ctx, 20*time.Second) // the kubelet tells of it within seconds
	defer stop()
	reason := err
	_ = d.follow(waiting, id, func(v view) (bool, error) {
		if v.ended() {
			reason = v.failure(id)
		}
		return v.ended(), nil
	})
	return reason
}

// begun notes that the command runs, and takes away what it was started by: a second
// pod, if there ever were one, would find nothing to run.
func (d *Driver) begun(ctx context.Context, m *batchv1.Job) error {
	return d.persist(ctx, func() error {
		err := d.cluster.secrets.Delete(ctx, secretOf(m), metav1.DeleteOptions{})
		if err = classify(ctx, err); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
		return d.annotate(ctx, m.Name, map[string]string{begunAnnotation: time.Now().UTC().Format(time.RFC3339Nano)}, nil)
	})
}

// annotate adds annotations to a Job, and changes its specification when suspend is
// given.
func (d *Driver) annotate(ctx context.Context, name string, annotations map[string]string, suspend *bool) error {
	patch := map[string]any{"metadata": map[string]any{"annotations": annotations}}
	if suspend != nil {
		patch["spec"] = map[string]any{"suspend": *suspend}
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = d.cluster.jobs.Patch(ctx, name, types.MergePatchType, text, metav1.PatchOptions{})
	return classify(ctx, err)
}

// hindrance gives the error of a job that will never run as it is; nil for one that
// waits for something that may come.
func (d *Driver) hindrance(ctx context.Context, v view) error {
	id := v.job.Annotations[jobAnnotation]
	switch {
	case v.ended():
		return v.failure(id)
	case v.job.DeletionTimestamp != nil:
		return fmt.Errorf("%w: job %q: somebody has deleted its Job %s", azml.ErrFailed, id, v.job.Name)
	case v.pod == nil:
		return d.refusal(ctx, v)
	}
	waiting := v.container().State.Waiting
	if waiting == nil {
		return nil
	}
	text := fmt.Sprintf("%s: %s", waiting.Reason, waiting.Message)
	switch waiting.Reason {
	case "ErrImagePull", "ImagePullBackOff":
		if class := pullClass(waiting.Message); class != nil {
			return fmt.Errorf("%w: job %q: image %s: %s", class, id, v.pod.Spec.Containers[0].Image, text)
		}
	case "InvalidImageName", "ErrImageNeverPull":
		return fmt.Errorf("%w: job %q: image %s: %s", azml.ErrInvalid, id, v.pod.Spec.Containers[0].Image, text)
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
// is exceeded is none: others may end.
func (d *Driver) refusal(ctx context.Context, v view) error {
	said, err := d.lastEvent(ctx, v.job.Name)
	if err != nil || said == nil || said.Reason != "FailedCreate" || strings.Contains(said.Message, "exceeded quota") {
		return nil //nolint:nilerr // events say more, and are not needed
	}
	for _, word := range []string{"denied the request", "denied request", "is forbidden", "is invalid", "violates PodSecurity"} {
		if strings.Contains(said.Message, word) {
			return fmt.Errorf("%w: job %q: the cluster does not admit its pod: %s", azml.ErrDenied, v.job.Annotations[jobAnnotation], said.Message)
		}
	}
	return nil
}

// lastEvent gives the newest event about an object, nil when there is none.
func (d *Driver) lastEvent(ctx context.Context, name string) (*corev1.Event, error) {
	list, err := d.cluster.events.List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
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
