package kubernetes

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// Where pods have what.
const (
	workFolder    = "/run/azml"
	binFolder     = workFolder + "/bin"
	runnerName    = "runner"
	runnerFile    = binFolder + "/" + runnerName
	wakeFile      = workFolder + "/wake" // has the ID of the process that waits for the program
	requestFolder = "/run/azml-job"
	requestFile   = "request"
	endFile       = "/dev/termination-log"
	sharedFolder  = "/var/cache/azml"
	shell         = "/bin/sh"
)

const (
	containerName = "job"
	// driverLabel is the label of Jobs and pods that says whose they are.
	driverLabel = "azml/driver"
	// jobAnnotation has the job's ID.
	jobAnnotation = "azml/job"
	// startAnnotation tells the Start that a Job is from, and is part of the name of
	// its Secret.
	startAnnotation = "azml/start"
	// imageAnnotation has the job's image as it was asked for.
	imageAnnotation = "azml/image"
	// begunAnnotation is on Jobs whose command has begun.
	begunAnnotation = "azml/begun"
	// podsAnnotation has the UIDs of the pods in which it has.
	podsAnnotation = "azml/pods"
	// endedAnnotation has the final status of jobs that were cancelled before they
	// had a pod that could say it.
	endedAnnotation = "azml/ended"
	// cancelledAnnotation is on Jobs of several nodes that somebody has cancelled: a pod
	// that is gone is none that was lost.
	cancelledAnnotation = "azml/cancelled"
	queueLabel          = "kueue.x-k8s.io/queue-name"
)

// awaitProgram is how a pod begins: the program comes later, or within 15 minutes
// not at all. Who has brought it wakes the shell; it looks now and then, too, for a
// signal may come just before it waits. To look often would cost the node what the
// program's coming needs.
const awaitProgram = `trap 'exit 143' TERM
trap : USR1
echo $$ >` + wakeFile + `
p=1 most=900; sleep 0.01 2>/dev/null && p=0.1 most=9000
n=0; until [ -x ` + runnerFile + ` ]; do
	[ $n -lt $most ] || { echo "nobody has brought the program" >&2; exit 1; }
	sleep $p & wait $!; { kill $!; wait $!; } 2>/dev/null
	n=$((n+1))
done
trap '' USR1
exec ` + runnerFile + ` jobs hold ` + workFolder + ` ` + requestFolder + `/` + requestFile + ` ` + endFile

// manifest gives the Job of a job.
func (d *Driver) manifest(job backend.Job, on backend.Platform, with carrying) (*batchv1.Job, error) {
	start := strings.ToLower(rand.Text()[:10])
	template := corev1.PodTemplateSpec{Spec: d.pod(job, on, d.name(job.ID)+"-"+start)}
	with.to(&template.Spec.Containers[0], job.Nodes)
	if err := d.change(&template); err != nil {
		return nil, err
	}
	labels := map[string]string{driverLabel: d.label(), "app.kubernetes.io/managed-by": "azml"}
	for name, value := range labels {
		metav1.SetMetaDataLabel(&template.ObjectMeta, name, value)
	}
	metav1.SetMetaDataAnnotation(&template.ObjectMeta, jobAnnotation, job.ID)
	m := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: d.name(job.ID), Labels: labels, Annotations: map[string]string{jobAnnotation: job.ID, startAnnotation: start, imageAnnotation: job.Image}},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)), Template: template,
			PodReplacementPolicy: new(batchv1.Failed), // never two pods at a time
			PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{Action: batchv1.PodFailurePolicyActionFailJob,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}}}},
		}}
	d.expires(m)
	if job.Nodes > 1 {
		beginsTogether(m, job.Nodes)
	}
	if d.target.Queue != "" {
		m.Labels[queueLabel] = d.target.Queue
		m.Spec.Suspend = new(true) // until it is admitted
	}
	return m, nil
}

// change makes the changes that the target's owner wants.
func (d *Driver) change(t *corev1.PodTemplateSpec) error {
	if d.target.PodPatch != "" {
		patch, err := yaml.YAMLToJSON([]byte(d.target.PodPatch))
		if err != nil {
			return fmt.Errorf("%w: the patch of pods: %w", azml.ErrInvalid, err)
		}
		own, err := json.Marshal(t)
		if err == nil {
			own, err = strategicpatch.StrategicMergePatch(own, patch, corev1.PodTemplateSpec{})
		}
		if err == nil {
			*t = corev1.PodTemplateSpec{}
			err = yaml.UnmarshalStrict(own, t)
		}
		if err != nil {
			return fmt.Errorf("%w: the patch of pods: %w", azml.ErrInvalid, err)
		}
	}
	if d.opts.Pod != nil {
		d.opts.Pod(t)
	}
	return nil
}

// pod describes the pod of a job, which it reads in the Secret. It meets the Pod Security Standard "restricted".
func (d *Driver) pod(job backend.Job, on backend.Platform, secret string) corev1.PodSpec {
	user, group, _ := d.target.user() // checked when the driver was made
	nodes := map[string]string{}
	if on != (backend.Platform{}) {
		nodes = map[string]string{corev1.LabelOSStable: on.OS, corev1.LabelArchStable: on.Arch}
	}
	for name, value := range d.target.NodeSelector {
		nodes[name] = value
	}
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: d.target.ServiceAccount, AutomountServiceAccountToken: new(false),
		EnableServiceLinks: new(false), NodeSelector: nodes, Tolerations: d.target.Tolerations, PriorityClassName: d.target.PriorityClass,
		SecurityContext: &corev1.PodSecurityContext{RunAsUser: &user, RunAsGroup: &group, FSGroup: &group, RunAsNonRoot: new(user != 0),
			FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
			SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{
			Name: containerName, Image: cmp.Or(job.Image, d.target.Image), Command: []string{shell, "-c", awaitProgram}, WorkingDir: "/",
			TerminationMessagePath: endFile, Resources: d.resources(job.Limits),
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
		}},
	}
	for _, name := range d.target.PullSecrets {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	d.mount(&spec, job, secret)
	return spec
}

// mount gives the pod its volumes.
func (d *Driver) mount(spec *corev1.PodSpec, job backend.Job, secret string) {
	add := func(name, at string, readOnly bool, source corev1.VolumeSource) {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
		c := &spec.Containers[0]
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: at, ReadOnly: readOnly})
	}
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	add("azml", workFolder, false, empty)
	add("azml-job", requestFolder, true, corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret, DefaultMode: new(int32(0o440))}})
	shared := empty
	if d.target.SharedClaim != "" {
		shared = claim(d.target.SharedClaim)
	}
	add("azml-shared", sharedFolder, false, shared)
	if size := cmp.Or(job.Limits.SharedMemory, d.target.Limits.SharedMemory); size > 0 {
		add("azml-shm", "/dev/shm", false, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: resource.NewQuantity(size, resource.BinarySI)}})
	}
	for i, v := range d.target.Volumes {
		source := claim(v.Claim)
		switch {
		case v.Secret != "":
			source = corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: v.Secret}}
		case v.ConfigMap != "":
			source = corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: v.ConfigMap}}}
		}
		add("volume-"+strconv.Itoa(i), path.Clean(v.Path), v.ReadOnly, source)
	}
}

func claim(name string) corev1.VolumeSource {
	return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
}

// resources says what a job may use, and what a node must have free for it.
func (d *Driver) resources(own backend.Limits) corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{Limits: corev1.ResourceList{}, Requests: corev1.ResourceList{}}
	const milli = 1000
	if cpus := cmp.Or(own.CPUs, d.target.Limits.CPUs); cpus > 0 {
		r.Limits[corev1.ResourceCPU] = *resource.NewMilliQuantity(int64(cpus*milli), resource.DecimalSI)
	}
	if memory := cmp.Or(own.Memory, d.target.Limits.Memory); memory > 0 {
		r.Limits[corev1.ResourceMemory] = *resource.NewQuantity(memory, resource.BinarySI)
	}
	if gpus := cmp.Or(own.GPUs, d.target.Limits.GPUs); gpus > 0 {
		r.Limits[corev1.ResourceName(cmp.Or(d.target.GPU, "nvidia.com/gpu"))] = *resource.NewQuantity(int64(gpus), resource.DecimalSI)
	}
	for name, quantity := range d.target.Requests {
		r.Requests[corev1.ResourceName(name)] = resource.MustParse(quantity) // checked when the driver was made
	}
	return r
}

// secretOf gives the name of the Secret of a Job, and of the service of one with several
// nodes. It is another one for each Start: what
// is left of a Job of the same name is not to be mistaken for it.
func secretOf(m *batchv1.Job) string { return m.Name + "-" + m.Annotations[startAnnotation] }

// secret gives what the program in the pod reads.
func (d *Driver) secret(job backend.Job, owner *batchv1.Job) (*corev1.Secret, error) {
	job.Image, job.Limits = "", backend.Limits{} // the pod has them
	rank := ""
	if job.Nodes > 1 {
		rank, job.Env = indexVariable, maps.Clone(job.Env)
		if job.Env == nil {
			job.Env = map[string]string{}
		}
		job.Env[backend.NodeCountVariable], job.Env[backend.MainAddressVariable] = strconv.Itoa(job.Nodes), mainAddress(owner)
	}
	request, err := jobs.MarshalRequest(job, rank)
	if err != nil {
		return nil, fmt.Errorf("%w: job %q: %w", azml.ErrInvalid, job.ID, err)
	}
	const most = 1 << 20 // of a Secret, by Kubernetes
	if len(request) > most {
		return nil, fmt.Errorf("%w: job %q: command, environment and input have %d bytes, %d are possible", azml.ErrInvalid, job.ID, len(request), most)
	}
	return secretWith(owner, map[string][]byte{requestFile: request}), nil
}

func secretWith(owner *batchv1.Job, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secretOf(owner), Labels: owner.Labels, OwnerReferences: owned(owner)},
		Immutable:  new(true), Data: data,
	}
}
