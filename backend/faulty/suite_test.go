package faulty_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/filesecrets"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
)

func TestNoFaultsOnMemory(t *testing.T) {
	t.Parallel()
	backendtest.Objects(t, func(*testing.T) backendtest.ObjectsHarness {
		return backendtest.ObjectsHarness{
			Objects:  faulty.New(memory.NewObjects(), faulty.Plan{}),
			Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true},
		}
	})
	backendtest.Secrets(t, func(*testing.T) backendtest.SecretsHarness {
		return backendtest.SecretsHarness{Secrets: faulty.NewSecrets(memory.NewSecrets(), faulty.Plan{})}
	})
}

func TestNoFaultsOnLocalfs(t *testing.T) {
	t.Parallel()
	backendtest.Secrets(t, func(t *testing.T) backendtest.SecretsHarness {
		dir := t.TempDir()
		open := func() (backend.Secrets, error) {
			s, err := filesecrets.New(filepath.Join(dir, "secrets"), &filesecrets.Options{KeyFile: filepath.Join(dir, "key")})
			return faulty.NewSecrets(s, faulty.Plan{}), err
		}
		s, err := open()
		require.NoError(t, err)
		return backendtest.SecretsHarness{Secrets: s, Reopen: open}
	})
	backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
		s, err := localfs.New(t.TempDir(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { s.Close() })
		return backendtest.ObjectsHarness{
			Objects:  faulty.New(s, faulty.Plan{}),
			Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true, Spool: true},
		}
	})
}
