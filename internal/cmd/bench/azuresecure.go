package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// benchSecure measures a big file over TLS, the only way to a storage account, in
// an emulator of its own.
func (c *cloud) benchSecure(ctx context.Context) error {
	far, err := c.bench.newCloud(ctx, true)
	if err != nil {
		return err
	}
	defer far.close()
	dir, err := c.bench.sub("big")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, size := filepath.Join(dir, "big.bin"), c.bench.bigFile()
	if err := fill(path, rand.NewChaCha8([32]byte{3}), size); err != nil {
		return err
	}
	ours := &carrier{cloud: far, dir: dir}
	up, err := turns(ctx, 3, ours.up, timed(func(ctx context.Context) error { return far.sdkUp(ctx, path) }))
	if err != nil {
		return err
	}
	down, err := turns(ctx, downTurns, warmed(ours.downAndAway), intoFile(path+".got", far.sdkDown))
	if err != nil {
		return err
	}
	c.bench.report(speedFigure(fmt.Sprintf("azure-https-up-%dMiB", size>>20), size, up[0], up[1]))
	c.bench.report(speedFigure(fmt.Sprintf("azure-https-down-%dMiB", size>>20), size, down[0], down[1]))
	return nil
}
