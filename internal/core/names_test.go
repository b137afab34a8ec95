package core

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

var nameRules = map[string]struct {
	rule        NameRule
	good, wrong []string
}{
	"workspace":  {WorkspaceName, []string{"abc", "1_-", strings.Repeat("a", 33)}, []string{"", "ab", "-ab", "_ab", "a.b", "a b", strings.Repeat("a", 34)}},
	"experiment": {ExperimentName, []string{"a", "1", "A_-b", strings.Repeat("a", 255)}, []string{"", "-a", "_a", "a.b", "a/b", "ä", strings.Repeat("a", 256)}},
	"run":        {RunID, []string{"a", "churn_1_ab", strings.Repeat("a", 256)}, []string{"", "_a", "-a", "a.b", "..", "a/b", strings.Repeat("a", 257)}},
	"model":      {ModelName, []string{"a", "A.b_c-d", strings.Repeat("a", 255)}, []string{"", ".a", "-a", "_a", "a:1", "a/b", "a b", strings.Repeat("a", 256)}},
	"environment": {EnvironmentName, []string{"a", "A.b_c-d", strings.Repeat("a", 255)},
		[]string{"", ".a", "a:1", "a/b", strings.Repeat("a", 256)}},
	"environment version": {EnvironmentVersion, []string{"1", "v1.0-rc_1"}, []string{"", ".1", "-1", "+1", "a/b"}},
	"compute target":      {ComputeName, []string{"ab", "a1-", strings.Repeat("a", 16)}, []string{"", "a", "1a", "-a", "a_b", strings.Repeat("a", 17)}},
	"endpoint": {EndpointName, []string{"abc", "a-1", "a" + strings.Repeat("-", 30) + "a"},
		[]string{"", "ab", "Abc", "1bc", "-bc", "ab-", "a_b", strings.Repeat("a", 33)}},
	"deployment": {DeploymentName, []string{"blue", "v-2"}, []string{"v2", "Blue", "2nd", "blue_green"}},
	"secret":     {SecretName, []string{"a", "-", "A-1", strings.Repeat("a", 127)}, []string{"", "a_b", "a.b", "a/b", strings.Repeat("a", 128)}},
}

func TestNameRules(t *testing.T) {
	t.Parallel()
	for kind, test := range nameRules {
		for _, name := range test.good {
			require.NoError(t, test.rule.Check(name), "%s %q", kind, name)
		}
		for _, name := range append(test.wrong, "abc\n", "abc\x00", "\xff\xfe\xfd") {
			err := test.rule.Check(name)
			require.ErrorIs(t, err, azml.ErrInvalid, "%s %q", kind, name)
			require.ErrorContains(t, err, kind+" name")
			require.Less(t, len(err.Error()), 400, "an error text stays short")
		}
	}
}

// Whatever a rule accepts makes a legal key and a text of one line.
func FuzzNames(f *testing.F) {
	for _, test := range nameRules {
		for _, name := range append(test.good, test.wrong...) {
			f.Add(name)
		}
	}
	f.Fuzz(func(t *testing.T, name string) {
		for kind, test := range nameRules {
			err := test.rule.Check(name)
			if err == nil {
				require.NoError(t, backend.ValidKey("prefix/"+name+"/x.json"), "%s %q", kind, name)
				require.NoError(t, backend.ValidKey("prefix/"+name+".json"), "%s %q", kind, name)
			} else {
				require.ErrorIs(t, err, azml.ErrInvalid)
				require.NotContains(t, err.Error(), "\n")
			}
		}
	})
}
