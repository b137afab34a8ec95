package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/jobset"
)

// Cluster runs jobs on one node or several. It implements backend.Remote, and is
// safe for concurrent use like its nodes.
type Cluster struct {
	nodes []backend.OpenedCompute

	mu       sync.Mutex
	gateways map[string][]string // addresses by job and node, of those listened for
	programs map[string][]string // paths of a program on the nodes, by that on node 0
}

// New gives the cluster of these nodes, which it closes. Two may be one target:
// then it runs two commands of a job. Jobs on several nodes need node 0 to be
// backend.Reachable. What New gives is backend.Images when all nodes are.
func New(nodes []backend.OpenedCompute) (backend.OpenedCompute, error) {
	if len(nodes) == 0 {
		return nil, fmt.Errorf("%w: a cluster needs a node", azml.ErrInvalid)
	}
	c := &Cluster{nodes: nodes, gateways: map[string][]string{}, programs: map[string][]string{}}
	var all []backend.Images
	for _, node := range nodes {
		if images, ok := backend.As[backend.Images](node); ok {
			all = append(all, images)
		}
	}
	if len(all) == len(nodes) {
		return &imaged{c, all}, nil
	}
	return c, nil
}

// Close closes all nodes.
func (c *Cluster) Close() error {
	return c.each(len(c.nodes), func(n int) error { return c.nodes[n].Close() })
}

// each does something for the first nodes at once.
func (c *Cluster) each(nodes int, do func(node int) error) error {
	errs := make([]error, nodes)
	var all sync.WaitGroup
	for n := range nodes {
		all.Go(func() { errs[n] = do(n) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Check implements backend.Compute: it asks all nodes.
func (c *Cluster) Check(ctx context.Context) error {
	return c.each(len(c.nodes), func(n int) error { return c.nodes[n].Check(ctx) })
}

// Platform implements backend.Remote. Errors: also ErrUnsupported when the nodes
// differ.
func (c *Cluster) Platform(ctx context.Context) (backend.Platform, error) {
	platforms := make([]backend.Platform, len(c.nodes))
	err := c.each(len(c.nodes), func(n int) (err error) {
		platforms[n], err = c.nodes[n].Platform(ctx)
		return err
	})
	if err != nil {
		return backend.Platform{}, err
	}
	for n, p := range platforms {
		if p != platforms[0] {
			return p, fmt.Errorf("%w: node 0 runs programs of %s/%s, node %d those of %s/%s", azml.ErrUnsupported, platforms[0].OS, platforms[0].Arch, n, p.OS, p.Arch)
		}
	}
	return platforms[0], nil
}

// Install implements backend.Remote. The path is that on node 0; Start has the
// others run what is at theirs.
func (c *Cluster) Install(ctx context.Context, name string, program backend.Content) (string, error) {
	paths := make([]string, len(c.nodes))
	err := c.each(len(c.nodes), func(n int) (err error) {
		paths[n], err = c.nodes[n].Install(ctx, name, program)
		return err
	})
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.programs[paths[0]] = paths
	return paths[0], nil
}

// JobID gives the ID that a job of a cluster has on one of its nodes.
func JobID(id string, node int) string {
	if node == 0 {
		return id
	}
	return id + ".node" + strconv.Itoa(node)
}

// longestID is the length of the ID of a job on several nodes, to which the
// node's number is added.
const longestID = 240

// nodesOf gives the nodes that a job of that ID may have.
func (c *Cluster) nodesOf(id string) []backend.OpenedCompute {
	if len(id) > longestID {
		return c.nodes[:1]
	}
	return c.nodes
}

// further are the names of jobs on other nodes than 0.
var further = regexp.MustCompile(`\.node[1-9][0-9]*$`)

// Status implements backend.Compute.
func (c *Cluster) Status(ctx context.Context, id string) (backend.JobStatus, error) {
	all, err := c.statuses(ctx, id)
	if err != nil {
		return backend.JobStatus{}, err
	}
	return jobset.Together(id, all), nil
}

// statuses gives those of all nodes that the job has.
func (c *Cluster) statuses(ctx context.Context, id string) ([]backend.JobStatus, error) {
	if further.MatchString(id) {
		return nil, fmt.Errorf("%w: job %q", azml.ErrNotFound, id)
	}
	var all []backend.JobStatus
	for n, node := range c.nodesOf(id) {
		s, err := node.Status(ctx, JobID(id, n))
		if n > 0 && errors.Is(err, azml.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, onNode(n, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func onNode(n int, err error) error {
	if err == nil || n == 0 {
		return err
	}
	return fmt.Errorf("node %d: %w", n, err)
}

// Output implements backend.Compute. With Follow it ends when the node's command
// has.
func (c *Cluster) Output(ctx context.Context, id string, opts *backend.OutputOptions) (io.ReadCloser, error) {
	if further.MatchString(id) || opts.Node < 0 || opts.Node >= len(c.nodes) {
		return nil, fmt.Errorf("%w: node %d of job %q", azml.ErrNotFound, opts.Node, id)
	}
	of := *opts
	of.Node = 0
	r, err := c.nodes[opts.Node].Output(ctx, JobID(id, opts.Node), &of)
	return r, onNode(opts.Node, err)
}

// Remove implements backend.Compute. Node 0 is last, so that a removal that was
// cut off can be seen, and made again.
func (c *Cluster) Remove(ctx context.Context, id string) error {
	all, err := c.statuses(ctx, id)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.State == backend.JobRunning {
			return fmt.Errorf("%w: job %q runs: cancel it first", azml.ErrConflict, id)
		}
	}
	for n := len(all) - 1; n >= 0; n-- {
		err := c.nodes[n].Remove(ctx, JobID(id, n))
		if err != nil && (n == 0 || !errors.Is(err, azml.ErrNotFound)) {
			return onNode(n, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.gateways, id)
	return nil
}

// List implements backend.Compute: it asks node 0, and all for each job.
func (c *Cluster) List(ctx context.Context) iter.Seq2[backend.JobStatus, error] {
	return func(yield func(backend.JobStatus, error) bool) {
		for s, err := range c.nodes[0].List(ctx) {
			if err != nil {
				yield(s, err)
				return
			}
			if further.MatchString(s.ID) {
				continue
			}
			s, err := c.Status(ctx, s.ID)
			if errors.Is(err, azml.ErrNotFound) {
				continue // removed meanwhile
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}
