package azure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/workspace"
)

// Options are the options of Open, Create and FromConfig.
type Options struct {
	// Credential is who asks. Nil: what the environment says, see the package.
	Credential azcore.TokenCredential
	// Secrets is the workspace's secret store. Nil: the key vault that the URL
	// names, else the workspace's own. With none, what needs secrets is
	// ErrUnsupported.
	Secrets backend.Secrets
	// Vault are the options of the key vault; nil means the defaults.
	Vault *keyvault.Options
	// Transport sends the requests to Blob Storage. Nil: connections of the
	// workspace's own.
	Transport policy.Transporter
	// Name is the name of a workspace that is created: 3 to 33 letters, digits,
	// "_" or "-". When empty it is made of the last part of the URL.
	Name string
	// Datastores open datastores of kinds that are not built in, such as
	// s3.Driver{} of backend/s3.
	Datastores []backend.DatastoreDriver
	// Computes open the compute targets that are not this machine, such as
	// docker.Driver{} of backend/docker.
	Computes []backend.ComputeDriver
	// Program is the file of the program azml; see workspace.Config.
	Program string
	// CacheDir is a folder of this machine for what can be made again; the
	// user's cache folder when empty.
	CacheDir string
	// Logger takes what the library has to tell; nil discards it.
	Logger *slog.Logger
	// TracerProvider makes OpenTelemetry spans of what the library does; nil
	// makes none. The caller shuts it down.
	TracerProvider trace.TracerProvider
	// MeterProvider makes OpenTelemetry metrics; nil makes none. The caller
	// shuts it down.
	MeterProvider metric.MeterProvider
}

// Open opens the workspace at the URL; see the package for its form and for
// credentials. Close it. Errors: ErrNotFound when there is no workspace,
// ErrInvalid for a bad URL and for another key vault than the workspace's own, or
// one that is no host of Azure's unless the URL names it, ErrDenied, ErrUnavailable, ErrUnsupported, ErrDamaged.
func Open(ctx context.Context, url string, opts *Options) (*workspace.Workspace, error) {
	ws, err := with(url, opts, func(_ place, _ *azureblob.Store, config workspace.Config) (*workspace.Workspace, error) {
		return workspace.New(ctx, config)
	})
	if errors.Is(err, azml.ErrNotFound) || bloberror.HasCode(err, bloberror.ContainerNotFound) {
		return nil, fmt.Errorf("%w: there is no workspace at %s: create one by `azml init URL` or azure.Create", azml.ErrNotFound, url)
	}
	return ws, err
}

// Create creates a workspace at the URL, with its container when there is none,
// and opens it. Close it. Nothing is created when the key vault can't be read: the
// error says what to do. Errors: ErrExists; ErrInvalid for a bad URL, when other
// blobs are there, and within another workspace, whose prefix this one's begins with; ErrDenied, ErrUnavailable; ErrUnsupported for a storage
// account with a hierarchical namespace.
func Create(ctx context.Context, url string, opts *Options) (*workspace.Workspace, error) {
	if opts == nil {
		opts = &Options{}
	}
	return with(url, opts, func(p place, objects *azureblob.Store, config workspace.Config) (*workspace.Workspace, error) {
		if err := checkVault(ctx, config.Secrets); err != nil {
			return nil, err
		}
		if err := objects.Prepare(ctx); err != nil {
			return nil, err
		}
		if err := p.checkAbove(ctx, opts); err != nil {
			return nil, err
		}
		return workspace.Create(ctx, config)
	})
}

// FromConfig opens the workspace that a config.json names, wherever it is; see
// workspace.FromConfig for how the file is looked for. One in a local folder is
// opened by workspace.Open with what of opts applies. A URL must be of a host of
// Azure's storage accounts or of this machine, and its vault one of Azure's or at this
// machine, for the file may come from others and credentials go there: Open takes any. Errors: as
// those of both; ErrInvalid for other hosts.
func FromConfig(ctx context.Context, path string, opts *Options) (*workspace.Workspace, error) {
	if opts == nil {
		opts = &Options{}
	}
	location, err := workspace.Locate(path)
	if err != nil {
		return nil, err
	}
	if IsURL(location) {
		if err := checkFound(location); err != nil {
			return nil, err
		}
		return Open(ctx, location, opts)
	}
	return workspace.Open(ctx, location, &workspace.OpenOptions{MustExist: true, Datastores: opts.Datastores, Computes: opts.Computes, Program: opts.Program, CacheDir: opts.CacheDir, Logger: opts.Logger,
		TracerProvider: opts.TracerProvider, MeterProvider: opts.MeterProvider})
}

// checkFound gives an error when credentials should not go to the URL unless a
// person has named it.
func checkFound(location string) error {
	p, err := parse(location)
	if err != nil {
		return err
	}
	for _, named := range []struct {
		what  string
		known bool
	}{{"workspace at " + p.host(), p.known()}, {"key vault, " + p.vault, p.vault == "" || knownVault(p.vault) || localVault(p.vault)}} {
		if !named.known {
			return fmt.Errorf("%w: config.json names a %s, which is neither a host of Azure's nor this machine, and would get your credentials: if you trust it, name the workspace yourself, by -w, AZML_WORKSPACE or azure.Open", azml.ErrInvalid, named.what)
		}
	}
	return nil
}

// with makes the stores of the URL for open. They are closed with the workspace,
// or when there is none.
func with(url string, opts *Options, open func(place, *azureblob.Store, workspace.Config) (*workspace.Workspace, error)) (*workspace.Workspace, error) {
	if opts == nil {
		opts = &Options{}
	}
	p, err := parse(url)
	if err != nil {
		return nil, err
	}
	config := workspace.Config{Name: opts.Name, Location: p.text,
		Datastores: opts.Datastores, Computes: opts.Computes, Program: opts.Program, CacheDir: opts.CacheDir, Logger: opts.Logger, TracerProvider: opts.TracerProvider, MeterProvider: opts.MeterProvider}
	if err := p.secrets(&config, opts); err != nil {
		return nil, err
	}
	objects, err := p.objects(p.prefix, opts)
	if err != nil {
		return nil, err
	}
	config.Objects, config.Close = objects, objects.Close
	ws, err := open(p, objects, config)
	if err != nil {
		return nil, errors.Join(err, objects.Close())
	}
	return ws, nil
}

// objects makes a store of what begins with the prefix in the container.
func (p place) objects(prefix string, opts *Options) (*azureblob.Store, error) {
	credential, err := p.credentialFor(opts)
	if err != nil {
		return nil, err
	}
	return azureblob.Open(p.service+"/"+p.container, credential, &azureblob.Options{Prefix: prefix, Transport: opts.Transport})
}

// checkAbove gives an error when the place is within another workspace: each would
// take the other's objects for its own. Below, workspace.Create sees to it.
func (p place) checkAbove(ctx context.Context, opts *Options) (err error) {
	if p.prefix == "" {
		return nil
	}
	container, err := p.objects("", opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, container.Close()) }()
	for above := p.prefix; above != ""; {
		above = above[:max(0, strings.LastIndexByte(above, '/'))]
		record := strings.TrimPrefix(above+"/workspace.json", "/")
		_, err := container.Stat(ctx, record)
		if err == nil {
			return fmt.Errorf("%w: %s is within the workspace of which %s is the record: use a prefix beside it, or another container", azml.ErrInvalid, p.text, record)
		}
		if !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, azml.ErrDenied) { // not everybody may read what is above
			return err
		}
	}
	return nil
}
