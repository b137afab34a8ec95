package keeper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
	"github.com/azml-go/azml/internal/record"
)

// Ready tells whether the target can take an agent now: it fails at once where a run
// never would begin. Errors: ErrUnavailable, ErrDenied, ErrUnsupported, and
// ErrNotFound when there is no program for its platform.
func Ready(ctx context.Context, h core.Handle, target backend.Remote) error {
	if err := target.Check(ctx); err != nil {
		return err
	}
	on, err := target.Platform(ctx)
	if err != nil {
		return err
	}
	_, err = compute.Program(ctx, h, on)
	return err
}

// NewAgent draws the ID of an agent's job and its token.
func NewAgent() (a *record.Agent, token string) {
	token, digest := gateway.NewToken()
	const idBytes = 8
	return &record.Agent{Job: "agent-" + core.NewID(idBytes), TokenHash: hex.EncodeToString(digest[:])}, token
}

// launch puts the program on the target and starts the job.
func (k *keeper) launch(ctx context.Context, job, address string, i agent.Instructions) error {
	on, err := k.target.Platform(ctx)
	if err != nil {
		return err
	}
	path, err := k.install(ctx, on)
	if err != nil {
		return err
	}
	i.Gateway, i.Location, i.CacheDir, i.SecretsKeyFile = address, "", k.cacheDir, ""
	input, err := i.Encode()
	if err != nil {
		return err
	}
	// The agent gives its script what it has of these.
	return k.target.Start(ctx, backend.Job{ID: job, Command: []string{path, "agent"}, Dir: "/", Input: input,
		Env: map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}})
}

// install puts the program on the target, under a name that says its content.
func (k *keeper) install(ctx context.Context, on backend.Platform) (string, error) {
	file, err := compute.Program(ctx, k.h, on)
	if err != nil {
		return "", err
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	content, sum := io.NewSectionReader(f, 0, info.Size()), sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return "", fmt.Errorf("read the program %s: %w", file, err)
	}
	const enough = 16 // bytes, to tell programs apart
	return k.target.Install(ctx, "azml-"+hex.EncodeToString(sum.Sum(nil)[:enough]), content)
}
