package pyenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// helperVariable makes the test binary build one environment and end.
const helperVariable = "AZML_TEST_PYENV_HELPER"

func buildHelper() int {
	links := os.Getenv(helperVariable)
	env, err := Build(context.Background(), localSpec(links, strings.Fields(os.Getenv("PYENV_TEST_PACKAGES"))...),
		&BuildOptions{CacheDir: os.Getenv("PYENV_TEST_CACHE"), Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("%s %v", env.Dir, env.Reused)
	return 0
}

// helper is another process that builds.
func helper(t *testing.T, links, cache, packages string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperVariable+"="+links, "PYENV_TEST_CACHE="+cache, "PYENV_TEST_PACKAGES="+packages)
	return cmd
}

func TestProcessesBuildOnce(t *testing.T) {
	t.Parallel()
	needPython(t)
	links, cache := t.TempDir(), t.TempDir()
	wheel(t, links, "tinyone", "1.0")
	results := make([]string, 4)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			cmd := helper(t, links, cache, "tinyone")
			cmd.Stderr = newLines()
			out, err := cmd.Output()
			results[i] = string(out)
			if err != nil {
				t.Errorf("%v: %s", err, cmd.Stderr)
			}
		})
	}
	for range 3 {
		group.Go(func() {
			if _, err := Build(t.Context(), localSpec(links, "tinyone"), &BuildOptions{CacheDir: cache}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	built := 0
	for _, result := range results {
		dir, reused, _ := strings.Cut(result, " ")
		require.Equal(t, strings.Fields(results[0])[0], dir)
		if reused == "false" {
			built++
		}
	}
	require.LessOrEqual(t, built, 1)
	entries, err := os.ReadDir(filepath.Join(cache, "envs", localSpec(links, "tinyone").Hash()))
	require.NoError(t, err)
	require.Len(t, entries, 2, "the marker and one environment are expected")
}

func TestKilledBuildIsRebuilt(t *testing.T) {
	t.Parallel()
	needPython(t)
	links, cache := t.TempDir(), t.TempDir()
	started, release := filepath.Join(links, "started"), filepath.Join(links, "release")
	sdist(t, links, "gated", fmt.Sprintf(`open(%q, "w").close()
for _ in range(4000):
    if os.path.exists(%q): break
    time.sleep(0.05)`, started, release))
	spec := localSpec(links, "gated")
	cmd := helper(t, links, cache, "gated")
	require.NoError(t, cmd.Start())
	exists := func() bool { _, err := os.Stat(started); return err == nil }
	require.Eventually(t, exists, patience, 20*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	half, err := List(t.Context(), cache)
	require.NoError(t, err)
	require.Len(t, half, 1)
	require.False(t, half[0].Complete)
	// The killed builder's pip goes on beside the new build.
	require.NoError(t, os.WriteFile(release, nil, 0o644))
	env, err := Build(t.Context(), spec, &BuildOptions{CacheDir: cache})
	require.NoError(t, err)
	require.False(t, env.Reused)
	require.Equal(t, "1.0", run(t, env, "python", "-c", "import gated; print(gated.version)"))
}
