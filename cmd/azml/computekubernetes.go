package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/azml-go/azml/backend/kubernetes"
)

// kubernetesFlags say where a cluster is, and what runs there are like.
type kubernetesFlags struct {
	target                     kubernetes.Target
	kubeconfig, context, patch string
	limits                     limitFlags
	requests, selectors        *pairs
	volumes, tolerations       []string
	inCluster                  bool
}

// computeKubernetes is the command under either verb: a namespace that is there is
// attached, and who looks for it below create finds it, too.
func (a *app) computeKubernetes(verb string) *cobra.Command {
	var common attachFlags
	var f kubernetesFlags
	cmd := &cobra.Command{
		Use:   "kubernetes NAME",
		Short: "Attach a namespace of a Kubernetes cluster",
		Long: `Attach a namespace of a Kubernetes cluster: a run there is a Job. The part of the
kubeconfig that is about the context is kept in the workspace's secret store, so that
other processes get there, too. Environments become images in the registry, which are
made by Jobs; whoever submits runs is logged in there, as for docker or podman.
azml compute detach forgets it.`,
		Example: strings.ReplaceAll(`  azml compute VERB kubernetes k8s --context lab --namespace ml --image python:3.12-slim
  azml compute VERB kubernetes k8s --namespace ml --image python:3.12 --registry registry.example.com/ml/azml --gpus 1 --memory 16g
  azml compute VERB kubernetes k8s --image python:3.12 --queue team-a --toleration gpu=yes:NoSchedule --pod-patch pod.yaml
  azml compute VERB kubernetes k8s --image python:3.12 --volume data:/data:ro --volume secret/license:/license`, "VERB", verb),
		Args: exactly(1, "a name for the target"),
	}
	common.add(cmd)
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.fill(); err != nil {
			return err
		}
		return a.attach(cmd.Context(), args[0], f.target, &common)
	}
	return cmd
}

func (f *kubernetesFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file (default: kubectl's)")
	flags.StringVar(&f.context, "context", "", "context of the kubeconfig (default: the current one)")
	flags.BoolVar(&f.inCluster, "in-cluster", false, "use the service account of the pod that azml runs in, instead of a kubeconfig")
	flags.StringVar(&f.target.Namespace, "namespace", "", "namespace of the Jobs (default: the context's, in a pod the pod's)")
	flags.StringVar(&f.target.Image, "image", "", "image of environments that name none")
	flags.StringVar(&f.target.Registry, "registry", "", "repository for images of environments, such as registry.example.com/ml/azml")
	flags.StringVar(&f.target.Platform, "platform", "", "platform of the nodes, such as linux/arm64 (default: the API server's)")
	flags.StringVar(&f.target.User, "user", "", "whom runs have as user, a number, or UID:GID (default: 65532)")
	flags.StringVar(&f.target.ServiceAccount, "service-account", "", "service account of pods, of which they get no token")
	flags.StringArrayVar(&f.target.PullSecrets, "pull-secret", nil, "name of a Secret that images are pulled by (repeatable)")
	f.selectors = tagsFlag(cmd, "node-selector", "label that nodes must have")
	flags.StringArrayVar(&f.tolerations, "toleration", nil, "taint of nodes that pods put up with, KEY, KEY=VALUE, KEY:EFFECT or KEY=VALUE:EFFECT (repeatable)")
	flags.StringVar(&f.target.PriorityClass, "priority-class", "", "priority class of pods")
	flags.StringVar(&f.target.Queue, "queue", "", "queue of Kueue that Jobs wait in")
	f.limits.add(cmd)
	flags.StringVar(&f.target.GPU, "gpu-resource", "", "resource that GPUs are (default: nvidia.com/gpu)")
	f.requests = tagsFlag(cmd, "request", "what a node must have free, such as cpu=500m (default: the limits)")
	flags.StringArrayVar(&f.volumes, "volume", nil, "what runs see at a path: a claim, a Secret or a ConfigMap, NAME:PATH, secret/NAME:PATH or configmap/NAME:PATH, with :ro at the end for reading only (repeatable)")
	flags.StringVar(&f.target.SharedClaim, "shared-claim", "", "claim of the folder that runs share, for what they keep")
	flags.DurationVar(&f.target.KeepEnded, "keep-ended", 0, "how long the cluster keeps an ended Job that nobody removes, in whole seconds (default 168h)")
	flags.StringVar(&f.patch, "pod-patch", "", "file with YAML that is merged into the pods' template")
	cmd.MarkFlagsMutuallyExclusive("in-cluster", "kubeconfig")
	cmd.MarkFlagsMutuallyExclusive("in-cluster", "context")
}

// fill makes the flags' texts the target's members.
func (f *kubernetesFlags) fill() (err error) {
	t := &f.target
	if t.Limits, err = f.limits.limits(); err != nil {
		return err
	}
	if t.Limits.GPUs < 0 {
		return usage("--gpus all: Kubernetes gives out a number of GPUs")
	}
	t.NodeSelector, t.Requests = f.selectors.values, f.requests.values
	for _, text := range f.volumes {
		v, err := parseVolume(text)
		if err != nil {
			return err
		}
		t.Volumes = append(t.Volumes, v)
	}
	for _, text := range f.tolerations {
		toleration, err := parseToleration(text)
		if err != nil {
			return err
		}
		t.Tolerations = append(t.Tolerations, toleration)
	}
	if f.patch != "" {
		patch, err := os.ReadFile(f.patch)
		if err != nil {
			return err
		}
		t.PodPatch = string(patch)
	}
	if f.inCluster {
		return nil
	}
	t.Kubeconfig, err = kubernetes.ReadKubeconfig(f.kubeconfig, f.context)
	return err
}

func parseVolume(text string) (kubernetes.Volume, error) {
	parts := strings.Split(text, ":")
	readOnly := len(parts) == 3 && parts[2] == "ro"
	wrong := usage("--volume %q: use NAME:PATH for a claim, secret/NAME:PATH or configmap/NAME:PATH, and :ro at the end for reading only", text)
	if len(parts) != 2 && !readOnly {
		return kubernetes.Volume{}, wrong
	}
	v := kubernetes.Volume{Path: parts[1], ReadOnly: readOnly}
	switch kind, name, given := strings.Cut(parts[0], "/"); {
	case !given:
		v.Claim = kind
	case kind == "secret" && name != "":
		v.Secret = name
	case kind == "configmap" && name != "":
		v.ConfigMap = name
	default:
		return kubernetes.Volume{}, wrong
	}
	return v, nil
}

// parseToleration reads a taint as kubectl writes it; parts that are left out match any.
func parseToleration(text string) (corev1.Toleration, error) {
	taint, effect, given := strings.Cut(text, ":")
	key, value, equal := strings.Cut(taint, "=")
	effects := []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	if key == "" || given && !slices.Contains(effects, corev1.TaintEffect(effect)) {
		return corev1.Toleration{}, usage("--toleration %q: use KEY, KEY=VALUE, KEY:EFFECT or KEY=VALUE:EFFECT, with one of the effects %v", text, effects)
	}
	t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffect(effect)}
	if equal {
		t.Operator, t.Value = corev1.TolerationOpEqual, value
	}
	return t, nil
}
