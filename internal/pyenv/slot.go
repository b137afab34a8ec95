package pyenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/azml-go/azml"
)

const (
	markerName   = "env.json"
	markerSchema = "azml.env/1"
	lockPoll     = 50 * time.Millisecond
)

// marker is the file that makes an environment visible; it is written last,
// in one step.
type marker struct {
	Schema string `json:"schema"`
	Hash   string `json:"hash"`
	// Dir is the environment's folder inside the slot.
	Dir string `json:"dir"`
	// Python is the interpreter's path inside Dir.
	Python  string    `json:"python"`
	Version string    `json:"version"`
	Created time.Time `json:"created"`
	Seconds float64   `json:"seconds"`
}

// env gives the environment that the marker describes.
func (m marker) env(s slot, tools map[string]string) *Env {
	dir := filepath.Join(s.dir(), m.Dir)
	return &Env{Dir: dir, Python: filepath.Join(dir, m.Python), Version: m.Version, Hash: m.Hash,
		Reused: true, BuildTime: time.Duration(m.Seconds * float64(time.Second)), tools: tools}
}

// slot is the place of one environment in the cache:
// envs/<key>/env.json, envs/<key>/<attempt>/ and locks/<key>.lock.
type slot struct {
	cache string
	key   string
}

func (s slot) dir() string { return filepath.Join(s.cache, "envs", s.key) }

// marker reads the marker; ok is false when there is none that is sound.
func (s slot) marker() (m marker, ok bool) {
	data, err := os.ReadFile(filepath.Join(s.dir(), markerName))
	if err != nil || json.Unmarshal(data, &m) != nil {
		return marker{}, false
	}
	return m, m.Schema == markerSchema && filepath.IsLocal(m.Dir) && filepath.IsLocal(m.Python)
}

// env gives the finished environment and notes its use; nil when there is
// none, or its interpreter has gone since, as after an upgrade of Python.
func (s slot) env(tools map[string]string) *Env {
	m, ok := s.marker()
	if !ok {
		return nil
	}
	env := m.env(s, tools)
	if _, err := os.Stat(env.Python); err != nil {
		return nil
	}
	now := time.Now()
	// In a cache that is read-only for this user nothing is to be noted.
	_ = os.Chtimes(filepath.Join(s.dir(), markerName), now, now)
	return env
}

// lock takes the slot for this process, calling waiting once when somebody
// else has it.
func (s slot) lock(ctx context.Context, waiting func()) (unlock func(), err error) {
	path := filepath.Join(s.cache, "locks", s.key+".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, azmlIO("make the cache of Python environments", err)
	}
	lock := flock.New(path)
	locked, err := lock.TryLock()
	if err == nil && !locked {
		waiting()
		_, err = lock.TryLockContext(ctx, lockPoll)
	}
	if err != nil {
		_ = lock.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for the Python environment %s was stopped: %w", s.key, context.Cause(ctx))
		}
		return nil, azmlIO("lock the cache of Python environments", err)
	}
	return func() { _ = lock.Close() }, nil
}

// clear removes what is left of earlier attempts. The lock is held.
func (s slot) clear() error {
	if err := os.RemoveAll(s.dir()); err != nil {
		return azmlIO("remove a half built Python environment", err)
	}
	return nil
}

// discard removes the slot after a failure, whose own error is the one to
// report; what can't be removed is cleared before the next attempt.
func (s slot) discard() { _ = s.clear() }

// attempt makes a new folder in the slot.
func (s slot) attempt() (string, error) {
	if err := os.MkdirAll(s.dir(), 0o755); err != nil {
		return "", azmlIO("make the cache of Python environments", err)
	}
	dir, err := os.MkdirTemp(s.dir(), "py")
	if err != nil {
		return "", azmlIO("make the folder of a Python environment", err)
	}
	return dir, nil
}

// publish writes the marker by renaming a complete, synced file.
func (s slot) publish(m marker) error {
	m.Schema = markerSchema
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w: marker of a Python environment: %w", azml.ErrInvalid, err)
	}
	temp := filepath.Join(s.dir(), markerName+".tmp")
	if err := writeSynced(temp, data); err != nil {
		return azmlIO("mark the Python environment as complete", err)
	}
	if err := os.Rename(temp, filepath.Join(s.dir(), markerName)); err != nil {
		return azmlIO("mark the Python environment as complete", err)
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// azmlIO wraps an error of the file system: no right is ErrDenied, everything
// else, such as a full disk, may pass.
func azmlIO(doing string, err error) error {
	class := azml.ErrUnavailable
	if errors.Is(err, fs.ErrPermission) {
		class = azml.ErrDenied
	}
	return fmt.Errorf("%w: can't %s: %w", class, doing, err)
}
