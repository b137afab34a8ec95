package main

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/time/rate"

	"github.com/azml-go/azml/internal/files"
)

// A line that is slower than this machine, as one to a storage account is.
const (
	lineSpeed = 250e6   // bytes a second of all connections together: 2 Gbit/s
	lineAhead = 4 << 20 // what comes while nobody reads: systems keep as much for a few connections
	lineRead  = 64 << 10
)

// behindLine is the same container at the other end of such a line.
func (c *cloud) behindLine() (*cloud, error) {
	line := rate.NewLimiter(lineSpeed, lineAhead)
	far, err := newCloudAt(c.bench, c.connection)
	if err != nil {
		return nil, err
	}
	for _, t := range far.transports() {
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &lined{conn, line}, nil
		}
	}
	return far, far.connect()
}

// lined is a connection of which no more comes than the line carries.
type lined struct {
	net.Conn
	line *rate.Limiter
}

// Read implements net.Conn.
func (l *lined) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p[:min(len(p), lineRead)])
	if n > 0 {
		_ = l.line.WaitN(context.Background(), n) // never more than lineAhead, and without an end
	}
	return n, err
}

// benchLine measures the download of what benchBig has stored over such a line.
func (c *cloud) benchLine(ctx context.Context, stored *carrier, path string, size int64) error {
	far, err := c.behindLine()
	if err != nil {
		return err
	}
	defer far.closeIdle()
	objects, err := far.store(fmt.Sprintf("files/%d", stored.n))
	if err != nil {
		return err
	}
	ours := &carrier{cloud: far, store: files.New(objects, nil), manifest: stored.manifest}
	got, err := turns(ctx, 3, warmed(ours.downAndAway), intoFile(path+".got", far.sdkDown))
	if err != nil {
		return err
	}
	c.bench.report(speedFigure(fmt.Sprintf("azure-down-%dMiB-line-of-%d-MB/s", size>>20, int(lineSpeed/1e6)), size, got[0], got[1]))
	return nil
}
