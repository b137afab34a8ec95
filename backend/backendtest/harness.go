package backendtest

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// TB is what a check needs of a test. It is an interface so that the suite can
// be run against broken drivers, and its failures be counted.
type TB interface {
	// Helper marks the caller as a helper.
	Helper()
	// Errorf reports a failure and goes on.
	Errorf(format string, args ...any)
	// FailNow ends the check as failed.
	FailNow()
	// Logf says something that is shown when the check fails.
	Logf(format string, args ...any)
	// Context is done when the check is.
	Context() context.Context
}

// ObjectsHarness is an object store under test.
type ObjectsHarness struct {
	// Objects is the store, empty.
	Objects backend.Objects
	// Reopen opens the same data anew, as another process would; the store
	// before stays in use. Nil when the store does not outlive the value.
	Reopen func() (backend.Objects, error)
	// Features are the abilities that the driver declares.
	Features ObjectsFeatures
}

// ObjectsFeatures are abilities that not every object store has. What is not
// declared must be refused, not half there.
type ObjectsFeatures struct {
	// AppendToPut says that Append works on objects that Put made.
	AppendToPut bool
	// Spool says that the store is a backend.Spooler.
	Spool bool
	// Changes says that the store is a backend.ChangeFeed.
	Changes bool
	// MaxKeyLen is the greatest length of keys where a decorator leaves less
	// than backend.MaxKeyLen, which 0 means.
	MaxKeyLen int
	// Retried says that calls may have been tried again after a lost answer, so
	// that deleting what is not there may succeed.
	Retried bool
}

// SecretsHarness is a secret store under test.
type SecretsHarness struct {
	// Secrets is the store, empty.
	Secrets backend.Secrets
	// Reopen opens the same data anew, as another process would; the store
	// before stays in use. Nil when the store does not outlive the value.
	Reopen func() (backend.Secrets, error)
	// MaxNameLen is the greatest length of names where a decorator leaves less
	// than 127, which 0 means.
	MaxNameLen int
	// Retried is as in ObjectsFeatures.
	Retried bool
}

// Objects runs the suite for object stores. It calls open for every check and
// runs checks in parallel.
func Objects(t *testing.T, open func(t *testing.T) ObjectsHarness) {
	runGroups(t, objectsGroups(), open)
}

// Secrets runs the suite for secret stores. It calls open for every check and
// runs checks in parallel.
func Secrets(t *testing.T, open func(t *testing.T) SecretsHarness) {
	runGroups(t, secretsGroups(), open)
}

// group is the checks of one topic.
type group[H any] struct {
	name   string
	checks []check[H]
}

// check is one thing that a store must do.
type check[H any] struct {
	name string
	run  func(t TB, h H)
}

func runGroups[H any](t *testing.T, groups []group[H], open func(t *testing.T) H) {
	t.Helper()
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range g.checks {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(t, open(t))
				})
			}
		})
	}
}

// requireGone checks the answer to deleting what is not there.
func requireGone(t TB, err error, retried bool) {
	t.Helper()
	if err == nil && retried {
		return
	}
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// random gives a source of random numbers and prints its seed.
func random(t TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("AZML_TEST_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "AZML_TEST_SEED")
	}
	t.Logf("AZML_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
