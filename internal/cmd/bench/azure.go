package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/snapshot"
	"github.com/azml-go/azml/internal/testenv"
)

// cloud is a container of Azure's emulator on this machine, whose requests are
// counted.
type cloud struct {
	bench      *bench
	connection string
	name       string
	client     *container.Client // the SDK's own
	requests   atomic.Int64      // of our store
	sent       atomic.Int64      // bytes of their bodies
	ours       *http.Client
	theirs     *http.Client // of the SDK's own
	stop       func() error
}

// newCloudAt is the container in an emulator that is there.
func newCloudAt(b *bench, connection string) (*cloud, error) {
	account, err := azureblob.ParseConnectionString(connection)
	if err != nil {
		return nil, err
	}
	return &cloud{bench: b, connection: connection, name: cloudName,
		ours: azureblob.NewHTTPClient(account.URL, 0), theirs: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}, nil
}

// newCloud starts the emulator, which is reached by TLS when it is secure.
func (b *bench) newCloud(ctx context.Context, secure bool) (*cloud, error) {
	dir, err := b.sub("azurite")
	if err != nil {
		return nil, err
	}
	server, stop, err := testenv.LaunchAzurite(ctx, testenv.AzuriteOptions{Dir: dir, OAuth: secure, Roomy: true})
	if err != nil {
		return nil, err
	}
	c, err := newCloudAt(b, server.ConnectionString())
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	c.stop = stop
	if secure {
		err = c.trust(server.Certificate)
	}
	if err == nil {
		err = c.connect()
	}
	if err == nil {
		_, err = c.client.Create(ctx, nil)
	}
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return c, nil
}

// connect makes the SDK's client.
func (c *cloud) connect() (err error) {
	c.client, err = container.NewClientFromConnectionString(c.connection, c.name, &container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: c.theirs}})
	return err
}

// trust has both sides take servers with the certificate of this file.
func (c *cloud) trust(file string) error {
	certificate, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificate) {
		return fmt.Errorf("%s has no certificate", file)
	}
	for _, t := range c.transports() {
		t.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return nil
}

// cloudName is the container's name.
const cloudName = "bench"

// transports are those of both sides.
func (c *cloud) transports() []*http.Transport {
	return []*http.Transport{c.ours.Transport.(*http.Transport), c.theirs.Transport.(*http.Transport)}
}

func (c *cloud) closeIdle() {
	c.ours.CloseIdleConnections()
	c.theirs.CloseIdleConnections()
}

func (c *cloud) close() {
	c.closeIdle()
	if err := c.stop(); err != nil {
		fmt.Fprintln(c.bench.log, "bench: azurite:", err)
	}
}

// Do implements the transport of our store: it counts.
func (c *cloud) Do(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	c.sent.Add(max(r.ContentLength, 0))
	return c.ours.Do(r) //nolint:gosec // to the emulator that it has started
}

// store opens our store below a prefix.
func (c *cloud) store(prefix string) (*azureblob.Store, error) {
	account, err := azureblob.ParseConnectionString(c.connection)
	if err != nil {
		return nil, err
	}
	return azureblob.Open(account.URL+"/"+c.name, account.Credential, &azureblob.Options{Prefix: prefix, Transport: c})
}

// inCloud measures something in a container of its own.
func inCloud(measures ...func(c *cloud, ctx context.Context) error) func(ctx context.Context, b *bench) error {
	return func(ctx context.Context, b *bench) error {
		c, err := b.newCloud(ctx, false)
		if err != nil {
			return err
		}
		defer c.close()
		for _, measure := range measures {
			if err := measure(c, ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// turns is rounds for what takes long: a few turns, the first of which does not
// count. Each side begins when the disk has written what those before it left,
// else the order would decide.
func turns(ctx context.Context, n int, sides ...side) ([]series, error) {
	out := make([]series, len(sides))
	for turn := -1; turn < n; turn++ {
		for i, do := range sides {
			settleDisk()
			s, err := do(ctx)
			if err != nil {
				return nil, err
			}
			if turn >= 0 {
				out[i].value, out[i].cpu = append(out[i].value, s.value), append(out[i].cpu, s.cpu)
			}
		}
	}
	return out, nil
}

// carrier moves a folder into the container and back.
type carrier struct {
	cloud    *cloud
	dir      string
	n        int
	store    *files.Store
	manifest *files.Manifest
	requests int64
	sent     int64
	got      int64  // requests of the last down
	restored string // the folder that it made
}

// up takes a snapshot of the folder into a place of its own.
func (c *carrier) up(ctx context.Context) (sample, error) {
	c.n++
	objects, err := c.cloud.store(fmt.Sprintf("files/%d", c.n))
	if err != nil {
		return sample{}, err
	}
	cache, err := c.cloud.bench.sub("cache")
	if err != nil {
		return sample{}, err
	}
	now := func() time.Time { return time.Now().Add(time.Hour) } // as in newKeeper
	c.store = files.New(objects, &files.Options{CacheDir: cache, Now: now})
	return c.again(ctx)
}

// again takes one more snapshot into the same place.
func (c *carrier) again(ctx context.Context) (sample, error) {
	requests, sent := c.cloud.requests.Load(), c.cloud.sent.Load()
	s, err := timed(func(ctx context.Context) error {
		plan, err := snapshot.Scan(ctx, c.dir, nil)
		if err != nil {
			return err
		}
		_, c.manifest, _, err = snapshot.Take(ctx, c.store, plan, nil)
		return err
	})(ctx)
	c.requests, c.sent = c.cloud.requests.Load()-requests, c.cloud.sent.Load()-sent
	return s, err
}

// down restores the folder elsewhere. The caller removes it; not between two
// turns, when it has many files: ext4 without a journal takes no inode that was
// freed in the last minutes, so whoever makes files next looks at all of them.
func (c *carrier) down(ctx context.Context) (sample, error) {
	dir, err := c.cloud.bench.sub("restored")
	if err != nil {
		return sample{}, err
	}
	c.restored = dir
	requests := c.cloud.requests.Load()
	s, err := timed(func(ctx context.Context) error {
		return c.store.Restore(ctx, c.manifest, filepath.Join(dir, "files"), nil)
	})(ctx)
	c.got = c.cloud.requests.Load() - requests
	return s, err
}
