package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/connrotation"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// kinds are those that this package uses. All of Kubernetes', which the usual clients
// bring, would be many times as much to link.
var kinds = sync.OnceValues(func() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{batchv1.AddToScheme, corev1.AddToScheme, authorizationv1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	return s, nil
})

// cluster is the way to an API server and one namespace there.
type cluster struct {
	config    *rest.Config
	dialer    *connrotation.Dialer // knows all connections
	namespace string
	core      rest.Interface
	jobs      *gentype.ClientWithList[*batchv1.Job, *batchv1.JobList]
	pods      *gentype.ClientWithList[*corev1.Pod, *corev1.PodList]
	events    *gentype.ClientWithList[*corev1.Event, *corev1.EventList]
	secrets   *gentype.Client[*corev1.Secret]
	services  *gentype.Client[*corev1.Service]
	reviews   *gentype.Client[*authorizationv1.SelfSubjectRulesReview]
}

// connect makes ready for requests, of which it makes none.
func connect(kubeconfig []byte, namespace string) (*cluster, error) {
	config, own, err := restConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("%w: the kubeconfig: %w", azml.ErrInvalid, err)
	}
	c := &cluster{config: config, namespace: namespace}
	if namespace == "" {
		c.namespace = own
	}
	config.QPS = -1 // the API server itself keeps its clients from taking too much
	config.UserAgent = "azml"
	c.dialer = connrotation.NewDialer(new(net.Dialer).DialContext)
	config.Dial = c.dialer.DialContext
	config.Proxy = http.ProxyFromEnvironment // the usual; set, it keeps this transport from being kept for ever
	known, err := kinds()
	if err != nil {
		return nil, err
	}
	clients := make([]rest.Interface, 3)
	for i, version := range []schema.GroupVersion{corev1.SchemeGroupVersion, batchv1.SchemeGroupVersion, authorizationv1.SchemeGroupVersion} {
		if clients[i], err = c.group(known, version); err != nil {
			return nil, fmt.Errorf("%w: the kubeconfig: %w", azml.ErrInvalid, err)
		}
	}
	parameters := runtime.NewParameterCodec(known)
	c.core = clients[0]
	c.jobs = gentype.NewClientWithList("jobs", clients[1], parameters, c.namespace,
		func() *batchv1.Job { return &batchv1.Job{} }, func() *batchv1.JobList { return &batchv1.JobList{} })
	c.pods = gentype.NewClientWithList("pods", c.core, parameters, c.namespace,
		func() *corev1.Pod { return &corev1.Pod{} }, func() *corev1.PodList { return &corev1.PodList{} })
	c.events = gentype.NewClientWithList("events", c.core, parameters, c.namespace,
		func() *corev1.Event { return &corev1.Event{} }, func() *corev1.EventList { return &corev1.EventList{} })
	c.secrets = gentype.NewClient("secrets", c.core, parameters, c.namespace, func() *corev1.Secret { return &corev1.Secret{} })
	c.services = gentype.NewClient("services", c.core, parameters, c.namespace, func() *corev1.Service { return &corev1.Service{} })
	c.reviews = gentype.NewClient("selfsubjectrulesreviews", clients[2], parameters, "",
		func() *authorizationv1.SelfSubjectRulesReview { return &authorizationv1.SelfSubjectRulesReview{} })
	return c, nil
}

// podNamespace is where a pod with a service account finds its namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// restConfig reads a kubeconfig; without one this program has to be in a pod, whose
// namespace is the one then.
func restConfig(kubeconfig []byte) (config *rest.Config, namespace string, err error) {
	if len(kubeconfig) == 0 {
		if config, err = rest.InClusterConfig(); err != nil {
			return nil, "", err
		}
		own, err := os.ReadFile(podNamespace)
		return config, strings.TrimSpace(string(own)), err
	}
	from, err := clientcmd.NewClientConfigFromBytes(kubeconfig)
	if err != nil {
		return nil, "", err
	}
	if config, err = from.ClientConfig(); err != nil {
		return nil, "", err
	}
	namespace, _, err = from.Namespace()
	return config, namespace, err
}

// group gives the client of a group of the API.
func (c *cluster) group(known *runtime.Scheme, version schema.GroupVersion) (rest.Interface, error) {
	config := rest.CopyConfig(c.config)
	config.APIPath = "/apis"
	if version.Group == "" {
		config.APIPath = "/api"
	}
	config.GroupVersion = &version
	config.NegotiatedSerializer = serializer.NewCodecFactory(known).WithoutConversion()
	return rest.RESTClientFor(config)
}

// close closes all connections.
func (c *cluster) close() { c.dialer.CloseAll() }

// platform is that of the API server.
func (c *cluster) platform(ctx context.Context) (backend.Platform, error) {
	body, err := c.core.Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return backend.Platform{}, classify(ctx, err)
	}
	var version struct {
		Platform string `json:"platform"`
	}
	if err := json.Unmarshal(body, &version); err != nil {
		return backend.Platform{}, fmt.Errorf("%w: what answers is no API server: %w", azml.ErrUnavailable, err)
	}
	return parsePlatform(version.Platform)
}

func parsePlatform(text string) (backend.Platform, error) {
	system, arch, ok := strings.Cut(text, "/")
	if !ok || system == "" || arch == "" {
		return backend.Platform{}, fmt.Errorf("%w: %q is no platform: want one such as linux/amd64", azml.ErrInvalid, text)
	}
	return backend.Platform{OS: system, Arch: arch}, nil
}
