package compute

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/cluster"
	"github.com/azml-go/azml/internal/core"
)

// OpenNodes is for packages that start something on nodes of a cluster: it gives
// them as one target, and the folder for what can be made again that node 0 was
// attached with. Errors: as Open.
func OpenNodes(ctx context.Context, h core.Handle, ids []string) (_ backend.OpenedCompute, cacheDir string, err error) {
	var nodes []backend.OpenedCompute
	defer func() {
		if err != nil {
			for _, node := range nodes {
				err = errors.Join(err, node.Close())
			}
		}
	}()
	for _, id := range ids {
		name, _, ok := strings.Cut(id, "/")
		if !ok {
			return nil, "", fmt.Errorf("%w: %q names no node", azml.ErrDamaged, id)
		}
		target, err := Lookup(ctx, h, name)
		if err != nil {
			return nil, "", fmt.Errorf("node %s: %w", id, err)
		}
		if len(nodes) == 0 {
			cacheDir = target.Details().Connection["cacheDir"]
		}
		node, err := Open(ctx, target)
		if err != nil {
			return nil, "", fmt.Errorf("node %s: %w", id, err)
		}
		nodes = append(nodes, node)
	}
	opened, err := cluster.New(nodes)
	return opened, cacheDir, err
}
