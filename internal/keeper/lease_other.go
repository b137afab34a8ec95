//go:build !unix

package keeper

import (
	"fmt"
	"os"
	"runtime"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
)

// takeLease is for systems with locks of the kind that keepers use.
func takeLease(core.Handle, string) (*os.File, error) {
	return nil, fmt.Errorf("%w: runs on other machines are kept from Linux or macOS, this is %s", azml.ErrUnsupported, runtime.GOOS)
}

func giveUp(*os.File, bool) {}
