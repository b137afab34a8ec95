package kubernetes

import (
	"context"
	"crypto/rand"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/azml-go/azml/internal/testenv"
)

// TestStarted waits for the events of pods: no earlier than the job's own container runs,
// whatever others there are, and not for ever.
func TestStarted(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	d, err := New(Target{Kubeconfig: kubeconfig, Namespace: cluster.Namespace, Image: cluster.Image}, &Options{Name: t.Name(), CacheDir: t.TempDir()})
	require.NoError(t, err)
	defer d.Close()
	pod := func(container string) *corev1.Pod {
		p, err := d.cluster.pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "started-" + strings.ToLower(rand.Text()[:6])},
			Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(0)),
				InitContainers: []corev1.Container{{Name: "before", Image: cluster.Image, Command: []string{"/bin/sleep", "1"}}},
				Containers:     []corev1.Container{{Name: container, Image: cluster.Image, Command: []string{"/bin/sleep", "600"}}}}}, metav1.CreateOptions{})
		require.NoError(t, err)
		return p
	}
	own, other := pod(containerName), pod("another")
	limited, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for p := own; !d.awaitStarted(limited, p, p.ResourceVersion); {
		require.NoError(t, limited.Err(), "there was no event")
		p, err = d.cluster.pods.Get(t.Context(), own.Name, metav1.GetOptions{})
		require.NoError(t, err)
	}
	require.NoError(t, d.exec(t.Context(), own.Name, nil, new(strings.Builder), "/bin/true"))

	limited, stop = context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	for limited.Err() == nil {
		other, err = d.cluster.pods.Get(t.Context(), other.Name, metav1.GetOptions{})
		require.NoError(t, err)
		require.False(t, d.awaitStarted(limited, other, other.ResourceVersion))
	}

	nowhere := regexp.MustCompile(`server: \S+`).ReplaceAll(kubeconfig, []byte("server: https://127.0.0.1:1"))
	cut, err := New(Target{Kubeconfig: nowhere, Namespace: cluster.Namespace, Image: cluster.Image}, &Options{Name: t.Name(), CacheDir: t.TempDir()})
	require.NoError(t, err)
	defer cut.Close()
	require.False(t, cut.awaitStarted(t.Context(), own, own.ResourceVersion), "events can't be watched")
}
