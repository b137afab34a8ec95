//go:build linux

package cluster_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/cluster"
	"github.com/azml-go/azml/backend/process"
)

// telling is a node that tells who listens for its job when that has ended, as pods do.
type telling struct {
	*process.Driver
	at    string // where it listens
	ended chan struct{}
}

func (n *telling) Listen(ctx context.Context, id string) (net.Listener, string, error) {
	l, address, err := n.Driver.Listen(ctx, id)
	if err != nil {
		return nil, "", err
	}
	n.at = strings.TrimPrefix(address, "unix:")
	told := &toldListener{l, n.ended}
	go func() {
		<-n.ended
		_ = l.Close() // its Accept tells
	}()
	return told, address, nil
}

type toldListener struct {
	net.Listener
	ended chan struct{}
}

func (l *toldListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	select {
	case <-l.ended:
		return nil, fmt.Errorf("%w: the job has ended", azml.ErrClosed)
	default:
		return conn, err
	}
}

// TestNodesThatAreDone has one node after another be done with the job: those that are not
// are heard until the last one is.
func TestNodesThatAreDone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var each []*telling
	var all []backend.OpenedCompute
	for n := range nodes {
		d, err := process.New(filepath.Join(dir, fmt.Sprint(n)), nil)
		require.NoError(t, err)
		each = append(each, &telling{Driver: d, ended: make(chan struct{})})
		all = append(all, each[n])
	}
	c, err := cluster.New(all)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	remote, ok := backend.As[backend.Remote](c)
	require.True(t, ok)
	l, _, err := remote.Listen(t.Context(), "a")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for n, node := range each {
		out, err := net.Dial("unix", node.at)
		require.NoError(t, err)
		in, err := l.Accept()
		require.NoError(t, err, "node %d is not done", n)
		require.NoError(t, in.Close())
		require.NoError(t, out.Close())
		close(node.ended)
	}
	_, err = l.Accept()
	require.ErrorIs(t, err, azml.ErrClosed)
	require.ErrorContains(t, err, "the job has ended")
}
