package gateway

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/url"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Secrets gives the secrets that the run may have. They can be read, and nothing
// else.
func (c *Client) Secrets() backend.Secrets { return clientSecrets{c} }

type clientSecrets struct{ c *Client }

var errReadOnly = fmt.Errorf("%w: a run on another machine reads the secrets it was given, and no more", azml.ErrUnsupported)

// Set implements backend.Secrets.
func (clientSecrets) Set(context.Context, string, string) error { return errReadOnly }

// Delete implements backend.Secrets.
func (clientSecrets) Delete(context.Context, string) error { return errReadOnly }

// List implements backend.Secrets.
func (clientSecrets) List(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", errReadOnly) }
}

// Get implements backend.Secrets.
func (s clientSecrets) Get(ctx context.Context, name string) (string, error) {
	answer, err := s.c.do(ctx, "secret", url.Values{"name": {name}}, nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	value, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", lost(ctx, err)
	}
	return string(value), nil
}
