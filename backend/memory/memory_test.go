package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestObjects(t *testing.T) {
	t.Parallel()
	backendtest.Objects(t, func(*testing.T) backendtest.ObjectsHarness {
		s := memory.NewObjects()
		return backendtest.ObjectsHarness{
			Objects:  s,
			Reopen:   func() (backend.Objects, error) { return s, nil },
			Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true},
		}
	})
}

func TestDataFiles(t *testing.T) {
	t.Parallel()
	backendtest.DataFiles(t, func(*testing.T) backendtest.DataFilesHarness {
		return backendtest.DataFilesHarness{Files: memory.NewObjects()}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	backendtest.Secrets(t, func(*testing.T) backendtest.SecretsHarness {
		s := memory.NewSecrets()
		return backendtest.SecretsHarness{Secrets: s, Reopen: func() (backend.Secrets, error) { return s, nil }}
	})
}
