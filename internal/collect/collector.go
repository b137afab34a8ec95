package collect

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
)

const (
	// Request is the collection of the bodies of requests.
	Request = "request"
	// Response is the collection of the bodies of answers.
	Response = "response"
)

const (
	defaultEvery    = 10 * time.Second
	defaultCapacity = 16 << 20
	// flushBytes is how much is written before its time.
	flushBytes = 4 << 20
	// MaxRows is the largest JSON or CSV of the rows that are collected at once, in bytes.
	MaxRows = 4 << 20
)

// Config says what is collected, and where it goes.
type Config struct {
	// Percent is how much of each collection is kept, by its name: more than 0, at
	// most 100. What is not named is not collected.
	Percent map[string]float64
	// Origin stands in every row that names none.
	Origin Origin
	// Name tells the files of this collector from those of others.
	Name string
	// Write stores a file whole, under a path that was not used before. It may be
	// called again with the same after an error, unless that is an ErrInvalid.
	Write func(ctx context.Context, path string, content []byte) error
	// Every is how often files are written, 10 seconds when zero.
	Every time.Duration
	// Capacity is how many bytes of rows are kept until they are written, 16 MiB
	// when zero.
	Capacity int
	// Logger gets what could not be written; nil drops it.
	Logger *slog.Logger
}

// Origin says what service rows come from.
type Origin struct {
	// Workspace, Service and Deployment are its names.
	Workspace, Service, Deployment string
	// Model and Version name the model that it serves, "" for none.
	Model, Version string
}

// folder is where its files are.
func (o *Origin) folder() string {
	if o.Model == "" {
		return path.Join(o.Workspace, o.Service, o.Deployment, "0")
	}
	return path.Join(o.Workspace, o.Service, o.Model, o.Version)
}

// Rows are some rows of one collection.
type Rows struct {
	// Collection is the collection's name.
	Collection string
	// File is what the names of their files begin with, the collection's name when "".
	File string
	// Origin is where they come from, the collector's when zero.
	Origin Origin
	// CorrelationID joins rows of several collections.
	CorrelationID string
	// RequestID is the request's, "" when nobody knows it.
	RequestID string
	// Time is when they were made.
	Time time.Time
	// JSON is an object, or a list of objects, whose members are columns. It
	// belongs to the collector.
	JSON []byte
	// CSV, when not nil, are the rows instead, below the names of their columns.
	CSV []byte
}

// size is what they take until they are written.
func (r *Rows) size() int { return len(r.JSON) + len(r.CSV) + overhead }

// Stats count rows since the collector was made; one call's rows are one of
// these, all or none.
type Stats struct {
	// Collected counts the calls whose rows were taken, Dropped those for which
	// there was no room or whose rows could not be read or written.
	Collected, Dropped int64
}

// Collector takes rows and writes them in the background. It is safe for
// concurrent use.
type Collector struct {
	cfg  Config
	kick chan struct{}
	done chan struct{}
	life context.Context // of the writer
	end  context.CancelFunc

	mu      sync.Mutex
	rows    []Rows
	bytes   int // of rows and of files that are not written
	stats   Stats
	closed  bool
	written int
}

// names is what a collection may be called.
var names = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`) })

// CheckPercent tells what is wrong with a choice of collections.
func CheckPercent(percent map[string]float64) error {
	for _, name := range slices.Sorted(maps.Keys(percent)) { // the first error is always the same
		p := percent[name]
		if !names().MatchString(name) {
			return fmt.Errorf("%w: collection %q: use 1 to 63 of a-z, 0-9, - and _", azml.ErrInvalid, name)
		}
		if math.IsNaN(p) || p <= 0 || p > 100 {
			return fmt.Errorf("%w: collection %q: %v %% is not more than 0 and at most 100", azml.ErrInvalid, name, p)
		}
	}
	return nil
}

// New starts a collector. Errors: ErrInvalid.
func New(cfg Config) (*Collector, error) {
	if err := CheckPercent(cfg.Percent); err != nil {
		return nil, err
	}
	if cfg.Every <= 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Capacity <= 0 {
		cfg.Capacity = defaultCapacity
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Collector{cfg: cfg, kick: make(chan struct{}, 1), done: make(chan struct{})}
	c.life, c.end = context.WithCancel(context.Background())
	go c.run()
	return c, nil
}

// Wants tells whether rows of the collection would be kept for the request. Of
// one request, all collections that are kept in equal parts are kept or none.
func (c *Collector) Wants(collection, requestID string) bool {
	percent, ok := c.cfg.Percent[collection]
	if !ok || percent >= 100 {
		return ok
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(requestID)) // it never fails
	return float64(mix(h.Sum64())>>11)/(1<<53)*100 < percent
}

// mix spreads what FNV leaves alike for alike texts (the finalizer of
// MurmurHash3).
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Add takes rows, or drops them when there is no room; it tells which. It never
// waits for the store.
func (c *Collector) Add(r Rows) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.cfg.Percent[r.Collection]; !ok {
		return false
	}
	size := r.size()
	if c.closed || size > MaxRows+overhead || c.bytes+size > c.cfg.Capacity {
		c.stats.Dropped++
		return false
	}
	c.rows = append(c.rows, r)
	c.bytes += size
	c.stats.Collected++
	if c.bytes >= flushBytes {
		c.nudge()
	}
	return true
}

// overhead is what rows take besides their data.
const overhead = 200

// Stats counts what was collected.
func (c *Collector) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Close writes what was taken, for as long as ctx lasts, and ends the collector.
// What could not be written is dropped, and an error.
func (c *Collector) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, c.end)
	defer stop()
	c.nudge()
	<-c.done
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes > 0 {
		return fmt.Errorf("%w: collected rows were lost: the datastore did not take them", azml.ErrUnavailable)
	}
	return nil
}

// run writes until the collector is closed.
func (c *Collector) run() {
	defer close(c.done)
	timer := time.NewTicker(c.cfg.Every)
	defer timer.Stop()
	var waiting []file
	for {
		select {
		case <-c.kick:
		case <-timer.C:
		case <-c.life.Done():
		}
		rows, closed := c.take()
		waiting = append(waiting, c.encode(rows)...)
		waiting = c.write(waiting)
		if closed && len(waiting) == 0 || c.life.Err() != nil {
			c.lose(waiting)
			return
		}
		if closed { // it is being closed while the store does not answer
			select {
			case <-time.After(closeRetry):
				c.nudge()
			case <-c.life.Done():
			}
		}
	}
}

// closeRetry is the pause between tries to write the last files.
const closeRetry = 100 * time.Millisecond

func (c *Collector) nudge() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

func (c *Collector) take() (rows []Rows, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows, c.rows = c.rows, nil
	return rows, c.closed
}

// write stores the files and gives those that the store did not take. What it never
// will, such as a path that is too long, is given up.
func (c *Collector) write(files []file) []file {
	for i, f := range files {
		switch err := c.cfg.Write(c.life, f.path, f.content); {
		case errors.Is(err, azml.ErrInvalid):
			c.cfg.Logger.Warn("collected rows can't be written", "path", f.path, "error", err)
			c.lose(files[i : i+1])
		case err != nil:
			c.cfg.Logger.Warn("collected rows can't be written yet", "path", f.path, "error", err)
			return slices.Clone(files[i:])
		}
		c.release(f.bytes)
	}
	return nil
}

// release makes room.
func (c *Collector) release(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= bytes
}

// lose counts what is given up.
func (c *Collector) lose(files []file) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range files {
		c.stats.Collected -= f.calls
		c.stats.Dropped += f.calls
	}
}

// number gives the next number of a file.
func (c *Collector) number() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written++
	return c.written
}

// unreadable counts rows that turned out to be none.
func (c *Collector) unreadable(r Rows, why error) {
	c.cfg.Logger.Warn("collected rows can't be read", "collection", r.Collection, "request_id", r.RequestID, "error", why)
	c.release(r.size())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Collected--
	c.stats.Dropped++
}

// dropped counts calls whose rows never came here.
func (c *Collector) dropped(calls int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Dropped += calls
}
