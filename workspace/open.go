package workspace

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/filesecrets"
	"github.com/azml-go/azml/backend/folder"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/backend/sqlite"
	"github.com/azml-go/azml/backend/traced"
	"github.com/azml-go/azml/backend/web"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/telemetry"
)

const (
	kind = "workspace"
	key  = "workspace.json"
	// secretsDir is the folder of the secrets in a local workspace. Its name
	// can't be an object's: those never begin with a dot.
	secretsDir = ".secrets"
)

func ref(name string) core.Ref { return core.Ref{Kind: kind, Name: name, Key: key} }

// OpenOptions are the options of Open.
type OpenOptions struct {
	// MustExist makes Open fail when there is no workspace in the folder,
	// instead of creating one.
	MustExist bool
	// Name is the name of a workspace that is created: 3 to 33 letters,
	// digits, "_" or "-". When empty it is made of the folder's name.
	Name string
	// CacheDir is a folder for what can be made again: environments, indexes,
	// working folders of runs. The user's cache folder when empty. It can be
	// shared by workspaces.
	CacheDir string
	// SecretsKeyFile is the file with the key of the secrets; when empty,
	// azml/secrets.key in the user's configuration folder, or the key in the
	// environment variable AZML_SECRETS_KEY when that is set.
	SecretsKeyFile string
	// Datastores open datastores of kinds that are not built in, such as
	// s3.Driver{}, in place of a built-in driver of the same type.
	Datastores []backend.DatastoreDriver
	// Computes open the compute targets that are not this machine, each those of
	// its type, such as docker.Driver{}.
	Computes []backend.ComputeDriver
	// Program is the file of the program azml, which is started for runs that
	// outlive this process and sent to other machines: one that is linked
	// statically. When empty it is looked for beside this program, in PATH, and
	// is built where Go is there. Where azml-agent of the same source lies beside it,
	// that is sent instead, and into pods packed where azml-unpack does, too.
	Program string
	// Logger takes what the library has to tell; nil discards it.
	Logger *slog.Logger
	// TracerProvider makes OpenTelemetry spans of what the library does; nil
	// makes none. The names are in docs/telemetry.md. The caller shuts it down.
	TracerProvider trace.TracerProvider
	// MeterProvider makes OpenTelemetry metrics; nil makes none. The caller
	// shuts it down.
	MeterProvider metric.MeterProvider
}

// Open opens the workspace in the local folder dir, and creates it when the
// folder is empty or not there. Close it. Errors: ErrInvalid when dir holds
// other things, and to create one within another's folder; ErrNotFound with MustExist; ErrDenied; ErrUnsupported when it
// was written by a newer azml; ErrDamaged.
func Open(ctx context.Context, dir string, opts *OpenOptions) (_ *Workspace, err error) {
	defer core.Wrap(&err, "open", kind, dir)
	if opts == nil {
		opts = &OpenOptions{}
	}
	if dir == "" {
		return nil, fmt.Errorf("%w: no folder was named", azml.ErrInvalid)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	fresh, err := inspect(abs)
	if err != nil {
		return nil, err
	}
	if fresh && opts.MustExist {
		return nil, fmt.Errorf("%w: there is no workspace in %s: create one with `azml init` or workspace.Open", azml.ErrNotFound, abs)
	}
	if fresh {
		if err := checkAbove(abs); err != nil {
			return nil, err
		}
	}
	name := opts.Name
	if name == "" {
		name = nameOf(abs)
	}
	config, closers, err := local(abs, opts)
	if err != nil {
		return nil, err
	}
	config.create, config.dir, config.keyFile = fresh, abs, opts.SecretsKeyFile
	config.Name, config.Close = name, closers.close
	ws, err := open(ctx, config)
	if err != nil {
		return nil, errors.Join(err, closers.close())
	}
	return ws, nil
}

// inspect tells whether the folder is one to make a workspace in: empty or not
// there.
func inspect(dir string) (fresh bool, err error) {
	created := func() bool {
		_, err := os.Stat(filepath.Join(dir, key))
		return err == nil
	}
	if created() {
		return false, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	} else if info, statErr := os.Stat(dir); statErr == nil && !info.IsDir() {
		return false, fmt.Errorf("%w: %s is a file: name a folder", azml.ErrInvalid, dir)
	} else if err != nil {
		return false, err
	}
	for _, entry := range entries {
		if !ofCreation(entry.Name()) {
			if created() { // meanwhile, and that is what was listed
				return false, nil
			}
			return false, fmt.Errorf("%w: the folder %s holds no workspace but other things (%s): name an empty or new folder", azml.ErrInvalid, dir, entry.Name())
		}
	}
	return true, nil
}

// checkAbove gives an error when the folder is within that of another workspace,
// which would take the new one's files for its own. Files of that name are others',
// too: the record's schema tells.
func checkAbove(dir string) error {
	schema, _, _ := strings.Cut((*record.Workspace)(nil).Schema(), "/")
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		var head struct {
			Schema string `json:"schema"`
		}
		data, err := os.ReadFile(filepath.Join(above, key))
		if err == nil && json.Unmarshal(data, &head) == nil && strings.HasPrefix(head.Schema, schema+"/") {
			return fmt.Errorf("%w: %s is within the workspace in %s: use a folder beside it", azml.ErrInvalid, dir, above)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

// nameOf makes a workspace's name of a folder's.
func nameOf(dir string) string {
	name := strings.Map(func(r rune) rune {
		if r < 128 && (r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '-'
	}, filepath.Base(dir))
	name = strings.Trim(name, "-_")
	const shortest, longest = 3, 33
	if len(name) < shortest {
		name = strings.TrimSuffix("workspace-"+name, "-")
	}
	return strings.TrimRight(name[:min(len(name), longest)], "-_")
}

// local makes the drivers of a workspace in a folder.
func local(dir string, opts *OpenOptions) (Config, closers, error) {
	objects, err := localfs.New(dir, &localfs.Options{Logger: opts.Logger})
	if err != nil {
		return Config{}, nil, err
	}
	opened := closers{objects.Close}
	secretsKey, err := filesecrets.KeyFromEnv()
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		return Config{}, nil, errors.Join(err, opened.close())
	}
	secrets, err := filesecrets.New(filepath.Join(dir, secretsDir), &filesecrets.Options{Key: secretsKey, KeyFile: opts.SecretsKeyFile})
	if err != nil {
		return Config{}, nil, errors.Join(err, opened.close())
	}
	return Config{Objects: objects, Secrets: secrets, CacheDir: opts.CacheDir, Datastores: opts.Datastores, Computes: opts.Computes, Program: opts.Program, Logger: opts.Logger,
		TracerProvider: opts.TracerProvider, MeterProvider: opts.MeterProvider}, opened, nil
}

// Config is what a workspace on other stores than a local folder is opened
// with.
type Config struct {
	// Objects is the object store. Required.
	Objects backend.Objects
	// Secrets is the secret store. Required without OpenSecrets.
	Secrets backend.Secrets
	// Vault is the URL of the key vault that Secrets is in, such as
	// https://contoso.vault.azure.net, empty for none. Create stores it, so that the
	// workspace knows where its secrets are. New fails when another one is stored.
	Vault string
	// OpenSecrets opens the secret store when Secrets is nil, by the URL that is
	// stored, empty for none. Others may have written it: send no credential where
	// that must not go.
	OpenSecrets func(vault string) (backend.Secrets, error)
	// Name is the name of a workspace that is created; when empty it is made of
	// the last part of Location. New does not look at it.
	Name string
	// Location says where the stores are, for Details and WriteConfig: a URL that
	// azure.Open takes, without any credential. It may be empty.
	Location string
	// Close is called when the workspace is closed, to close the stores. Nil: the
	// caller closes them.
	Close func() error
	// CacheDir is a folder of this machine for what can be made again; the
	// user's cache folder when empty.
	CacheDir string
	// Datastores open datastores of kinds that are not built in, such as
	// s3.Driver{}, in place of a built-in driver of the same type.
	Datastores []backend.DatastoreDriver
	// Computes open the compute targets that are not this machine, each those of
	// its type, such as docker.Driver{}.
	Computes []backend.ComputeDriver
	// Program is the file of the program azml, which is started for runs that
	// outlive this process and sent to other machines: one that is linked
	// statically. When empty it is looked for beside this program, in PATH, and
	// is built where Go is there.
	Program string
	// Logger takes what the library has to tell; nil discards it.
	Logger *slog.Logger
	// TracerProvider makes OpenTelemetry spans of what the library does; nil
	// makes none. The names are in docs/telemetry.md. The caller shuts it down.
	TracerProvider trace.TracerProvider
	// MeterProvider makes OpenTelemetry metrics; nil makes none. The caller
	// shuts it down.
	MeterProvider metric.MeterProvider

	create  bool
	dir     string
	keyFile string
}

// New opens the workspace in the stores of config. Close it. Errors:
// ErrNotFound when there is none, ErrInvalid for another vault than its own,
// ErrUnsupported, ErrDamaged.
func New(ctx context.Context, config Config) (_ *Workspace, err error) {
	defer core.Wrap(&err, "open", kind, config.Name)
	return open(ctx, config)
}

// Create creates a workspace in the stores of config, which must hold none, and
// opens it. The store is first tried for whether it honours the conditions of
// writes: one that does not would lose changes silently. Errors: ErrExists,
// ErrInvalid, also for a store that holds other things, ErrUnsupported for one
// that does not honour them.
func Create(ctx context.Context, config Config) (_ *Workspace, err error) {
	defer core.Wrap(&err, "create", kind, config.Name)
	if config.Objects != nil {
		if err := checkEmpty(ctx, config.Objects); err != nil {
			return nil, err
		}
	}
	config.create = true
	if config.Name == "" && config.Location != "" {
		place, _, _ := strings.Cut(config.Location, "?")
		config.Name = nameOf(place)
	}
	return open(ctx, config)
}

// checkEmpty gives an error when the store holds anything: what a delete that
// was cut off has left would come back in the new workspace.
func checkEmpty(ctx context.Context, objects backend.Objects) error {
	exists := fmt.Errorf("%w: open it with New", azml.ErrExists)
	created := func() bool {
		_, err := objects.Stat(ctx, key)
		return err == nil
	}
	if created() {
		return exists
	}
	for info, err := range objects.List(ctx, &backend.ListOptions{Delimiter: "/"}) {
		if err != nil {
			return err
		}
		if !ofCreation(strings.TrimSuffix(info.Key, "/")) {
			if created() { // meanwhile, and that is what was listed
				return exists
			}
			return fmt.Errorf("%w: the store holds no workspace but other objects (%s): delete them, or give it a prefix", azml.ErrInvalid, info.Key)
		}
	}
	return nil
}

// ofCreation tells whether the name is of a creation that is under way, or did
// not get to its end.
func ofCreation(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "probe-") || name == "audit"
}

func open(ctx context.Context, config Config) (*Workspace, error) {
	if config.Objects == nil || config.Secrets == nil && config.OpenSecrets == nil {
		return nil, fmt.Errorf("%w: Config.Objects and Config.Secrets are required", azml.ErrInvalid)
	}
	cache, err := cacheDir(config.CacheDir)
	if err != nil {
		return nil, err
	}
	recorder, err := config.observe()
	if err != nil {
		return nil, err
	}
	c := core.Config{Telemetry: recorder, Objects: config.Objects, Datastores: slices.Concat(config.Datastores, datastoreDrivers), Computes: config.Computes, Program: config.Program, Location: cmp.Or(config.dir, config.Location), SecretsKeyFile: config.keyFile, CacheDir: cache, Logger: config.Logger, Dir: config.dir, Private: config.private(cache)}
	if config.create {
		if err := core.WorkspaceName.Check(config.Name); err != nil {
			return nil, err
		}
		if err := probe(ctx, config.Objects); err != nil {
			return nil, err
		}
	}
	stored, err := core.Get[record.Workspace](ctx, core.New(c), key)
	if errors.Is(err, azml.ErrNotFound) && config.create {
		h := core.New(c)
		stored, err = core.Create(ctx, h, ref(config.Name), record.Workspace{ID: core.NewUUID(), Name: config.Name, Vault: config.Vault})
		if errors.Is(err, azml.ErrExists) { // another process was faster
			stored, err = core.Get[record.Workspace](ctx, h, key)
		}
	}
	if err != nil {
		return nil, err
	}
	c.Workspace = stored.Value
	if c.Secrets, err = config.secretsOf(stored.Value); err != nil {
		return nil, err
	}
	driver, err := process.New(filepath.Join(cache, "jobs", stored.Value.ID), nil)
	if err != nil {
		return nil, err
	}
	c.Local = driver
	if config.Close == nil {
		config.Close = func() error { return nil }
	}
	return &Workspace{h: core.New(c), stored: stored, driver: driver, location: cmp.Or(config.dir, config.Location), vault: config.Vault, recorded: config.recorded(stored.Value), close: config.Close}, nil
}

// datastoreDrivers are the drivers of datastores that link nothing that the
// workspace doesn't need anyway.
var datastoreDrivers = []backend.DatastoreDriver{folder.Driver{}, web.Driver{}, sqlite.Driver{}}

// observe wraps the objects so that their requests leave spans and metrics, when
// there is a provider for them.
func (c *Config) observe() (_ *telemetry.Recorder, err error) {
	if !c.observed() {
		return telemetry.Off(), nil
	}
	if c.Objects, err = traced.Objects(c.Objects, traced.Providers{Tracer: c.TracerProvider, Meter: c.MeterProvider}); err != nil {
		return nil, err
	}
	return telemetry.New(c.TracerProvider, c.MeterProvider)
}

func (c *Config) observed() bool { return c.TracerProvider != nil || c.MeterProvider != nil }

// recorded gives the vault of the record when nobody but it has named the secret
// store.
func (c *Config) recorded(r record.Workspace) string {
	if c.Secrets != nil || c.Vault != "" {
		return ""
	}
	return r.Vault
}

// secretsOf gives the secret store of the workspace with the record. Secrets in
// another vault than the others' would be missed by them.
func (c *Config) secretsOf(r record.Workspace) (secrets backend.Secrets, err error) {
	if c.Vault != "" && r.Vault != "" && c.Vault != r.Vault {
		return nil, fmt.Errorf("%w: the workspace keeps its secrets in the key vault %s, and %s was named: name none, or change the workspace's own by `azml workspace update --vault`", azml.ErrInvalid, r.Vault, c.Vault)
	}
	if secrets = c.Secrets; secrets == nil {
		if secrets, err = c.OpenSecrets(r.Vault); err != nil {
			return nil, err
		}
	}
	if !c.observed() {
		return secrets, nil
	}
	return traced.Secrets(secrets, traced.Providers{Tracer: c.TracerProvider, Meter: c.MeterProvider})
}

// private lists what never goes into a snapshot.
func (c *Config) private(cache string) []string {
	paths := []string{cache}
	for _, path := range []string{c.dir, c.keyFile} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

func cacheDir(dir string) (string, error) {
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("%w: no cache folder: set CacheDir, or the variable that names your cache folder: %w", azml.ErrInvalid, err)
		}
		dir = filepath.Join(user, "azml")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil { // of no class of its own: nothing is missing in the workspace
		return "", fmt.Errorf("%w: the cache folder can't be made: set CacheDir, or the variable that names your cache folder: %w", azml.ErrInvalid, err)
	}
	return dir, nil
}

// closers close what was opened, the last first.
type closers []func() error

func (c closers) close() error {
	var err error
	for i := len(c) - 1; i >= 0; i-- {
		err = errors.Join(err, c[i]())
	}
	return err
}
