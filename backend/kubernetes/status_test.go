package kubernetes

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// TestStates are what the cluster says, in the seam's words: also of what takes
// minutes to come about, such as a node that is lost.
func TestStates(t *testing.T) {
	t.Parallel()
	long := metav1.NewTime(time.Now().Add(-10 * time.Minute))
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: long}}
	pod := func(phase corev1.PodPhase, state corev1.ContainerState) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: containerName}}},
			Status: corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: containerName, State: state}}}}
	}
	lost := pod(corev1.PodRunning, running)
	lost.DeletionTimestamp = &long
	leaving := pod(corev1.PodRunning, running)
	leaving.DeletionTimestamp = new(metav1.Now())
	leaving.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "PreemptionByScheduler", Message: "for another"}}
	evicted := pod(corev1.PodFailed, corev1.ContainerState{})
	evicted.Status.Reason, evicted.Status.Message = "Evicted", "the node was low on memory"
	killed := pod(corev1.PodFailed, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, StartedAt: long, FinishedAt: long}})
	said := pod(corev1.PodFailed, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137,
		Message: `{"status":{"ID":"a","State":"Killed","Reason":"killed by signal 11 (segmentation fault)"},"size":3,"whole":true}`}})
	begun := map[string]string{jobAnnotation: "a", begunAnnotation: "2026-11-26T00:00:00Z"}
	failed := batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Message: "the pod was disrupted"}}}
	abandoned := batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonDeadlineExceeded}}}
	for name, c := range map[string]struct {
		annotations map[string]string
		status      batchv1.JobStatus
		pod         *corev1.Pod
		state       backend.JobState
		reason      string
	}{
		"no pod yet":      {map[string]string{jobAnnotation: "a"}, batchv1.JobStatus{}, nil, backend.JobRunning, "it waits for its pod"},
		"pulling":         {map[string]string{jobAnnotation: "a"}, batchv1.JobStatus{}, pod(corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "back-off"}}), backend.JobRunning, "its container waits: ImagePullBackOff: back-off"},
		"starter died":    {map[string]string{jobAnnotation: "a"}, batchv1.JobStatus{}, pod(corev1.PodRunning, running), backend.JobRunning, "the starting process died before the command ran"},
		"running":         {begun, batchv1.JobStatus{}, pod(corev1.PodRunning, running), backend.JobRunning, ""},
		"pre-empted":      {begun, batchv1.JobStatus{}, leaving, backend.JobRunning, "its pod is being deleted: PreemptionByScheduler: for another"},
		"node lost":       {begun, batchv1.JobStatus{}, lost, backend.JobLost, "its node n1 does not answer"},
		"evicted":         {begun, batchv1.JobStatus{}, evicted, backend.JobLost, "its pod ended without a word: Evicted: the node was low on memory"},
		"pod gone":        {begun, failed, nil, backend.JobLost, "its pod is gone: the pod was disrupted"},
		"holder killed":   {begun, failed, killed, backend.JobKilled, "killed by signal 9 (killed)"},
		"signal":          {begun, failed, said, backend.JobKilled, "killed by signal 11 (segmentation fault)"},
		"abandoned":       {map[string]string{jobAnnotation: "a"}, abandoned, nil, backend.JobLost, "the starting process died before the command ran"},
		"cancelled early": {map[string]string{jobAnnotation: "a", endedAnnotation: `{"ID":"a","State":"Killed","Reason":"cancelled before it began"}`}, abandoned, nil, backend.JobKilled, "cancelled before it began"},
	} {
		n := node{job: &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Annotations: c.annotations}, Status: c.status}, pod: c.pod}
		s := n.status()
		require.Equal(t, c.state, s.State, name)
		require.Equal(t, c.reason, s.Reason, name)
		require.Equal(t, "a", s.ID, name)
		switch err := (view{job: n.job, nodes: []node{n}}).startFailure(); name {
		case "abandoned": // its starter is there after all
			require.ErrorIs(t, err, azml.ErrUnavailable)
		case "cancelled early":
			require.ErrorIs(t, err, azml.ErrFailed)
		}
	}
}

// TestStatesOfNodes are those of a job on two nodes.
func TestStatesOfNodes(t *testing.T) {
	t.Parallel()
	ended := func(state string, code int, second int) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: containerName}}}, Status: corev1.PodStatus{Phase: corev1.PodFailed,
			ContainerStatuses: []corev1.ContainerStatus{{Name: containerName, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: int32(code),
				Message: fmt.Sprintf(`{"status":{"ID":"a","State":%q,"ExitCode":%d,"Ended":"2026-11-26T00:00:%02dZ"},"whole":true}`, state, code, second)}}}}}}
	}
	running := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: containerName, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}}
	told := ended("Exited", 3, 2)
	told.Status.ContainerStatuses[0].State.Terminated.Message = `{"status":{"ID":"a","State":"Exited","ExitCode":3,"Reason":"cancelled","Ended":"2026-11-26T00:00:02Z"},"whole":true}`
	for name, c := range map[string]struct {
		pods   []*corev1.Pod
		state  backend.JobState
		code   int
		reason string
	}{
		"both have ended":       {[]*corev1.Pod{ended("Exited", 0, 1), ended("Exited", 0, 2)}, backend.JobExited, 0, ""},
		"the second was first":  {[]*corev1.Pod{ended("Exited", 3, 9), ended("Exited", 7, 2)}, backend.JobExited, 7, "node 1 ended with exit code 7"},
		"its pod was taken":     {[]*corev1.Pod{nil, ended("Exited", 7, 2)}, backend.JobExited, 7, "node 1 ended with exit code 7"},
		"one is about to end":   {[]*corev1.Pod{running, ended("Exited", 7, 2)}, backend.JobRunning, 0, "the other nodes are to end: node 1 ended with exit code 7"},
		"one is gone":           {[]*corev1.Pod{ended("Exited", 0, 1), nil}, backend.JobLost, 0, "node 1 was lost: its pod is gone: the pod was deleted"},
		"the other was told":    {[]*corev1.Pod{told, nil}, backend.JobLost, 0, "node 1 was lost: its pod is gone: the pod was deleted"},
		"both are gone":         {[]*corev1.Pod{nil, nil}, backend.JobLost, 0, "node 0 was lost: its pod is gone: the pod was deleted"},
		"one runs, one is gone": {[]*corev1.Pod{running, nil}, backend.JobRunning, 0, "the other nodes are to end: node 1 was lost: its pod is gone: the pod was deleted"},
	} {
		v := newView(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{jobAnnotation: "a", begunAnnotation: "2026-11-26T00:00:00Z"}},
			Spec:   batchv1.JobSpec{CompletionMode: new(batchv1.IndexedCompletion), Completions: new(int32(2))},
			Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Message: "the pod was deleted"}}}})
		for i, pod := range c.pods {
			v.nodes[i].pod = pod
		}
		s := v.status()
		require.Equal(t, c.state, s.State, name)
		require.Equal(t, c.code, s.ExitCode, name)
		require.Equal(t, c.reason, s.Reason, name)
	}
}

// TestSecondPods are those that a queue has made of a Job whose command has begun.
func TestSecondPods(t *testing.T) {
	t.Parallel()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "j", UID: "1", Annotations: map[string]string{jobAnnotation: "a"}}}
	pending := func(uid types.UID) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid, OwnerReferences: owned(job)}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
	}
	v := newView(job)
	v.take(pending("first"))
	require.Equal(t, backend.JobRunning, v.status().State)
	job.Annotations[begunAnnotation], job.Annotations[podsAnnotation] = "2026-11-26T00:00:00Z", v.pods()
	v = newView(job)
	v.take(pending("first"))
	require.Equal(t, backend.JobRunning, v.status().State, "the kubelet tells of what runs in it a second later")
	v = newView(job)
	v.take(pending("second"))
	require.Equal(t, backend.JobLost, v.status().State)
	require.Equal(t, "its pod is gone", v.status().Reason)
}
