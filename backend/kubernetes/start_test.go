package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// TestOverQuota tells what waits from what is refused, of which both are forbidden.
func TestOverQuota(t *testing.T) {
	t.Parallel()
	for message, over := range map[string]bool{
		`Error creating: pods "a-1" is forbidden: exceeded quota: team, requested: pods=1, used: pods=3, limited: pods=3`: true,
		`Error creating: pods "a-1" is forbidden: status unknown for quota: team, resources: pods`:                        true, // it was just made
		`Error creating: pods "a-1" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes`:             false,
		`Error creating: pods "a-1" is forbidden: failed quota: team: must specify limits.cpu for: job`:                   false, // for ever
		`Error creating: admission webhook "pods.example.com" denied the request: there is a quota of one`:                false,
	} {
		require.Equal(t, over, overQuota(&corev1.Event{Message: message}), message)
	}
}

// TestTooSoon tells a webhook that does not know the pod's own Job yet from one that lacks
// something else.
func TestTooSoon(t *testing.T) {
	t.Parallel()
	for message, soon := range map[string]bool{
		`Error creating: admission webhook "mpod.kb.io" denied the request: Job.batch "azml-1" not found`:           true,
		`Error creating: admission webhook "mpod.kb.io" denied the request: Job.batch "azml-12" not found`:          false,
		`Error creating: admission webhook "pods.example.com" denied the request: team "azml-1" not found`:          false,
		`Error creating: admission webhook "pods.example.com" denied the request: Job.batch "azml-1" is of no team`: false,
	} {
		require.Equal(t, soon, tooSoon(&corev1.Event{Message: message}, "azml-1"), message)
	}
}
