package azml_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

func TestErrorKeepsClassAndCause(t *testing.T) {
	t.Parallel()
	cause := &fs.PathError{Op: "open", Path: "7.json", Err: fs.ErrNotExist}
	var err error = &azml.Error{Op: "get", Kind: "model", Name: "churn:7", Class: azml.ErrNotFound, Cause: fmt.Errorf("%w: %w", azml.ErrNotFound, cause)}
	require.Equal(t, `get model "churn:7": not found: open 7.json: file does not exist`, err.Error())
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorIs(t, err, fs.ErrNotExist)
	found, ok := errors.AsType[*fs.PathError](err)
	require.True(t, ok)
	require.Same(t, cause, found)
	require.Equal(t, `list model: closed`, (&azml.Error{Op: "list", Kind: "model", Class: azml.ErrClosed}).Error())
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for _, class := range azml.Classes() {
		require.Equal(t, class, azml.ClassOf(fmt.Errorf("text: %w", class)))
	}
	require.NoError(t, azml.ClassOf(errors.New("other")))
	require.NoError(t, azml.ClassOf(nil))
}
