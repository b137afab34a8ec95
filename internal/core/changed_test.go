package core

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
)

// TestChanged has another process's writes told, to those alone who wait for them.
func TestChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := localfs.New(dir, nil)
	require.NoError(t, err)
	defer store.Close()
	other, err := localfs.New(dir, nil)
	require.NoError(t, err)
	defer other.Close()
	h := New(Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	defer func() { require.NoError(t, h.Close(t.Context())) }()
	one, stopOne := h.Changed("runs/1.json")
	again, stopAgain := h.Changed("runs/1.json")
	two, stopTwo := h.Changed("runs/2.json")
	for range 3 {
		drain(one, again, two)
		_, err = other.Put(t.Context(), "runs/1.json", bytes.NewReader([]byte("x")), &backend.PutOptions{})
		require.NoError(t, err)
		awaitChange(t, one)
		awaitChange(t, again)
	}
	_, err = other.Put(t.Context(), "runs/2.json", bytes.NewReader([]byte("x")), &backend.PutOptions{})
	require.NoError(t, err)
	awaitChange(t, two)
	stopOne()
	stopTwo()
	require.NoError(t, other.Delete(t.Context(), "runs/1.json", &backend.DeleteOptions{}))
	awaitChange(t, again)
	stopAgain()
	require.Nil(t, h.s.changes.stop, "nobody looks when nobody waits")
	one, stopOne = h.Changed("runs/1.json")
	defer stopOne()
	drain(one)
	_, err = other.Put(t.Context(), "runs/1.json", bytes.NewReader([]byte("x")), &backend.PutOptions{})
	require.NoError(t, err)
	awaitChange(t, one)
}

// TestChangedNever has a store that doesn't tell.
func TestChangedNever(t *testing.T) {
	t.Parallel()
	h := New(Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	defer func() { require.NoError(t, h.Close(t.Context())) }()
	changed, stop := h.Changed("runs/1.json")
	stop()
	select {
	case <-changed:
		t.Fatal("it can't know")
	default:
	}
}

func drain(channels ...<-chan struct{}) {
	for _, c := range channels {
		select {
		case <-c:
		default:
		}
	}
}

func awaitChange(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Fatal("nobody told of a change")
	}
}
