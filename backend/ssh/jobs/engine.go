package jobs

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// engineRequest says what engine jobs are to run on. Its credentials are in no
// argument and no variable.
type engineRequest struct {
	Type        string            `json:"type"`
	Connection  map[string]string `json:"connection,omitempty"`
	Credentials map[string]string `json:"credentials,omitempty"`
}

// imageRequest is the first line of the body that asks for an image. Behind it is the
// build context, where there is one.
type imageRequest struct {
	Hash       string            `json:"hash"`
	Base       string            `json:"base,omitempty"`
	Dockerfile string            `json:"dockerfile,omitempty"`
	Setup      string            `json:"setup,omitempty"`
	Input      []byte            `json:"input,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	Path       []string          `json:"path,omitempty"`
	// Context is the path of the Dockerfile in the build context, empty when there is
	// none.
	Context string `json:"context,omitempty"`
}

func newImageRequest(r backend.ImageRecipe) imageRequest {
	q := imageRequest{Hash: r.Hash, Base: r.Base, Dockerfile: r.Dockerfile, Setup: r.Setup, Input: r.Input, Env: r.Env, Path: r.Path}
	if r.Context != nil {
		q.Context = r.Context.Dockerfile
	}
	return q
}

// recipe gives the recipe, whose build context, if any, is what is left of the body: it
// can be written once.
func (q imageRequest) recipe(rest io.Reader) backend.ImageRecipe {
	r := backend.ImageRecipe{Hash: q.Hash, Base: q.Base, Dockerfile: q.Dockerfile, Setup: q.Setup, Input: q.Input, Env: q.Env, Path: q.Path}
	if q.Context != "" {
		r.Context = &backend.BuildContext{Dockerfile: q.Context, Write: func(_ context.Context, w io.Writer) error {
			_, err := io.Copy(w, rest)
			return err
		}}
	}
	return r
}

// imageProgress is a line of the answer: what the making says, or at last the image.
type imageProgress struct {
	Log   []byte         `json:"log,omitempty"`
	Image *backend.Image `json:"image,omitempty"`
}

// engine has all further calls be about the containers of an engine of this machine,
// with what is kept of it in the server's folder.
func (s *server) engine(_ *answer, r *http.Request) error {
	var q engineRequest
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	for _, kind := range s.engines {
		if kind.Type() != q.Type {
			continue
		}
		opened, err := kind.Open(r.Context(), backend.ComputeSource{Type: q.Type, Connection: q.Connection, Credentials: q.Credentials, CacheDir: s.dir})
		if err != nil {
			return err
		}
		before := s.driver
		s.driver, s.containers = opened, true
		return before.Close()
	}
	return fmt.Errorf("%w: the azml program there runs no containers of %s", azml.ErrUnsupported, q.Type)
}

// seen gives the path at which jobs see an installed program.
func (s *server) seen(ctx context.Context, name, path string) (string, error) {
	if !s.containers {
		return path, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", classify(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", classify(err)
	}
	return s.driver.Install(ctx, name, io.NewSectionReader(f, 0, info.Size()))
}

// images gives what makes images here. Errors: ErrUnsupported.
func (s *server) images() (backend.Images, error) {
	if images, ok := backend.As[backend.Images](s.driver); ok {
		return images, nil
	}
	return nil, fmt.Errorf("%w: this machine was not asked for containers", azml.ErrUnsupported)
}

// buildImage makes an image.
func (s *server) buildImage(w *answer, r *http.Request) error {
	images, err := s.images()
	if err != nil {
		return err
	}
	body := bufio.NewReader(r.Body)
	var q imageRequest
	line, err := body.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &q)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	w.begin()
	made, err := images.BuildImage(r.Context(), q.recipe(body), progress{w})
	if err != nil {
		return err
	}
	return w.say(imageProgress{Image: &made})
}

// progress hands on what the making of an image says.
type progress struct{ to *answer }

// Write implements io.Writer.
func (p progress) Write(text []byte) (int, error) {
	if err := p.to.say(imageProgress{Log: text}); err != nil {
		return 0, err
	}
	return len(text), nil
}

// listImages gives the images behind the one with the hash.
func (s *server) listImages(w *answer, r *http.Request) error {
	images, err := s.images()
	if err != nil {
		return err
	}
	after := r.URL.Query().Get("after")
	w.begin()
	for image, err := range images.Images(r.Context()) {
		if err != nil {
			return err
		}
		if image.Hash <= after {
			continue
		}
		if err := json.NewEncoder(w).Encode(image); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) removeImage(_ *answer, r *http.Request) error {
	images, err := s.images()
	if err != nil {
		return err
	}
	return images.RemoveImage(r.Context(), r.URL.Query().Get("hash"))
}

func (s *server) checkLimits(_ *answer, r *http.Request) error {
	var limits backend.Limits
	if err := json.NewDecoder(r.Body).Decode(&limits); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	limiter, ok := backend.As[backend.Limiter](s.driver)
	if !ok {
		return fmt.Errorf("%w: this machine can't hold jobs to limits", azml.ErrUnsupported)
	}
	return limiter.CheckLimits(r.Context(), limits)
}
