package gateway

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
)

// TestNext asks for what there is to do after a run.
func TestNext(t *testing.T) {
	t.Parallel()
	serve := func(t *testing.T, offer Offer) (address, token string) {
		t.Helper()
		token, digest := NewToken()
		handler := New(memory.NewObjects(), memory.NewSecrets(), digest, nil, slog.New(slog.DiscardHandler))
		if offer != nil {
			handler.Offering(offer)
		}
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, listener, handler, slog.New(slog.DiscardHandler)) }()
		t.Cleanup(func() {
			stop()
			require.NoError(t, <-served)
		})
		return "tcp:" + listener.Addr().String(), token
	}
	for _, c := range []struct {
		name string
		says []byte
	}{{"something", []byte("{\"run\":\"\x00\xff\"}")}, {"nothing", nil}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address, token := serve(t, func(context.Context) ([]byte, error) { return c.says, nil })
			next, err := Next(t.Context(), address, token)
			require.NoError(t, err)
			require.Equal(t, c.says, next)
			_, err = Next(t.Context(), address, token+"x")
			require.ErrorIs(t, err, azml.ErrDenied)
		})
	}
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		address, token := serve(t, nil)
		_, err := Next(t.Context(), address, token)
		require.ErrorIs(t, err, azml.ErrUnsupported)
	})
	t.Run("who asked is gone", func(t *testing.T) {
		t.Parallel()
		asked, gone := make(chan struct{}), make(chan struct{})
		address, token := serve(t, func(ctx context.Context) ([]byte, error) {
			close(asked)
			<-ctx.Done()
			close(gone)
			return nil, ctx.Err()
		})
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			<-asked
			stop()
		}()
		_, err := Next(ctx, address, token)
		require.ErrorIs(t, err, context.Canceled)
		<-gone
	})
}
