package backendtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func nodesGroup() group[ComputeHarness] {
	return group[ComputeHarness]{"nodes", []check[ComputeHarness]{{"too many", checkTooManyNodes}, {"environment", onNodes(checkNodeEnvironment)},
		{"find each other", onNodes(checkNodesMeet)}, {"one fails", onNodes(checkNodeFails)}, {"one can't begin", onNodes(checkNodeMissing)}, {"cancel", onNodes(checkNodesCancel)},
		{"another process", onNodes(checkNodesReopened)}, {"reach back", onNodes(checkNodesListen)}}}
}

// onNodes has a check run on targets that have two nodes.
func onNodes(run func(c target)) func(t TB, h ComputeHarness) {
	return func(t TB, h ComputeHarness) {
		if h.Nodes < 2 {
			t.Logf("the target has one node")
			return
		}
		run(target{t, h})
	}
}

// onTwo gives a job on two nodes.
func (c target) onTwo(id, script string) backend.Job {
	job := c.shell(id, script)
	job.Nodes = 2
	return job
}

func (c target) startOnTwo(id, script string) {
	c.Helper()
	require.NoError(c, c.Compute.Start(c.Context(), c.onTwo(id, script)))
}

func checkTooManyNodes(t TB, h ComputeHarness) {
	c := target{t, h}
	for id, n := range map[string]int{"many": max(h.Nodes, 1) + 1, "very-many": 1000} {
		if h.Grows {
			break // the job waits for them
		}
		job := c.shell(id, "true")
		job.Nodes = n
		require.ErrorIs(t, h.Compute.Start(t.Context(), job), azml.ErrUnsupported)
		_, err := h.Compute.Status(t.Context(), id)
		require.ErrorIs(t, err, azml.ErrNotFound)
	}
	job := c.shell("few", "true")
	job.Nodes = -1
	require.ErrorIs(t, h.Compute.Start(t.Context(), job), azml.ErrInvalid)
	job = c.shell("one", "echo one")
	job.Nodes = 1
	require.NoError(t, h.Compute.Start(t.Context(), job))
	c.wait("one")
	require.Equal(t, "one\n", c.output("one"))
	_, err := h.Compute.Output(t.Context(), "one", &backend.OutputOptions{Node: 1})
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.NotContains(t, c.run("env", "env"), "AZML_", "nothing is added for one node")
}

func checkNodeEnvironment(c target) {
	job := c.onTwo("a", fmt.Sprintf(`echo "$%s/$%s $PATH"; cat; test -n "$%s"`, backend.NodeRankVariable, backend.NodeCountVariable, backend.MainAddressVariable))
	job.Input = []byte("given")
	require.NoError(c, c.Compute.Start(c.Context(), job))
	s := c.wait("a")
	require.Equal(c, backend.JobExited, s.State, s.Reason)
	require.Equal(c, 0, s.ExitCode, s.Reason)
	for node := range 2 {
		require.Equal(c, fmt.Sprintf("%d/2 /usr/bin:/bin\ngiven", node), outputOf(c, c.Compute, "a", backend.OutputOptions{Node: node}))
		require.Equal(c, "given", outputOf(c, c.Compute, "a", backend.OutputOptions{Node: node, Offset: int64(len("0/2 /usr/bin:/bin\n"))}))
	}
	_, err := c.Compute.Output(c.Context(), "a", &backend.OutputOptions{Node: 2})
	require.ErrorIs(c, err, azml.ErrNotFound)
	list := collect(c, c.Compute.List(c.Context()))
	require.Len(c, list, 1, "a job on two nodes is one")
	require.Equal(c, "a", list[0].ID)
	require.ErrorIs(c, c.Compute.Start(c.Context(), c.onTwo("a", "true")), azml.ErrExists)
	require.NoError(c, c.Compute.Remove(c.Context(), "a"))
	require.Empty(c, collect(c, c.Compute.List(c.Context())))
	c.startOnTwo("a", "true")
	require.Equal(c, 0, c.wait("a").ExitCode, "nothing was left on the second node")
}

// checkNodesMeet has node 1 say something to node 0 over the network.
func checkNodesMeet(c target) {
	r, ok := backend.As[backend.Remote](c.Compute)
	if !ok {
		return
	}
	meet := remote{c, r}.dialer()
	port := freePort(c)
	script := fmt.Sprintf(`if [ $%s = 0 ]; then '%s' listen:%s; else until echo hello | '%s' tcp:$%s:%s; do sleep 0.1; done; fi`,
		backend.NodeRankVariable, meet, port, meet, backend.MainAddressVariable, port)
	c.startOnTwo("a", script)
	require.Equal(c, 0, c.wait("a").ExitCode)
	require.Equal(c, "hello\n", c.output("a"))
}

// freePort gives a port that is free on this machine, and with luck on others: none
// of those that systems give to whoever asks for any.
func freePort(c target) string {
	const first, count = 25000, 4000
	for {
		port := strconv.Itoa(first + rand.IntN(count))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			require.NoError(c, l.Close())
			return port
		}
	}
}

func checkNodeFails(c target) {
	for failing := range 2 {
		id := "fails-" + strconv.Itoa(failing)
		c.startOnTwo(id, fmt.Sprintf("echo $$; if [ $%s = %d ]; then exit 7; fi; sleep 1000", backend.NodeRankVariable, failing))
		s := c.wait(id)
		require.Equal(c, backend.JobExited, s.State, s.Reason)
		require.Equal(c, 7, s.ExitCode)
		require.Contains(c, s.Reason, fmt.Sprintf("node %d", failing))
		require.Equal(c, failing, s.Node)
		require.False(c, s.Ended.IsZero())
	}
	c.startOnTwo("killed", fmt.Sprintf("if [ $%s = 1 ]; then kill -KILL $$; fi; sleep 1000", backend.NodeRankVariable))
	s := c.wait("killed")
	require.Equal(c, backend.JobKilled, s.State)
	require.Contains(c, s.Reason, "node 1")
}

func checkNodeMissing(c target) {
	job := c.onTwo("a", "true")
	job.Command = []string{"/no/such/program"}
	require.ErrorIs(c, c.Compute.Start(c.Context(), job), azml.ErrInvalid)
	_, err := c.Compute.Status(c.Context(), "a")
	require.ErrorIs(c, err, azml.ErrNotFound)
	require.Empty(c, collect(c, c.Compute.List(c.Context())))
}

func checkNodesCancel(c target) {
	c.startOnTwo("a", "trap 'echo ended; exit 0' TERM; echo begun; while true; do sleep 0.05; done")
	for node := range 2 {
		require.Eventually(c, func() bool { return strings.Contains(c.soFar("a", node), "begun") }, c.soon(), 10*time.Millisecond)
	}
	require.ErrorIs(c, c.Compute.Remove(c.Context(), "a"), azml.ErrConflict)
	c.cancel("a", c.soon())
	for node := range 2 {
		require.Contains(c, c.soFar("a", node), "ended")
	}
}

// soFar gives what a node has written until now.
func (c target) soFar(id string, node int) string {
	c.Helper()
	return outputOf(c, c.Compute, id, backend.OutputOptions{Node: node})
}

func checkNodesReopened(c target) {
	c.startOnTwo("a", fmt.Sprintf("echo $%s; sleep 1000", backend.NodeRankVariable))
	other := c.reopen()
	s, err := other.Compute.Status(c.Context(), "a")
	require.NoError(c, err)
	require.Equal(c, backend.JobRunning, s.State)
	require.Eventually(c, func() bool { return other.soFar("a", 1) == "1\n" }, c.soon(), 10*time.Millisecond)
	other.cancel("a", 0)
	require.NotEqual(c, backend.JobRunning, c.wait("a").State)
}

// checkNodesListen has both nodes let in by one listener.
func checkNodesListen(c target) {
	r, ok := backend.As[backend.Remote](c.Compute)
	if !ok {
		return
	}
	on := remote{c, r}
	dial := on.dialer()
	l, address := on.listen(r, "a")
	defer l.Close()
	c.startOnTwo("a", fmt.Sprintf(`echo $%s | '%s' "${%s:-%s}"`, backend.NodeRankVariable, dial, backend.GatewayVariable, address))
	got := on.accept(l) + on.accept(l)
	require.Contains(c, []string{"0\n1\n", "1\n0\n"}, got)
	require.Equal(c, 0, c.wait("a").ExitCode)
	require.NoError(c, l.Close())
	_, err := l.Accept()
	require.Error(c, err)
	require.NoError(c, c.Compute.Remove(context.WithoutCancel(c.Context()), "a"))
}
