package kubernetes

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/testenv"
)

// TestRenewals are of a Job whose command another one has noted to run: its deadline is
// taken away again; and none of one that has the name of another.
func TestRenewals(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	d, err := New(Target{Kubeconfig: kubeconfig, Namespace: cluster.Namespace, Image: cluster.Image}, &Options{Name: t.Name(), CacheDir: t.TempDir(), Patience: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	m, err := d.cluster.jobs.Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "renewals-" + strings.ToLower(rand.Text()[:6]), Annotations: map[string]string{begunAnnotation: "2026-11-26T00:00:00Z", "other": "stays"}},
		Spec: batchv1.JobSpec{Suspend: new(true), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{Name: containerName, Image: cluster.Image}}}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	another := m.DeepCopy()
	another.UID = "another"
	_, err = d.patch(t.Context(), another, nil, map[string]any{"activeDeadlineSeconds": 1000})
	require.ErrorIs(t, err, azml.ErrInvalid)
	got, err := d.patch(t.Context(), m, nil, map[string]any{"activeDeadlineSeconds": 1000})
	require.NoError(t, err)
	require.EqualValues(t, 1000, *got.Spec.ActiveDeadlineSeconds)
	require.Equal(t, "stays", got.Annotations["other"])
	d.renew(t.Context(), m)
	got, err = d.cluster.jobs.Get(t.Context(), m.Name, metav1.GetOptions{})
	require.NoError(t, err)
	require.Nil(t, got.Spec.ActiveDeadlineSeconds)
	require.NoError(t, d.discard(t.Context(), m))
}
