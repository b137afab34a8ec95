package pyenv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/testenv"
)

// TestClausesInPython has Python judge versions by what images ask it, and
// compares.
func TestClausesInPython(t *testing.T) {
	t.Parallel()
	python := testenv.Python(t)
	var script, want strings.Builder
	for _, text := range []string{"3", "3.11", "3.11.7", "==3.11", "===3.11.7", "=3.9", "!=3.11", "!=3.11.7", "<3.11", "<=3.11", "<=3.11.7", ">3.11", ">3.11.7", ">=3.9", ">=3.11.7"} {
		clauses, err := parseVersions(text)
		require.NoError(t, err)
		for _, version := range [][]int{{3, 9, 0}, {3, 10, 20}, {3, 11, 0}, {3, 11, 7}, {3, 11, 8}, {3, 12, 1}} {
			fmt.Fprintf(&script, "v = (%d, %d, %d)\nprint(%q, v, %s)\n", version[0], version[1], version[2], text, clauses[0].python())
			said := "False"
			if clauses[0].allows(version) {
				said = "True"
			}
			fmt.Fprintf(&want, "%s (%d, %d, %d) %s\n", text, version[0], version[1], version[2], said)
		}
	}
	out, err := exec.Command(python, "-c", script.String()).Output()
	require.NoError(t, err)
	require.Equal(t, want.String(), string(out))
}

func TestSetup(t *testing.T) {
	t.Setenv("INDEX_PASSWORD", "s3cret-value")
	t.Setenv("PIP_INDEX_URL", "https://index.example/simple")
	t.Setenv("AZURE_CLIENT_SECRET", "not-for-images")
	spec := Spec{Pip: []string{"numpy==2.0", "scipy"}, Constraints: []string{"numpy<3"}, PipOptions: []string{"--extra-index-url https://me:${INDEX_PASSWORD}@index.example"}}
	var log bytes.Buffer
	err := InImage(t.Context(), spec, &log, func(setup Setup, log io.Writer) error {
		require.Equal(t, "--extra-index-url https://me:${INDEX_PASSWORD}@index.example\nnumpy==2.0\nscipy\n----\nnumpy<3\n", string(setup.Input))
		require.NotContains(t, setup.Script, "numpy")
		require.Equal(t, "s3cret-value", setup.Env["INDEX_PASSWORD"])
		require.Equal(t, "https://index.example/simple", setup.Env["PIP_INDEX_URL"])
		require.NotContains(t, setup.Env, "AZURE_CLIENT_SECRET")
		require.NotContains(t, setup.Env, "PATH")
		_, err := io.WriteString(log, "looking at https://me:s3cret-value@index.example\nERROR: No matching distribution found for scipy")
		return errors.Join(err, fmt.Errorf("%w: exit code 1", azml.ErrFailed))
	})
	var failure *BuildError
	require.ErrorAs(t, err, &failure)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.Contains(t, failure.Hint, "no version that fits")
	require.NotContains(t, log.String()+err.Error(), "s3cret")

	for name, spec := range map[string]Spec{"any Python": {}, "user managed": {UserManaged: true}} {
		require.NoError(t, InImage(t.Context(), spec, io.Discard, func(setup Setup, _ io.Writer) error {
			require.Equal(t, Setup{}, setup, name)
			return nil
		}))
	}
}
