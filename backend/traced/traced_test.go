package traced_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/traced"
)

func providers() traced.Providers {
	return traced.Providers{Tracer: sdktrace.NewTracerProvider(), Meter: metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))}
}

func wrapped(t *testing.T, inner backend.Objects) backend.Objects {
	t.Helper()
	o, err := traced.Objects(inner, providers())
	require.NoError(t, err)
	return o
}

func TestObjectsOnMemory(t *testing.T) {
	t.Parallel()
	backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
		s := memory.NewObjects()
		return backendtest.ObjectsHarness{
			Objects:  wrapped(t, s),
			Reopen:   func() (backend.Objects, error) { return wrapped(t, s), nil },
			Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true},
		}
	})
}

func TestObjectsOnLocalfs(t *testing.T) {
	t.Parallel()
	backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
		s, err := localfs.New(t.TempDir(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { s.Close() })
		return backendtest.ObjectsHarness{Objects: wrapped(t, s), Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true, Spool: true}}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	backendtest.Secrets(t, func(t *testing.T) backendtest.SecretsHarness {
		s, err := traced.Secrets(memory.NewSecrets(), providers())
		require.NoError(t, err)
		return backendtest.SecretsHarness{Secrets: s}
	})
}
