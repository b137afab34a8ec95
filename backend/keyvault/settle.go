package keyvault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/azml-go/azml"
)

const (
	// firstPause and longestPause are between two looks at a secret that the
	// vault is deleting or recovering.
	firstPause, longestPause = 200 * time.Millisecond, 5 * time.Second
	// patience bounds the looking: some vaults were seen to take two minutes.
	patience = 5 * time.Minute
)

// deletedCode is the vault's inner code for a name that a deleted secret holds.
const deletedCode = "ObjectIsDeletedButRecoverable"

// settle sends a change until the vault neither holds the name for a deleted
// secret nor is at work with it. That the vault is at work is an answer like
// another: no request has failed.
func (s *Store) settle(ctx context.Context, name string, send func() error) error {
	deadline := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := send()
		if !changing(err) {
			return err
		}
		if innerCode(err) == deletedCode {
			if err := s.release(ctx, strings.ToLower(name)); err != nil {
				return err
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: the vault has been deleting or recovering the secret for %s: try again later", azml.ErrUnavailable, patience)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release makes the name of a deleted secret free: by recovering it, else by
// purging it. That somebody else was faster is not an error.
func (s *Store) release(ctx context.Context, id string) error {
	watched, lost := watchAnswers(ctx)
	_, err := s.client.RecoverDeletedSecret(watched, id, nil)
	if err != nil && status(err) == 0 && lost.Load() && ctx.Err() == nil {
		return nil // it may have been recovered: the next try of the change tells
	}
	if status(err) == http.StatusForbidden {
		if _, purgeErr := s.client.PurgeDeletedSecret(ctx, id, nil); status(purgeErr) != http.StatusForbidden {
			err = purgeErr
		}
	}
	switch status(err) {
	case http.StatusNotFound, http.StatusConflict:
		return nil
	case http.StatusForbidden:
		return fmt.Errorf("%w: the vault holds a deleted secret of this name, which may neither be recovered nor purged by you: "+
			`ask for the role "Key Vault Secrets Officer" on the vault (access policies: the permission Recover)`, azml.ErrDenied)
	}
	return err
}

// errChanging says that a secret is being deleted or recovered.
var errChanging = fmt.Errorf("%w: the vault is deleting or recovering it: try again soon", azml.ErrUnavailable)

// changing tells the vault's answer that a name is held by a deleted secret or
// by work that it has under way.
func changing(err error) bool {
	return status(err) == http.StatusConflict && strings.HasPrefix(innerCode(err), "ObjectIs")
}

// status gives the HTTP status of the vault's answer, 0 when there was none.
func status(err error) int {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.StatusCode
	}
	return 0
}
