package core

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
)

// thing is something that a workspace owns.
type thing struct{ closed int }

func (t *thing) Close() error {
	t.closed++
	return nil
}

func TestOwn(t *testing.T) {
	t.Parallel()
	h := New(Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	_, err := Own(h, func(Handle) (*thing, error) { return nil, errors.New("not now") })
	require.ErrorContains(t, err, "not now")
	first, err := Own(h, func(Handle) (*thing, error) { return &thing{}, nil })
	require.NoError(t, err)
	again, err := Own(h, func(Handle) (*thing, error) { return nil, errors.New("it is open") })
	require.NoError(t, err)
	require.Same(t, first, again)
	require.NoError(t, h.Close(context.Background()))
	require.Equal(t, 1, first.closed)
	_, err = Own(h, func(Handle) (*thing, error) { return &thing{}, nil })
	require.ErrorIs(t, err, azml.ErrClosed)
}
