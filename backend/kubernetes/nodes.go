package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/jobset"
)

// indexVariable is what an Indexed Job tells the containers of its pods.
const indexVariable = "JOB_COMPLETION_INDEX"

// view is what the cluster says of a job on all its nodes.
type view struct {
	job *batchv1.Job
	// nodes are in order of their numbers.
	nodes []node
	// version is that of the list of pods, to watch on from.
	version string
}

func newView(job *batchv1.Job) view {
	v := view{job: job, nodes: make([]node, nodesOf(job))}
	for i := range v.nodes {
		v.nodes[i].job = job
	}
	return v
}

// nodesOf gives the number of nodes of a Job.
func nodesOf(job *batchv1.Job) int32 {
	if job.Spec.CompletionMode != nil && *job.Spec.CompletionMode == batchv1.IndexedCompletion && job.Spec.Completions != nil {
		return max(1, *job.Spec.Completions)
	}
	return 1
}

// take makes a pod that of its node when it is the Job's, and the newest. On a Job that has
// begun only those are the job's in which it has: others are of a queue that took the place
// back and has given it anew, and there is nothing to run.
func (v view) take(pod *corev1.Pod) {
	i, _ := strconv.Atoi(cmp.Or(pod.Annotations[batchv1.JobCompletionIndexAnnotation], "0"))
	if !metav1.IsControlledBy(pod, v.job) || i < 0 || i >= len(v.nodes) {
		return
	}
	if in := v.job.Annotations[podsAnnotation]; in != "" && !slices.Contains(strings.Fields(in), string(pod.UID)) {
		return
	}
	if n := &v.nodes[i]; n.pod == nil || n.pod.CreationTimestamp.Before(&pod.CreationTimestamp) {
		n.pod = pod
	}
}

// pods gives the UIDs of the pods.
func (v view) pods() string {
	var all []string
	for _, n := range v.nodes {
		if n.pod != nil {
			all = append(all, string(n.pod.UID))
		}
	}
	return strings.Join(all, " ")
}

// id is the job's ID.
func (v view) id() string { return v.job.Annotations[jobAnnotation] }

// ended tells whether nothing of the job runs, or ever will.
func (v view) ended() bool {
	return !slices.ContainsFunc(v.nodes, func(n node) bool { return !n.ended() })
}

// status says in the seam's words how the job is.
func (v view) status() backend.JobStatus {
	if len(v.nodes) == 1 || v.job.Annotations[endedAnnotation] != "" && v.ended() {
		return v.nodes[0].status()
	}
	all := make([]backend.JobStatus, len(v.nodes))
	var failure time.Time // by itself, of the last one
	for i, n := range v.nodes {
		all[i] = n.status()
		by := !strings.HasPrefix(all[i].Reason, endedReason) || v.job.Annotations[cancelledAnnotation] != ""
		if jobset.Failed(all[i]) && by && all[i].Ended.After(failure) {
			failure = all[i].Ended
		}
	}
	for i, n := range v.nodes {
		if n.pod == nil && n.ended() && !failure.IsZero() { // the Job has ended it, and failed only then
			all[i].State, all[i].Ended = backend.JobKilled, failure.Add(time.Nanosecond)
		}
	}
	return jobset.Together(v.id(), all)
}

// endedReason begins the reason of a command that was told to end, by Cancel or by the
// end of its pod.
const endedReason = "cancelled"

// running tells whether the containers of all pods run.
func (v view) running() bool {
	return !slices.ContainsFunc(v.nodes, func(n node) bool { return n.container().State.Running == nil })
}

// unpulled says why an image can't be pulled, "" when none is missing.
func (v view) unpulled() string {
	for _, n := range v.nodes {
		if w := n.container().State.Waiting; w != nil && strings.Contains(w.Reason, "ImagePull") {
			return w.Message
		}
	}
	return ""
}

// failure is the error of a job that has ended before its command ran on all nodes;
// nil when it did, and also when it failed on one so soon that the Job has ended the
// others before they began.
func (v view) failure() error {
	var first error
	for i, n := range v.nodes {
		if !n.ended() {
			continue
		}
		err := n.failure(v.id())
		if err == nil && jobset.Failed(n.status()) {
			return nil
		}
		if err != nil && first == nil {
			first = onNode(len(v.nodes), i, err)
		}
	}
	return first
}

// onNode says where an error is from.
func onNode(nodes, n int, err error) error {
	if err == nil || nodes == 1 {
		return err
	}
	return fmt.Errorf("node %d: %w", n, err)
}

// beginsTogether makes a Job one of several pods, which find the first one by the name
// of a service. When one fails, the Job ends the others.
func beginsTogether(m *batchv1.Job, nodes int) {
	m.Spec.CompletionMode = new(batchv1.IndexedCompletion)
	m.Spec.Completions, m.Spec.Parallelism = new(int32(nodes)), new(int32(nodes))
	m.Spec.Template.Spec.Subdomain = secretOf(m)
}

// mainAddress is the name by which pods find the first one of their Job.
func mainAddress(m *batchv1.Job) string { return m.Name + "-0." + secretOf(m) }

// service makes the names of the pods known to each other.
func (d *Driver) service(ctx context.Context, m *batchv1.Job) error {
	_, err := d.cluster.services.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: secretOf(m), Labels: m.Labels, OwnerReferences: owned(m)},
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, PublishNotReadyAddresses: true,
			Selector: map[string]string{batchv1.JobNameLabel: m.Name, batchv1.ControllerUidLabel: string(m.UID)}},
	}, metav1.CreateOptions{})
	return classify(ctx, err)
}

// owned has what belongs to a Job end with it.
func owned(m *batchv1.Job) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(m, batchv1.SchemeGroupVersion.WithKind("Job"))}
}
