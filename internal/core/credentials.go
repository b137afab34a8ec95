package core

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/azml-go/azml"
)

// KeepCredentials stores credentials, texts by name, as a secret whose name begins
// with prefix and is drawn anew, and gives that name; "" for no credentials.
func KeepCredentials(ctx context.Context, h Handle, prefix string, credentials map[string]string) (string, error) {
	if len(credentials) == 0 {
		return "", nil
	}
	data, err := json.Marshal(credentials)
	if err != nil {
		return "", err
	}
	const idBytes = 8
	name := prefix + NewID(idBytes)
	return name, h.Secrets().Set(ctx, name, string(data))
}

// DropCredentials deletes what KeepCredentials has stored. What was asked for is
// done already, so it goes on when ctx has ended.
func DropCredentials(ctx context.Context, h Handle, secret string) error {
	if secret == "" {
		return nil
	}
	err := h.Secrets().Delete(context.WithoutCancel(ctx), secret)
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}
