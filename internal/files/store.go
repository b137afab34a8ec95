package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// The keys of the objects.
const (
	manifestsPrefix = "files/manifests/"
	manifestSuffix  = ".json"
	packsPrefix     = "files/packs/"
	indexesPrefix   = "files/indexes/"
	packSuffix      = ".pack"
	indexSuffix     = ".index"
	condemnedKey    = "files/condemned.json"
)

// Defaults of Options.
const (
	// DefaultGrace is the default of Options.Grace.
	DefaultGrace = 24 * time.Hour
	// DefaultParallel is the default of Options.Parallel.
	DefaultParallel = 4
	// LocalPacks is how many packs are moved at once to a store on this machine.
	LocalPacks = 2
	// ReadsPerPack is how many ranges of packs are read at once from a store on
	// another machine for each pack that would be stored at once: while some are
	// checked and written, others come.
	ReadsPerPack = 2
)

// maxManifest bounds the manifests that are read: some five million files.
const maxManifest = 1 << 30

// Options are the options of New.
type Options struct {
	// CacheDir is a folder of this machine, made when needed, for what saves
	// reading: stats of files whose digests are known, and pack indexes. It may
	// be shared by processes and deleted at any time. Default: none.
	CacheDir string
	// Logger is told what was healed or ignored. Default: none.
	Logger *slog.Logger
	// Parallel is the number of files that a batch reads, and of packs that all
	// batches together store, at once: more than LocalPacks packs only where the
	// store is on another machine. Each takes up to 21 MiB of memory, 9 MiB where
	// the store is on this machine, as does the pack that each batch fills.
	// Each restore reads as many ranges of packs at once, ReadsPerPack times as many
	// where the store is on another machine. Each of these takes up to 4 MiB of memory,
	// and the chunks that wait to be checked together up to 48 MiB on processors with
	// AVX-512, else 8. Default: DefaultParallel.
	Parallel int
	// Grace is how long a writer may take from NewBatch to the record that
	// refers to its manifest, and how long a collector waits before it
	// condemns and again before it deletes. All processes that share a store
	// must use the same; their clocks must differ by much less. Default:
	// DefaultGrace.
	Grace time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Store keeps file contents in an object store. It is safe for concurrent use,
// and any number of stores in any number of processes may share one object
// store. It starts no goroutine that outlives a call or a batch.
type Store struct {
	objects  backend.Objects
	local    bool // objects lies on this machine
	cacheDir string
	log      *slog.Logger
	parallel int
	reading  int // ranges of packs that are read at once
	packSize int // at which packs are closed
	grace    time.Duration
	now      func() time.Time

	index      *index
	uploading  chan struct{} // has the packs on their way
	refreshing chan struct{} // holds one value while nobody refreshes
	buffers    buffers
}

// New gives the store of contents in objects. It does no I/O.
func New(objects backend.Objects, opts *Options) *Store {
	var o Options
	if opts != nil {
		o = *opts
	}
	s := &Store{objects: objects, cacheDir: o.CacheDir, log: o.Logger, parallel: o.Parallel, grace: o.Grace, now: o.Now,
		index: newIndex(), refreshing: make(chan struct{}, 1)}
	_, s.local = backend.As[backend.Spooler](objects)
	s.refreshing <- struct{}{}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.parallel <= 0 {
		s.parallel = DefaultParallel
	}
	s.uploading, s.reading, s.packSize = make(chan struct{}, s.parallel), ReadsPerPack*s.parallel, packTarget
	if s.local {
		s.uploading, s.reading, s.packSize = make(chan struct{}, min(s.parallel, LocalPacks)), s.parallel, localPack
	}
	s.buffers.packRoom = s.packSize + packMargin
	if s.grace <= 0 {
		s.grace = DefaultGrace
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// content gives bytes as what Put takes.
func content(data []byte) backend.Content { return bytes.NewReader(data) }

func manifestKey(id string) string { return manifestsPrefix + id + manifestSuffix }

// PutManifest stores the manifest under its ID and returns it. A manifest that
// is there already is left alone, unless it is damaged or about to be deleted:
// then it is written anew. Write the record that refers to it within half the
// grace period. Cost: one request, three when it was there. Errors: ErrInvalid
// when Validate refuses it.
func (s *Store) PutManifest(ctx context.Context, m *Manifest) (id string, err error) {
	id, stored, err := s.BeginManifest(ctx, m)
	if err == nil {
		err = stored()
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

// BeginManifest is PutManifest that does not wait: it gives the ID, and what waits
// until the manifest is durable, each time that it is called, which the caller does
// at least once.
func (s *Store) BeginManifest(ctx context.Context, m *Manifest) (id string, stored func() error, err error) {
	if err := m.Validate(); err != nil {
		return "", nil, err
	}
	data := m.encode()
	id = digestOf(data).String()
	var failed error
	var putting sync.WaitGroup
	putting.Go(func() { failed = s.putManifest(ctx, id, data) })
	return id, func() error { putting.Wait(); return failed }, nil
}

func (s *Store) putManifest(ctx context.Context, id string, data []byte) error {
	_, err := s.objects.Put(ctx, manifestKey(id), content(data), &backend.PutOptions{IfNoneMatch: true})
	if errors.Is(err, azml.ErrExists) {
		err = s.renewManifest(ctx, manifestKey(id), data)
	}
	if err != nil {
		return fmt.Errorf("store manifest %s: %w", id, err)
	}
	return nil
}

// renewManifest writes the object again if it can't be relied upon.
func (s *Store) renewManifest(ctx context.Context, key string, data []byte) error {
	list, err := s.readCondemned(ctx)
	if err != nil {
		return err
	}
	if _, doomed := list.Objects[key]; !doomed {
		stored, _, err := s.get(ctx, key)
		if err == nil && bytes.Equal(stored, data) {
			return nil
		}
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
		s.log.Warn("a stored manifest was damaged or deleted and is written anew", "key", key)
	}
	_, err = s.objects.Put(ctx, key, content(data), &backend.PutOptions{})
	return err
}

// Manifest reads a stored manifest and checks its digest and all its rules.
// Cost: one request. Errors: ErrInvalid when id is no digest, ErrNotFound,
// ErrDamaged, ErrUnsupported when a newer program wrote it.
func (s *Store) Manifest(ctx context.Context, id string) (*Manifest, error) {
	if _, err := parseDigest(id); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	data, err := s.readManifest(ctx, id)
	if err != nil {
		return nil, err
	}
	m, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", id, err)
	}
	return m, nil
}

func (s *Store) readManifest(ctx context.Context, id string) ([]byte, error) {
	o, err := s.objects.Get(ctx, manifestKey(id), &backend.GetOptions{Length: maxManifest})
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", id, err)
	}
	defer func() { _ = o.Body.Close() }()
	if o.Info.Size > maxManifest {
		return nil, fmt.Errorf("%w: manifest %s of %d bytes is greater than %d", azml.ErrDamaged, id, o.Info.Size, int64(maxManifest))
	}
	var b bytes.Buffer
	b.Grow(int(o.Info.Size))
	if _, err := b.ReadFrom(o.Body); err != nil {
		return nil, fmt.Errorf("%w: read manifest %s: %w", azml.ErrUnavailable, id, err)
	}
	if digestOf(b.Bytes()).String() != id {
		return nil, fmt.Errorf("%w: manifest %s has another digest", azml.ErrDamaged, id)
	}
	return b.Bytes(), nil
}
