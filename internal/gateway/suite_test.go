package gateway_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var token, digest = gateway.NewToken()

// serve serves the stores on a socket until the test ends, and gives its address.
func serve(t *testing.T, objects backend.Objects, secrets backend.Secrets, scope gateway.Scope) string {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- gateway.Serve(ctx, l, gateway.New(objects, secrets, digest, scope, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return "unix:" + path
}

func dial(t *testing.T, address, token string) *gateway.Client {
	c, err := gateway.Dial(address, token)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// TestObjects runs the whole suite of stores through a gateway.
func TestObjects(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) backend.Objects{
		"memory": func(*testing.T) backend.Objects { return memory.NewObjects() },
		"localfs": func(t *testing.T) backend.Objects {
			s, err := localfs.New(t.TempDir(), nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
				address := serve(t, open(t), memory.NewSecrets(), everything{})
				return backendtest.ObjectsHarness{
					Objects:  dial(t, address, token),
					Reopen:   func() (backend.Objects, error) { return dial(t, address, token), nil },
					Features: backendtest.ObjectsFeatures{AppendToPut: true},
				}
			})
		})
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	secrets := memory.NewSecrets()
	const value = "no text: \xff\x00"
	require.NoError(t, secrets.Set(t.Context(), "name", value))
	c := dial(t, serve(t, memory.NewObjects(), secrets, everything{}), token)
	got, err := c.Secrets().Get(t.Context(), "name")
	require.NoError(t, err)
	require.Equal(t, value, got)
	_, err = c.Secrets().Get(t.Context(), "other")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorIs(t, c.Secrets().Set(t.Context(), "name", ""), azml.ErrUnsupported)
	require.ErrorIs(t, c.Secrets().Delete(t.Context(), "name"), azml.ErrUnsupported)
	for _, err := range c.Secrets().List(t.Context()) {
		require.ErrorIs(t, err, azml.ErrUnsupported)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	address := serve(t, objects, memory.NewSecrets(), everything{})
	for _, wrong := range []string{"", "another", token + token} {
		_, err := dial(t, address, wrong).Stat(t.Context(), "a")
		require.ErrorIs(t, err, azml.ErrDenied, wrong)
	}
	_, err := dial(t, address, token).Stat(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// TestCut has nobody at the other end, and addresses that are none.
func TestCut(t *testing.T) {
	t.Parallel()
	_, err := dial(t, "unix:"+filepath.Join(t.TempDir(), "none"), token).Stat(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrUnavailable)
	for _, address := range []string{"", "unix:", "http://x", "tcp:", "nonsense"} {
		_, err := gateway.Dial(address, token)
		require.ErrorIs(t, err, azml.ErrInvalid, address)
	}
}

// everything is the scope without bounds.
type everything struct {
	files  backend.DataFiles
	tables backend.DataTables
}

func (everything) Read(context.Context, string) error { return nil }
func (everything) Put(context.Context, string, backend.Content, *backend.PutOptions) error {
	return nil
}
func (everything) Append(context.Context, string) error { return nil }
func (everything) Delete(context.Context, string) error { return nil }
func (everything) Listed(context.Context, string) bool  { return true }
func (everything) Secret(string) error                  { return nil }
func (e everything) Datastore(context.Context, string) (gateway.Datastore, error) {
	return struct {
		backend.DataFiles
		backend.DataTables
	}{e.files, e.tables}, nil
}
