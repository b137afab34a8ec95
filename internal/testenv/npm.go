package testenv

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// node gives the path of node, beside which there is npm.
func node(ctx context.Context) (string, error) {
	return program(ctx, findNode, "nodejs", "npm")
}

// usableNode fails with a text for people when node won't do.
const usableNode = `if (parseInt(process.versions.node) < 18) { console.error("node " + process.versions.node + " is older than 18"); process.exit(1) }`

func findNode(ctx context.Context) (string, error) {
	path, err := exec.LookPath("node")
	if err == nil {
		_, err = exec.LookPath("npm")
	}
	if err == nil {
		_, err = output(ctx, path, "-e", usableNode)
	}
	return path, err
}

// npm installs a package of the given version unless it is there, and gives the
// file in it.
func npm(ctx context.Context, name, version, file string, again bool) (string, error) {
	if _, err := node(ctx); err != nil {
		return "", err
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	dir, err := c.installed(ctx, name+"-"+version, again, func(dir string) error {
		_, err := output(ctx, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--loglevel=error", fmt.Sprintf("%s@%s", name, version))
		return err
	})
	return filepath.Join(dir, "node_modules", name, filepath.FromSlash(file)), err
}
