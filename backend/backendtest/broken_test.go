package backendtest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/memory"
)

// recorder is a TB that notes failures instead of failing.
type recorder struct {
	ctx context.Context

	mu     sync.Mutex
	failed bool
	text   strings.Builder
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Logf(format string, args ...any) {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
	fmt.Fprintf(&r.text, format, args...)
}

func (r *recorder) FailNow() {
	r.mu.Lock()
	r.failed = true
	r.mu.Unlock()
	runtime.Goexit()
}

// failures runs groups, one or (for "") all, on stores that open gives, and
// names those that fail.
func failures[H any](ctx context.Context, groups []group[H], only string, open func() H) (names []string, text string) {
	for _, g := range groups {
		if only != "" && g.name != only {
			continue
		}
		for _, c := range g.checks {
			r := &recorder{ctx: ctx}
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.run(r, open())
			}()
			<-done
			if r.failed && !slices.Contains(names, g.name) {
				names = append(names, g.name)
			}
			text += r.text.String()
		}
	}
	return names, text
}

func TestSuiteCatchesBrokenObjects(t *testing.T) {
	t.Parallel()
	for _, broken := range brokenObjects() {
		t.Run(broken.name, func(t *testing.T) {
			t.Parallel()
			names, _ := failures(t.Context(), objectsGroups(), broken.group, func() ObjectsHarness {
				return broken.open(memory.NewObjects())
			})
			require.Contains(t, names, broken.group)
		})
	}
}

func TestSuiteCatchesBrokenSecrets(t *testing.T) {
	t.Parallel()
	for _, broken := range brokenSecrets() {
		t.Run(broken.name, func(t *testing.T) {
			t.Parallel()
			names, _ := failures(t.Context(), secretsGroups(), broken.group, func() SecretsHarness {
				return broken.open(memory.NewSecrets())
			})
			require.Contains(t, names, broken.group)
		})
	}
}

// TestRecorderPassesGoodStores shows that the failures above are those of the
// broken drivers and not of the way they are run.
func TestRecorderPassesGoodStores(t *testing.T) {
	t.Parallel()
	names, text := failures(t.Context(), objectsGroups(), "", func() ObjectsHarness {
		return wrapped(memory.NewObjects(), hooks{})
	})
	require.Empty(t, names, text)
	names, text = failures(t.Context(), secretsGroups(), "", func() SecretsHarness {
		return wrappedSecrets(memory.NewSecrets(), secretHooks{})
	})
	require.Empty(t, names, text)
}

// TestNotesAreAGoodFeed shows that what the broken feeds are made of is right.
func TestNotesAreAGoodFeed(t *testing.T) {
	t.Parallel()
	names, text := failures(t.Context(), objectsGroups(), "changes", func() ObjectsHarness {
		n := &notes{Objects: memory.NewObjects()}
		return wrapped(n.Objects, n.hooks())
	})
	require.Empty(t, names, text)
}
