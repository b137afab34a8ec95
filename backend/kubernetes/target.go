package kubernetes

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Type is the type of compute targets that are Kubernetes, as it stands in their
// records: Azure ML's name.
const Type = "Kubernetes"

// Target is a namespace of a cluster as a compute target of a workspace: a
// configuration for compute.Client.Create.
type Target struct {
	// Kubeconfig is the text of a kubeconfig of which the current context counts,
	// see ReadKubeconfig. It is kept in the secret store. Empty for a program
	// that itself runs in the cluster: its own service account.
	Kubeconfig []byte `json:"-"`
	// Namespace is where the jobs are; the kubeconfig's, or the pod's, when empty.
	Namespace string `json:"namespace,omitempty"`
	// Image is the image of jobs, and the base of environments, that name none.
	Image string `json:"image,omitempty"`
	// Registry is the repository that images of environments are pushed to and
	// pulled from, such as "registry.example.com/ml/azml". Whoever builds one is
	// logged in there as for docker or podman. Jobs of images of the same registry
	// have those and azml from there, if whoever starts them is.
	Registry string `json:"registry,omitempty"`
	// Platform is that of the nodes that jobs run on, such as "linux/arm64"; when
	// empty, the API server's.
	Platform string `json:"platform,omitempty"`
	// User is whom jobs run as, a number or two, "user:group"; 65532, who is nobody,
	// when empty.
	User string `json:"user,omitempty"`
	// ServiceAccount is that of pods, of which they get no token.
	ServiceAccount string `json:"serviceAccount,omitempty"`
	// PullSecrets are the names of the Secrets that images are pulled by.
	PullSecrets []string `json:"pullSecrets,omitempty"`
	// NodeSelector are labels that nodes must have.
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Tolerations are the taints of nodes that jobs put up with.
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// PriorityClass is the name of the pods' PriorityClass.
	PriorityClass string `json:"priorityClass,omitempty"`
	// Requests are what a node must have free for a job, such as "cpu": "500m"; what
	// is not named is what Limits say.
	Requests map[string]string `json:"requests,omitempty"`
	// Limits are those of jobs that have none of their own, each by itself.
	Limits backend.Limits `json:"limits,omitzero"`
	// GPU is the resource that Limits.GPUs counts, "nvidia.com/gpu" when empty.
	GPU string `json:"gpu,omitempty"`
	// Volumes are what jobs see besides their image.
	Volumes []Volume `json:"volumes,omitempty"`
	// SharedClaim is the PersistentVolumeClaim of the folder that jobs share and
	// that outlives them. Without one the folder ends with its job.
	SharedClaim string `json:"sharedClaim,omitempty"`
	// Queue is the queue of Kueue that Jobs are put into: they are made suspended,
	// and wait until they are admitted.
	Queue string `json:"queue,omitempty"`
	// PodPatch is YAML of a PodTemplateSpec that is merged into that of jobs, as
	// "kubectl patch" merges. The container is called "job".
	PodPatch string `json:"podPatch,omitempty"`
	// KeepEnded is for how long the cluster keeps an ended job that nobody removes,
	// in whole seconds; seven days when zero.
	KeepEnded time.Duration `json:"keepEnded,omitempty"`
}

// Volume is what jobs see at a path.
type Volume struct {
	// Claim is the name of a PersistentVolumeClaim.
	Claim string `json:"claim,omitempty"`
	// Secret is the name of a Secret; one of Claim, Secret and ConfigMap is set.
	Secret string `json:"secret,omitempty"`
	// ConfigMap is the name of a ConfigMap.
	ConfigMap string `json:"configMap,omitempty"`
	// Path is where jobs see it, an absolute path.
	Path string `json:"path"`
	// ReadOnly says that jobs can't change it.
	ReadOnly bool `json:"readOnly,omitempty"`
}

// kubeconfigCredential is the name of Target.Kubeconfig among the credentials.
const kubeconfigCredential = "kubeconfig"

// Source implements compute.Config.
func (t Target) Source() (backend.ComputeSource, error) {
	if _, err := New(t, nil); err != nil {
		return backend.ComputeSource{}, err
	}
	text, err := json.Marshal(t)
	if err != nil {
		return backend.ComputeSource{}, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return backend.ComputeSource{}, err
	}
	s := backend.ComputeSource{Type: Type, Connection: map[string]string{}}
	for name, value := range members {
		plain := ""
		if json.Unmarshal(value, &plain) != nil {
			plain = string(value)
		}
		s.Connection[name] = plain
	}
	if len(t.Kubeconfig) > 0 {
		s.Credentials = backend.Credentials{kubeconfigCredential: string(t.Kubeconfig)}
	}
	return s, nil
}

// structured are the members of a connection that are JSON, the others are texts.
var structured = map[string]bool{"pullSecrets": true, "nodeSelector": true, "tolerations": true, "requests": true, "limits": true, "volumes": true, "keepEnded": true}

// parse reads what Source gave.
func parse(source backend.ComputeSource) (Target, error) {
	members := map[string]json.RawMessage{}
	for name, value := range source.Connection {
		members[name] = json.RawMessage(value)
		if !structured[name] {
			members[name], _ = json.Marshal(value) // strings always can be
		}
	}
	t := Target{Kubeconfig: []byte(source.Credentials[kubeconfigCredential])}
	text, err := json.Marshal(members)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err = d.Decode(&t)
	}
	if err != nil {
		return t, fmt.Errorf("%w: the connection of a Kubernetes target: %w", azml.ErrInvalid, err)
	}
	return t, nil
}

// Kind opens namespaces of clusters as compute targets. It implements
// backend.ComputeDriver.
type Kind struct{}

var (
	_ backend.ComputeDriver = Kind{}
	_ backend.MultiNode     = Kind{}
)

// Type implements backend.ComputeDriver.
func (Kind) Type() string { return Type }

// MaxNodes implements backend.MultiNode: by far more than what one pod after the other
// can be asked about.
func (Kind) MaxNodes() int { return 256 }

// Open implements backend.ComputeDriver. Targets that differ in their connection
// don't see each other's jobs, also in one namespace.
func (Kind) Open(_ context.Context, source backend.ComputeSource) (backend.OpenedCompute, error) {
	t, err := parse(source)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(source.Connection) // which sorts
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return New(t, &Options{Name: hex.EncodeToString(sum[:6]), CacheDir: filepath.Join(source.CacheDir, "kubernetes"), Program: source.Agent, Unpacker: source.Unpacker, Logger: source.Logger})
}

// ReadKubeconfig reads the kubeconfig in a file, or where that is "" the one that
// kubectl would take, and gives the part of a context, "" for the current one, with
// all files that it names in it. Errors: ErrNotFound, ErrInvalid.
func ReadKubeconfig(file, context string) ([]byte, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = file
	config, err := rules.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the kubeconfig: %w", azml.ErrNotFound, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the kubeconfig: %w", azml.ErrInvalid, err)
	}
	config.CurrentContext = cmp.Or(context, config.CurrentContext)
	if err := checkContext(config, rules); err != nil {
		return nil, err
	}
	err = clientcmdapi.MinifyConfig(config)
	if err == nil {
		err = clientcmdapi.FlattenConfig(config)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the kubeconfig: %w", azml.ErrInvalid, err)
	}
	return clientcmd.Write(*config)
}

// checkContext tells whether the context is there that is to be taken.
func checkContext(config *clientcmdapi.Config, rules *clientcmd.ClientConfigLoadingRules) error {
	there := strings.Join(slices.Sorted(maps.Keys(config.Contexts)), ", ")
	switch name := config.CurrentContext; {
	case config.Contexts[name] != nil:
		return nil
	case there == "":
		return fmt.Errorf("%w: there is no kubeconfig with a context in %s: name its file, or set KUBECONFIG", azml.ErrNotFound, strings.Join(rules.GetLoadingPrecedence(), ", "))
	case name == "":
		return fmt.Errorf("%w: the kubeconfig has no current context: name one of %s", azml.ErrNotFound, there)
	default:
		return fmt.Errorf("%w: the kubeconfig has no context %q: name one of %s", azml.ErrNotFound, name, there)
	}
}

// check finds what is wrong with a target before a cluster is asked.
func (t Target) check() error {
	if t.Limits.CPUs < 0 || t.Limits.Memory < 0 || t.Limits.SharedMemory < 0 || t.Limits.GPUs < 0 {
		return fmt.Errorf("%w: limits can't be negative, and of GPUs there can't be \"all\"", azml.ErrInvalid)
	}
	for name, quantity := range t.Requests {
		if _, err := resource.ParseQuantity(quantity); err != nil {
			return fmt.Errorf("%w: request of %s: %q is no quantity such as 500m or 2Gi", azml.ErrInvalid, name, quantity)
		}
	}
	for _, v := range t.Volumes {
		set := 0
		for _, name := range []string{v.Claim, v.Secret, v.ConfigMap} {
			if name != "" {
				set++
			}
		}
		if set != 1 || !path.IsAbs(v.Path) {
			return fmt.Errorf("%w: volume at %q: want an absolute path and one of claim, secret and config map", azml.ErrInvalid, v.Path)
		}
	}
	if t.Platform != "" {
		if _, err := parsePlatform(t.Platform); err != nil {
			return err
		}
	}
	if t.KeepEnded < 0 || t.KeepEnded%time.Second != 0 {
		return fmt.Errorf("%w: ended jobs are kept for whole seconds, not %s", azml.ErrInvalid, t.KeepEnded)
	}
	_, _, err := t.user()
	return err
}

// nobody is who has no rights at all.
const nobody = 65532

// user gives whom jobs run as.
func (t Target) user() (user, group int64, err error) {
	if t.User == "" {
		return nobody, nobody, nil
	}
	first, second, both := strings.Cut(t.User, ":")
	user, err = strconv.ParseInt(first, 10, 32)
	if group = user; err == nil && both {
		group, err = strconv.ParseInt(second, 10, 32)
	}
	if err != nil || user < 0 || group < 0 {
		return 0, 0, fmt.Errorf("%w: user %q: want a number, or two with \":\" between", azml.ErrInvalid, t.User)
	}
	return user, group, nil
}
