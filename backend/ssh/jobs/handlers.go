package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func id(r *http.Request) string { return r.URL.Query().Get("id") }

func (s *server) check(_ *answer, r *http.Request) error { return s.driver.Check(r.Context()) }

// begun waits until the held job runs, or could not be started.
func (s *server) begun(w *answer, r *http.Request) error {
	for {
		said, err := os.ReadFile(filepath.Join(s.dir, BegunFile))
		if err == nil {
			return w.say(json.RawMessage(said))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return classify(err)
		}
		const lookEvery = 5 * time.Millisecond
		select {
		case <-time.After(lookEvery):
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

func (s *server) status(w *answer, r *http.Request) error {
	status, err := s.driver.Status(r.Context(), id(r))
	if err != nil {
		return err
	}
	return w.say(status)
}

func (s *server) wait(w *answer, r *http.Request) error {
	status, err := s.driver.Wait(r.Context(), id(r))
	if err != nil {
		return err
	}
	return w.say(status)
}

func (s *server) output(w *answer, r *http.Request) error {
	offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: offset: %w", azml.ErrInvalid, err)
	}
	out, err := s.driver.Output(r.Context(), id(r), &backend.OutputOptions{Offset: offset, Follow: r.URL.Query().Get("follow") == "true"})
	if err != nil {
		return err
	}
	defer out.Close()
	s.stay()
	return w.stream(out)
}

func (s *server) cancel(_ *answer, r *http.Request) error {
	grace, err := time.ParseDuration(r.URL.Query().Get("grace"))
	if err != nil {
		return fmt.Errorf("%w: grace: %w", azml.ErrInvalid, err)
	}
	s.stay()
	return s.driver.Cancel(r.Context(), id(r), grace)
}

func (s *server) remove(_ *answer, r *http.Request) error {
	s.work.Add(1)
	defer s.work.Done()
	unlock, err := s.starts.locks.take(r.Context(), id(r))
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.driver.Remove(r.Context(), id(r)); err != nil {
		return err
	}
	return s.starts.forget(id(r))
}

// list gives the jobs behind the one named after.
func (s *server) list(w *answer, r *http.Request) error {
	after := r.URL.Query().Get("after")
	w.begin()
	for status, err := range s.driver.List(r.Context()) {
		if err != nil {
			return err
		}
		if status.ID <= after {
			continue
		}
		if err := json.NewEncoder(w).Encode(status); err != nil {
			return err
		}
	}
	return nil
}

// classify gives an error of the file system its class.
func classify(err error) error {
	class := azml.ErrUnavailable
	switch {
	case azml.ClassOf(err) != nil:
		return err
	case errors.Is(err, fs.ErrPermission):
		class = azml.ErrDenied
	case errors.Is(err, fs.ErrNotExist):
		class = azml.ErrNotFound
	}
	return fmt.Errorf("%w: %w", class, err)
}
