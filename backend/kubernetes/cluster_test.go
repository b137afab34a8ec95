package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnLoopback(t *testing.T) {
	t.Parallel()
	for address, near := range map[string]bool{"https://127.0.0.1:6443": true, "https://localhost:6443/k8s": true, "https://[::1]:6443": true,
		"https://0.0.0.0:6443": false, "https://10.0.0.1:6443": false, "https://example.com": false, "127.0.0.1:6443": false, "": false} {
		require.Equal(t, near, onLoopback(address), address)
	}
}
