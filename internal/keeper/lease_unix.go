//go:build unix

package keeper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
)

// takeLease makes this process the keeper of the run of that agent. The lock ends with the
// process. Errors: ErrConflict when another process of this machine keeps it.
func takeLease(h core.Handle, job string) (*os.File, error) {
	dir := leasesDir(h)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, job+leaseEnding), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%w: another process keeps the run", azml.ErrConflict)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// giveUp ends the lease; with ended nothing is left of that agent.
func giveUp(lease *os.File, ended bool) {
	if ended {
		_ = os.Remove(lease.Name()) // who has it all the same finds no agent
	}
	_ = lease.Close()
}
