package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// digestOf names a job by characters and a length that suit any file system.
func digestOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// locks keep those apart who start or remove one job, in any number
// of processes. Jobs share 256 of them, which stay for ever.
type locks struct{ dir string }

func (l locks) take(ctx context.Context, id string) (unlock func(), err error) {
	lock := flock.New(filepath.Join(l.dir, digestOf(id)[:2]))
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, classify(err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// starts remembers whose Start each job came from. A client whose answer was
// lost asks again, by the same token, and so learns whether the job is its own.
type starts struct {
	dir   string
	locks locks
}

func (s starts) path(id string) string { return filepath.Join(s.dir, digestOf(id)) }

// mine tells whether the job that is there came from the token.
func (s starts) mine(id, token string) bool {
	data, err := os.ReadFile(s.path(id))
	return err == nil && string(data) == token
}

// forget is for a job that is gone.
func (s starts) forget(id string) error {
	if err := os.Remove(s.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// start starts the job once. A client that is gone changes nothing once the
// start has begun: it may be coming back for its answer.
func (s *server) start(_ *answer, r *http.Request) error {
	s.work.Add(1)
	defer s.work.Done()
	var q startRequest
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	unlock, err := s.starts.locks.take(r.Context(), q.ID)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.Context()), 5*time.Minute)
	defer stop()
	status, err := s.driver.Status(ctx, q.ID)
	switch {
	case errors.Is(err, azml.ErrNotFound) || err != nil && !errors.Is(err, azml.ErrUnavailable):
		return s.startAnew(ctx, q) // which also says what is wrong with the ID
	case err != nil:
		return err
	case !s.starts.mine(q.ID, q.Token):
		return fmt.Errorf("%w: job %q; IDs are unique for ever", azml.ErrExists, q.ID)
	case status.State == backend.JobLost && status.Started.IsZero():
		// The first try died before the command ran.
		if err := s.driver.Remove(ctx, q.ID); err != nil {
			return err
		}
		return s.startAnew(ctx, q)
	}
	return nil
}

func (s *server) startAnew(ctx context.Context, q startRequest) error {
	if err := os.WriteFile(s.starts.path(q.ID), []byte(q.Token), 0o600); err != nil {
		return classify(err)
	}
	s.programs.used()
	err := s.driver.Start(ctx, q.job())
	if err != nil && !errors.Is(err, azml.ErrExists) {
		return errors.Join(err, s.starts.forget(q.ID))
	}
	return err
}

// undo ends a job that its client no longer wanted while it was being started.
func (s *server) undo(_ *answer, r *http.Request) error {
	unlock, err := s.starts.locks.take(r.Context(), id(r))
	if err != nil {
		return err
	}
	defer unlock()
	if !s.starts.mine(id(r), r.URL.Query().Get("token")) {
		return nil
	}
	if err := s.driver.Cancel(r.Context(), id(r), 0); err != nil {
		return err
	}
	return errors.Join(s.driver.Remove(r.Context(), id(r)), s.starts.forget(id(r)))
}
