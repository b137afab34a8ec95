package testenv

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKubernetesThatIsSlow has a kube-up whose parts take longer than it waits, and one that
// fails.
func TestKubernetesThatIsSlow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ says, fails string }{
		"slow":   {"kube: containerd: not ready within 60 s", ""},
		"failed": {"kube-up: root is needed", "kube-up: exit status 1: kube-up: root is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &KubernetesCluster{dir: t.TempDir(), tools: t.TempDir(), environ: os.Environ()}
			script := `#!/bin/sh
[ -e "$1/tried twice" ] && exit
[ -e "$1/tried" ] && touch "$1/tried twice"
touch "$1/tried"
echo "` + tt.says + `" >&2
exit 1
`
			require.NoError(t, os.WriteFile(filepath.Join(c.tools, "kube-up"), []byte(script), 0o700))
			err := c.start(t.Context())
			if tt.fails != "" {
				require.EqualError(t, err, tt.fails)
				return
			}
			require.NoError(t, err)
		})
	}
}
