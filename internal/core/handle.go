package core

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"sync"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/telemetry"
)

// Config is what a workspace is opened with. Package workspace fills it.
type Config struct {
	// Objects is the object store. Required.
	Objects backend.Objects
	// Secrets is the secret store. Required.
	Secrets backend.Secrets
	// Local runs processes on this machine. Required.
	Local backend.Compute
	// Datastores open the datastores, each those of its type.
	Datastores []backend.DatastoreDriver
	// Lent opens the datastore with the name where others have its credentials and
	// lend its data; nil where drivers open them.
	Lent func(name string) backend.Datastore
	// Computes open the compute targets, each those of its type.
	Computes []backend.ComputeDriver
	// CacheDir is a folder on this machine for what can be made again:
	// environments, indexes, working folders of runs. Required.
	CacheDir string
	// Dir is the workspace's folder when it lies on this machine, else empty.
	Dir string
	// Location is where another process of this machine opens the workspace: a
	// folder or a URL. Empty when nobody has said.
	Location string
	// SecretsKeyFile is the file with the key of the secrets; empty for the usual
	// one.
	SecretsKeyFile string
	// Program is the file of the program azml, which drives runs elsewhere; empty
	// to look for it.
	Program string
	// Private are files and folders on this machine that never go into a
	// snapshot: the workspace's own folder, the cache, the key of the secrets.
	Private []string
	// Workspace is the workspace's record as it was when opened.
	Workspace record.Workspace
	// Who is written as the author of changes, by default user@host.
	Who string
	// Logger takes what the library has to tell; nil discards it.
	Logger *slog.Logger
	// Now is the clock, by default time.Now.
	Now func() time.Time
	// Telemetry makes spans and metrics; nil makes none.
	Telemetry *telemetry.Recorder
}

// Handle is an opened workspace. It is passed by value; the zero Handle is not
// usable. All its methods are safe for concurrent use.
type Handle struct {
	s   *state
	who string // set by As
}

type state struct {
	Config
	owner record.Owner
	files *files.Store
	audit auditLog
	tasks tasks
	owned owned

	changes changes

	mu    sync.Mutex
	last  map[string]int   // highest number seen per series, see Allot
	turns map[string]*turn // series in which numbers are being taken
}

// New makes a Handle of a filled Config.
func New(c Config) Handle {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Telemetry == nil {
		c.Telemetry = telemetry.Off()
	}
	if c.Who == "" {
		c.Who = currentUser()
	}
	c.Objects = marked{c.Objects, c.Workspace.ID}
	s := &state{Config: c, owner: self(), last: map[string]int{}, turns: map[string]*turn{}}
	s.files = files.New(c.Objects, &files.Options{CacheDir: filepath.Join(c.CacheDir, "files", c.Workspace.ID), Logger: c.Logger})
	s.audit.init(s)
	s.tasks.init()
	return Handle{s: s}
}

// Objects gives the object store.
func (h Handle) Objects() backend.Objects { return h.s.Config.Objects }

// Secrets gives the secret store.
func (h Handle) Secrets() backend.Secrets { return h.s.Config.Secrets }

// Local gives the driver that runs processes on this machine.
func (h Handle) Local() backend.Compute { return h.s.Local }

// DatastoreDriver gives the driver for datastores of that type, nil when the
// program has none.
func (h Handle) DatastoreDriver(kind string) backend.DatastoreDriver {
	for _, d := range h.s.Datastores {
		if d.Type() == kind {
			return d
		}
	}
	return nil
}

// Lent gives what opens datastores in place of their drivers, nil for nothing.
func (h Handle) Lent() func(name string) backend.Datastore { return h.s.Lent }

// ComputeDriver gives the driver for compute targets of that type, nil when the
// program has none.
func (h Handle) ComputeDriver(kind string) backend.ComputeDriver {
	for _, d := range h.s.Computes {
		if d.Type() == kind {
			return d
		}
	}
	return nil
}

// Files gives the content-addressed file store of the workspace.
func (h Handle) Files() *files.Store { return h.s.files }

// CacheDir gives the folder for what can be made again.
func (h Handle) CacheDir() string { return h.s.Config.CacheDir }

// Dir gives the workspace's folder when it lies on this machine, else "".
func (h Handle) Dir() string { return h.s.Config.Dir }

// Location gives where another process of this machine opens the workspace, ""
// when that is not known.
func (h Handle) Location() string { return h.s.Config.Location }

// SecretsKeyFile gives the file with the key of the secrets, "" for the usual one.
func (h Handle) SecretsKeyFile() string { return h.s.Config.SecretsKeyFile }

// Program gives the file of the program azml, "" when it is to be looked for.
func (h Handle) Program() string { return h.s.Config.Program }

// Private gives the paths of what never goes into a snapshot. They need not
// exist.
func (h Handle) Private() []string { return h.s.Config.Private }

// Workspace gives the workspace's record as it was when opened.
func (h Handle) Workspace() record.Workspace { return h.s.Config.Workspace }

// Logger gives the logger, never nil.
func (h Handle) Logger() *slog.Logger { return h.s.Config.Logger }

// Telemetry gives the maker of spans and metrics, never nil.
func (h Handle) Telemetry() *telemetry.Recorder { return h.s.Config.Telemetry }

// Who names the author of changes, as user@host.
func (h Handle) Who() string {
	if h.who != "" {
		return h.who
	}
	return h.s.Config.Who
}

// As gives the same workspace for somebody else: who is the author of the
// changes that are made through it.
func (h Handle) As(who string) Handle { return Handle{h.s, who} }

// Owner describes this process as the owner of runs and endpoints.
func (h Handle) Owner() record.Owner { return h.s.owner }

// Now reads the clock, in UTC.
func (h Handle) Now() time.Time { return h.s.Config.Now().UTC() }

// SpoolDir gives a local folder for write-ahead files: the store's own when it
// lies on this machine, else one below CacheDir. It exists.
func (h Handle) SpoolDir() (string, error) {
	if spooler, ok := backend.As[backend.Spooler](h.Objects()); ok {
		return spooler.SpoolDir()
	}
	dir := filepath.Join(h.CacheDir(), "spool", h.Workspace().ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("spool folder: %w", err)
	}
	return dir, nil
}

// Close ends the workspace for this process: it ends the tasks of Serve, waits
// for those of Go, cancels these when ctx is done before they are, and closes
// what Own has opened. The stores themselves are not closed; their opener does that.
func (h Handle) Close(ctx context.Context) error {
	err := errors.Join(h.s.tasks.close(ctx), h.s.owned.close())
	h.s.audit.close()
	return err
}

// NewID gives n random bytes in hexadecimal.
func NewID(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// NewUUID gives a random UUID (version 4, RFC 9562).
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	x := hex.EncodeToString(b[:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

func currentUser() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + hostname()
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
