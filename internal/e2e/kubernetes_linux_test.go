package e2e

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/testenv"
)

// clustered is a namespace of a real Kubernetes.
func clustered(t *testing.T) compute.Config {
	cluster := testenv.Kubernetes(t)
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	return kubernetes.Target{Kubeconfig: kubeconfig, Namespace: cluster.Namespace, Image: cluster.Image}
}
