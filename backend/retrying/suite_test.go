package retrying_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/filesecrets"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/retrying"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick are options for tests: many tries with hardly any pauses.
var quick = &retrying.Options{Attempts: 50, Base: time.Microsecond, Max: time.Millisecond}

// plans are what the suite must pass under, when retried. Torn reads are
// checked apart, for objects that are replaced meanwhile end them.
func plans() map[string]faulty.Plan {
	return map[string]faulty.Plan{
		"no faults": {},
		"faults":    {Seed: 1, Errors: 0.1, Lost: 0.1, Delays: 0.1, MaxDelay: 100 * time.Microsecond},
	}
}

func TestObjectsOnMemory(t *testing.T) {
	t.Parallel()
	for name, plan := range plans() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Objects(t, func(*testing.T) backendtest.ObjectsHarness {
				s := retrying.New(faulty.New(memory.NewObjects(), plan), quick)
				return backendtest.ObjectsHarness{
					Objects:  s,
					Reopen:   func() (backend.Objects, error) { return s, nil },
					Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true, Retried: true},
				}
			})
		})
	}
}

func TestObjectsOnLocalfs(t *testing.T) {
	t.Parallel()
	for name, plan := range plans() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
				s, err := localfs.New(t.TempDir(), nil)
				require.NoError(t, err)
				t.Cleanup(func() { s.Close() })
				return backendtest.ObjectsHarness{
					Objects:  retrying.New(faulty.New(s, plan), quick),
					Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true, Spool: true, Retried: true},
				}
			})
		})
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for name, plan := range plans() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Secrets(t, func(*testing.T) backendtest.SecretsHarness {
				return backendtest.SecretsHarness{Secrets: retrying.NewSecrets(faulty.NewSecrets(memory.NewSecrets(), plan), quick), Retried: true}
			})
			backendtest.Secrets(t, func(t *testing.T) backendtest.SecretsHarness {
				dir := t.TempDir()
				open := func() (backend.Secrets, error) {
					s, err := filesecrets.New(filepath.Join(dir, "secrets"), &filesecrets.Options{KeyFile: filepath.Join(dir, "key")})
					return retrying.NewSecrets(faulty.NewSecrets(s, plan), quick), err
				}
				s, err := open()
				require.NoError(t, err)
				return backendtest.SecretsHarness{Secrets: s, Reopen: open, Retried: true}
			})
		})
	}
}
