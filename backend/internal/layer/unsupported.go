//go:build !linux

package layer

import (
	"context"
	"fmt"
	"io"

	"github.com/azml-go/azml"
)

// Run gives ErrUnsupported.
func Run(context.Context, string, string, []string, io.Reader, io.Writer) (code int, err error) {
	return 0, fmt.Errorf("%w: layers of images are made on Linux", azml.ErrUnsupported)
}
